"""What a decoder in four groups costs, of copies or of low-rank differences."""

from __future__ import annotations

from typing import List

from benchmarks import setting
from benchmarks.figures import Figure, compare

__all__ = ["low_rank", "mixed", "single"]

GROUPS = 4
RANK = 16
_SHAPE = "s2t_transformer_m"


def mixed(pairs: int) -> List[Figure]:
    """Compare training steps on batches of all languages."""
    return [_step("grouped_mixed", pairs, "<= 1.10", None, "of eight languages")]


def single(pairs: int) -> List[Figure]:
    """Compare training steps on batches of one language."""
    return [_step("grouped_single", pairs, "<= 1.03", [0], "of one language")]


def low_rank(pairs: int) -> List[Figure]:
    """Compare training steps with low-rank differences of four groups, and of one."""
    figures = []
    for groups in (GROUPS, 1):
        shared, gist = setting.build(gist=True), setting.build(gist=True)
        setting.add_differences(gist, groups, RANK)
        rows = setting.one_row_each(setting.batch(gist, 2), True)
        figures.append(
            compare(
                f"low_rank_{groups}",
                lambda gist=gist, rows=rows: setting.backward(gist, rows),
                lambda shared=shared, rows=rows: setting.backward(shared, rows),
                says_a=f"forward and backward of {_SHAPE}, differences of rank {RANK} to the "
                f"decoder's projections in {groups} groups, 16 rows of eight languages",
                says_b="without, same rows",
                pairs=pairs,
            )
        )
    return figures


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
