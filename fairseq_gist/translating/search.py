"""One batch of audio into several languages, its encoder run once."""

from __future__ import annotations

import functools
from argparse import Namespace
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

import torch
from fairseq_cli.generate import get_symbols_to_strip_from_output
from torch import Tensor, nn

from fairseq_gist.nn.rows import index_on, values_of
from fairseq_gist.nn.wrapping import Forward, Wrapper, wrap

__all__ = ["Searcher", "Wanted"]


_TOKENS_A_FRAME, _MORE_TOKENS = 0.12, 20
"""Of a translation at most: twice what fast speakers say in languages that need many tokens.

Without a limit by the sound, a model that repeats itself would do so a hundred times.
"""


class Wanted(NamedTuple):
    """A language to translate into."""

    name: str
    """As it was asked for."""
    language: Optional[int]
    """Of the model's languages; None where it has none."""
    prefix: Sequence[int]
    """Symbols that begin each translation."""


class Searcher:
    """Finds the best translations that beam search finds.

    Args:
        task: of fairseq.
        model: with the modules of one of the architectures.
        beam: hypotheses that are kept.
        length_penalty: exponent of the length that a hypothesis' score is divided by.
    """

    def __init__(self, task: Any, model: Any, beam: int, length_penalty: float) -> None:
        self._task, self._model = task, model
        wrap(model.encoder, _EncodesOnce())
        options = Namespace(
            beam=beam,
            lenpen=length_penalty,
            max_len_a=_TOKENS_A_FRAME,
            max_len_b=_MORE_TOKENS,
            prefix_size=task.prefix_size,
        )
        self._generator = task.build_generator([model], options)
        self._left_out = get_symbols_to_strip_from_output(self._generator)
        self._pieces, self._words = task.build_bpe(task.args), task.build_tokenizer(task.args)

    def translate(self, sample: Dict[str, Any], wanted: Sequence[Wanted]) -> List[List[str]]:
        """Return the translations of a batch, `[utterances]` of `[languages]`.

        Args:
            sample: of a dataset's collater, on the device of the model.
            wanted: languages.
        """
        rows, prefix = _in_languages(sample["net_input"], wanted)
        found = self._task.inference_step(
            self._generator, [self._model], {"net_input": rows}, prefix
        )
        texts = [self._text(hypotheses[0]["tokens"]) for hypotheses in found]
        return [texts[at : at + len(wanted)] for at in range(0, len(texts), len(wanted))]

    def _text(self, tokens: Tensor) -> str:
        text = self._task.target_dictionary.string(
            tokens.int().cpu(), None, extra_symbols_to_ignore=self._left_out
        )
        for coded in (self._pieces, self._words):
            text = text if coded is None else coded.decode(text)
        return str(text).strip()


def _in_languages(net_input: Dict[str, Any], wanted: Sequence[Wanted]) -> Any:
    """Return the input with a row for each language of each utterance, and what each begins with.

    Search counts the rows of the audio: it is repeated, and the encoder takes each once.
    """
    audio = net_input["src_tokens"]
    utterances = [number for number in range(audio.size(0)) for _ in wanted]
    order = index_on(audio.device, utterances)
    rows = {
        "src_tokens": audio.index_select(0, order),
        "src_lengths": net_input["src_lengths"].index_select(0, order),
    }
    if wanted[0].language is not None:
        ids = [int(one.language or 0) for _ in range(audio.size(0)) for one in wanted]
        rows.update(lang_ids=index_on(audio.device, ids), utterances=order)
    prefix = torch.tensor([one.prefix for one in wanted], dtype=torch.long, device=audio.device)
    return rows, prefix.repeat(audio.size(0), 1) if prefix.size(1) else None


class _EncodesOnce(Wrapper):
    """Has an encoder take the audio of rows that are one utterance once."""

    level = 0

    def around(self, module: nn.Module, forward: Forward) -> Forward:
        """Return ``forward`` with the first row of each utterance."""
        return functools.partial(_encode, forward)


def _encode(
    forward: Forward,
    src_tokens: Tensor,
    src_lengths: Tensor,
    *others: Any,
    utterances: Optional[Tensor] = None,
    **more: Any,
) -> Any:
    if utterances is None:
        return forward(src_tokens, src_lengths, *others, **more)
    utterance_of = values_of(utterances)
    firsts = [utterance_of.index(number) for number in range(max(utterance_of) + 1)]
    order = index_on(src_tokens.device, firsts)
    audio, lengths = (tensor.index_select(0, order) for tensor in (src_tokens, src_lengths))
    return forward(audio, lengths, *others, utterances=utterances, **more)
