"""How the cost of a training step grows with the number of groups.

``python -m benchmarks.growth bench.json docs/img/groups-cost.png`` draws it (needs matplotlib).
"""

from __future__ import annotations

import logging
import sys
from typing import List

from benchmarks import setting
from benchmarks.figures import Figure, compare, read_figures

__all__ = ["draw", "steps"]

GROUPS = (2, 4, 8)
_PAIRS = 5
_NAME = "grouped_step_"


def steps(pairs: int) -> List[Figure]:
    """Compare training steps on batches of eight languages with stock fairseq's."""
    figures = []
    stock = setting.build(gist=False)
    for groups in GROUPS:
        gist = setting.build(gist=True)
        setting.split(gist, groups)
        figures.append(_step(stock, gist, groups, min(pairs, _PAIRS)))
    return figures


def _step(stock: setting.Setup, gist: setting.Setup, groups: int, pairs: int) -> Figure:
    rows = setting.batch(gist, 2)
    ours, theirs = (setting.one_row_each(rows, with_languages) for with_languages in (True, False))
    return compare(
        f"{_NAME}{groups}",
        lambda: setting.backward(gist, ours),
        lambda: setting.backward(stock, theirs),
        says_a=f"forward and backward of s2t_transformer_m, decoder in {groups} groups, 16 rows "
        "of eight languages",
        says_b="stock fairseq, same rows",
        pairs=pairs,
        details={"groups": groups},
    )


def draw(figures: List[Figure], target: str) -> None:
    """Draw the ratios of :func:`steps` against the number of groups, with their spread."""
    logging.getLogger("matplotlib").setLevel(logging.WARNING)  # fairseq turns everything on
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    found = sorted(
        (figure for figure in figures if figure.name.startswith(_NAME)),
        key=lambda figure: figure.details["groups"],
    )
    if not found:
        raise SystemExit(f"there is no figure {_NAME}{GROUPS[0]}: python -m benchmarks makes it")
    groups = [figure.details["groups"] for figure in found]
    values = [figure.value for figure in found]
    below = [figure.value - figure.minimum for figure in found]
    above = [figure.maximum - figure.value for figure in found]
    picture, axes = pyplot.subplots(figsize=(5, 3.2), layout="constrained")
    axes.axhline(1.0, color="grey", linestyle=":", linewidth=1)
    axes.errorbar(groups, values, yerr=[below, above], marker="o", capsize=4)
    axes.set_xticks(groups)
    axes.set_ylim(bottom=min(0.9, *(figure.minimum - 0.05 for figure in found)))
    axes.set_xlabel("groups in every unit of the decoder")
    axes.set_ylabel("time of a step / stock fairseq")
    axes.set_title("s2t_transformer_m, 16 rows of eight languages", size=10)
    picture.savefig(target, dpi=120, metadata={"Software": None})


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit("usage: python -m benchmarks.growth BENCH.json PICTURE.png")
    draw(read_figures(sys.argv[1]), sys.argv[2])
