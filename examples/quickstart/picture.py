"""Draw what the quickstart's model saw and decided: ``picture.py RUN PNG`` (needs matplotlib)."""

import json
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np

from fairseq_gist.statistics import GradientStatistics

matplotlib.use("Agg")
from matplotlib import pyplot
from matplotlib.colors import ListedColormap


def main(run: Path, target: Path) -> None:
    """Draw mean cosines between languages beside the plan's groups."""
    statistics = GradientStatistics.load(run / "statistics.npz")
    checkpoint = run / "differentiated" / "checkpoint_last.pt"
    shown = subprocess.run(
        [sys.executable, "-m", "fairseq_gist.cli.main", "show", str(checkpoint), "--json"],
        check=True,
        capture_output=True,
        text=True,
    )
    plan = json.loads(shown.stdout)
    languages = plan["languages"]
    figure, (left, right) = pyplot.subplots(
        1, 2, figsize=(11, 5), gridspec_kw={"width_ratios": [1, 1.1]}, layout="constrained"
    )

    cosines = np.nanmean(statistics.cosines(), axis=0)
    np.fill_diagonal(cosines, np.nan)
    image = left.imshow(cosines, cmap="viridis")
    for (row, column), value in np.ndenumerate(cosines):
        if row != column:
            shade = "white" if value < np.nanmean(cosines) else "black"
            left.text(column, row, f"{value:.2f}", ha="center", va="center", color=shade, size=8)
    left.set_title("cosine similarity of the languages' gradients")
    left.set_xticks(range(len(languages)), languages)
    left.set_yticks(range(len(languages)), languages)
    figure.colorbar(image, ax=left, shrink=0.8)

    colours = ListedColormap(pyplot.get_cmap("tab10").colors[: len(languages)])
    groups = np.array(
        [
            [next(i for i, group in enumerate(unit) if one in group) for one in languages]
            for unit in plan["units"].values()
        ]
    )
    right.imshow(groups, cmap=colours, aspect="auto", vmin=0, vmax=len(languages) - 1)
    right.set_title("who shares what: one colour a copy")
    right.set_xticks(range(len(languages)), languages)
    names = [unit.replace("decoder.", "").replace("layers.", "") for unit in plan["units"]]
    right.set_yticks(range(len(names)), names, size=7)
    figure.savefig(target, dpi=110)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
