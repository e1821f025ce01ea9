"""A Whisper in fairseq's hands and in transformers alone, on the same batch."""

import torch
from fairseq.sequence_generator import SequenceGenerator

from tests.e2e.helpers import build

PREFIX_SIZE = 3
NEW_TOKENS = 20
"""Behind the prompt, the end of the text included."""


def build_whisper(data, *extra, model):
    """Build task, model and criterion as fairseq-train would, for translation into English."""
    return build(data, "--language-key=src", "--ignore-prefix-size=3", *extra, model=model)


def window_of(sample, frames):
    """Return the batch's features as Whisper's own extractor makes them, `[rows, bins, frames]`."""
    features, lengths = sample["net_input"]["src_tokens"], sample["net_input"]["src_lengths"]
    rows = []
    for own, length in zip(features, lengths.tolist()):
        silence = own[length - 1].expand(frames, -1)
        rows.append(torch.cat([own[:length], silence])[:frames])
    return torch.stack(rows).transpose(1, 2)


def decoder_input(sample, start):
    """Return what transformers' decoder begins with, for teacher forcing."""
    tokens = sample["net_input"]["prev_output_tokens"].clone()
    tokens[:, 0] = start
    return tokens


def by_fairseq(model, dictionary, sample, beam, **settings):
    """Return the hypotheses of every row, best first, `[rows][beam][tokens]`, without prompts."""
    longest = PREFIX_SIZE - 1 + NEW_TOKENS
    generator = SequenceGenerator(
        [model], dictionary, beam_size=beam, max_len_a=0, max_len_b=longest, **settings
    )
    generator.eval()
    prefix = sample["target"][:, :PREFIX_SIZE]
    with torch.no_grad():
        found = generator.generate([model], sample, prefix_tokens=prefix)
    return [[one["tokens"][PREFIX_SIZE:].tolist() for one in row] for row in found]


def by_transformers(model, features, languages, beam, task="translate", **settings):
    """Return the best hypothesis of every row that Whisper's own ``generate`` finds.

    Args:
        model: of transformers.
        features: `[rows, bins, frames]`.
        languages: of the rows.
        beam: hypotheses that are searched with.
        task: of Whisper's.
        settings: of ``generate``.
    """
    settings = {"max_new_tokens": NEW_TOKENS, **settings}
    found = model.generate(
        features, language=list(languages), task=task, num_beams=beam, do_sample=False, **settings
    )
    return _hypotheses(model, found, settings["max_new_tokens"])


def all_by_transformers(model, features, prompts, beam, **settings):
    """Return all hypotheses of the search below that, `[rows][beam][tokens]`.

    Whisper's ``generate`` returns the best one as often as it is asked for others.

    Args:
        model: of transformers.
        features: `[rows, bins, frames]`.
        prompts: `[rows, 4]`.
        beam: hypotheses that are searched with.
        settings: of ``generate``.
    """
    from transformers import GenerationMixin

    found = GenerationMixin.generate(
        model,
        features,
        decoder_input_ids=prompts,
        num_beams=beam,
        num_return_sequences=beam,
        do_sample=False,
        max_new_tokens=NEW_TOKENS,
        **settings,
    )
    tokens = _hypotheses(model, found[:, prompts.size(1) :], NEW_TOKENS)
    return [tokens[row : row + beam] for row in range(0, len(tokens), beam)]


def _hypotheses(model, found, longest):
    end = model.generation_config.eos_token_id
    return [[*_until(row, end)[: longest - 1], end] for row in found.tolist()]


def _until(row, end):
    return row[: row.index(end)] if end in row else row


def compare(found, expected):
    """Compare the hypotheses of rows that all ended by themselves; return how many rows these are.

    An end that is forced at the limit has its own probability in fairseq, and none in transformers,
    so those hypotheses may change places.
    """
    assert len(found) == len(expected)
    ended = [row for row, own in enumerate(found) if max(map(len, own)) < NEW_TOKENS]
    for row in ended:
        assert found[row] == expected[row]
    return len(ended)


def rows_of_language(sample, language):
    """Return the rows of one language, padded as in the batch."""
    rows = (sample["net_input"]["lang_ids"] == language).nonzero().flatten()
    net_input = {key: value[rows] for key, value in sample["net_input"].items()}
    return {**sample, "target": sample["target"][rows], "net_input": net_input}
