"""What encoding an utterance once saves, in training and in measuring gradients."""

from __future__ import annotations

from typing import List

from benchmarks import setting
from benchmarks.figures import Figure, compare

__all__ = ["training"]


def training(pairs: int) -> List[Figure]:
    """Compare training steps on the same pairs of utterance and translation."""
    stock, gist = setting.build(gist=False), setting.build(gist=True)
    sample = setting.batch(gist, 2)
    theirs = setting.one_row_each(sample, with_languages=False)
    return [
        compare(
            "encode_once_m",
            lambda: setting.backward(gist, sample),
            lambda: setting.backward(stock, theirs),
            says_a="forward and backward of s2t_transformer_m on 2 utterances in 8 languages",
            says_b="stock fairseq on the same 16 pairs",
            pairs=pairs,
            faster=True,
            target=">= 4.2",
        )
    ]
