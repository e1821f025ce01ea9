"""Hypotheses of fairseq, and of transformers alone, for the same batch with the same settings."""

import torch
from fairseq.sequence_generator import SequenceGenerator

NEW_TOKENS = 20
"""After the language tag, the end of the sentence included."""


def by_fairseq(model, dictionary, sample, beam, **settings):
    """Return the hypotheses of every row, best first, `[rows][beam][tokens]`."""
    generator = SequenceGenerator(
        [model], dictionary, beam_size=beam, max_len_a=0, max_len_b=NEW_TOKENS, **settings
    )
    generator.eval()
    prefix = sample["target"][:, :1]
    with torch.no_grad():
        found = generator.generate([model], sample, prefix_tokens=prefix)
    return [[hypothesis["tokens"].tolist() for hypothesis in row] for row in found]


def by_transformers(folder, sample, beam, **settings):
    """Return the same of the model in ``folder``, which is all that transformers is given."""
    from transformers import SeamlessM4TForSpeechToText

    model = SeamlessM4TForSpeechToText.from_pretrained(str(folder), local_files_only=True).eval()
    features, lengths = sample["net_input"]["src_tokens"], sample["net_input"]["src_lengths"]
    end = model.generation_config.eos_token_id
    found = model.generate(
        features,
        attention_mask=(torch.arange(features.size(1)) < lengths[:, None]).long(),
        tgt_lang="eng",
        num_beams=beam,
        num_return_sequences=beam,
        do_sample=False,
        max_new_tokens=NEW_TOKENS,
        forced_eos_token_id=end,
        **settings,
    ).tolist()
    # the start of the sentence first, and padding last
    tokens = [row[1 : row.index(end, 1) + 1] for row in found]
    return [tokens[row : row + beam] for row in range(0, len(tokens), beam)]


def compare(found, expected):
    """Compare the hypotheses of rows that all ended by themselves; return how many rows these are.

    An end that is forced at the limit has its own probability in fairseq, and probability 1 in
    transformers, so those hypotheses may change places.
    """
    assert len(found) == len(expected)
    ended = [row for row, own in enumerate(found) if max(map(len, own)) <= NEW_TOKENS]
    for row in ended:
        assert found[row] == expected[row]
    return len(ended)


def rows_of_language(sample, language):
    """Return the rows of one language, padded as in the batch."""
    rows = (sample["net_input"]["lang_ids"] == language).nonzero().flatten()
    net_input = {key: value[rows] for key, value in sample["net_input"].items()}
    return {**sample, "target": sample["target"][rows], "net_input": net_input}
