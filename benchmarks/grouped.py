"""What a decoder in four groups costs."""

from __future__ import annotations

from typing import List

from benchmarks import setting
from benchmarks.figures import Figure, compare

__all__ = ["mixed", "single"]

GROUPS = 4
_SHAPE = "s2t_transformer_m"


def mixed(pairs: int) -> List[Figure]:
    """Compare training steps on batches of all languages."""
    return [_step("grouped_mixed", pairs, "<= 1.10", None, "of eight languages")]


def single(pairs: int) -> List[Figure]:
    """Compare training steps on batches of one language."""
    return [_step("grouped_single", pairs, "<= 1.03", [0], "of one language")]


def _step(name: str, pairs: int, target: str, languages: object, of: str) -> Figure:
    stock, gist = setting.build(gist=False), setting.build(gist=True)
    setting.split(gist, GROUPS)
    utterances = 2 if languages is None else 16
    rows = setting.batch(gist, utterances, languages=languages)
    ours, theirs = (setting.one_row_each(rows, with_languages) for with_languages in (True, False))
    return compare(
        name,
        lambda: setting.backward(gist, ours),
        lambda: setting.backward(stock, theirs),
        says_a=f"forward and backward of {_SHAPE}, decoder in {GROUPS} groups, 16 rows {of}",
        says_b="stock fairseq, same rows",
        pairs=pairs,
        target=target,
    )
