"""Make the files in ``second/``, with the tree that is checked out: see README.md.

    python -m tests.regression.make_second FOLDER STACK    # on each stack: FOLDER/STACK/

As ``make.py`` with fewer files, and what there wasn't then: masters of half precision, every policy
by its own name, scores of schema 2.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from pathlib import Path

import numpy as np

from tests.regression import make

HERE = Path(__file__).parent
DATA = HERE / "data"
SPLIT_TWICE = [*make.TRANSFORMER, *make.ONE_TO_MANY, *make.DIFFERENTIATE]
HALF = [
    *make.TRANSFORMER,
    *make.ONE_TO_MANY,
    "--bf16",
    "--differentiate-at=6",
    "--size-budget=1.5",
    "--gradient-window=4",
    "--gradient-chunks=4",
]
DECIDED = {
    "gradient": ["gradient", "--statistics=whole.npz", "--size-budget=1.5"],
    "average": ["gradient", "--statistics=whole.npz", "--linkage=average", "--size-budget=1.5"],
    "bipartition": ["bipartition", "--statistics=whole.npz"],
    "gdps": ["gdps", "--statistics=neurons.npz", "--gdps-groups=each", "--gdps-shared=0.5"],
    "further": ["random", "--checkpoint=differentiated.pt", "--size-budget=2.5"],
}


def decide(name: str, files: Path, output: Path) -> None:
    """Make the plan ``name`` of the files of a stack."""
    words = [
        f"{option}={files / value}" if option in ("--statistics", "--checkpoint") else word
        for word in DECIDED[name]
        for option, _, value in [word.partition("=")]
    ]
    make.gist("plan", *words, "-o", output)


def data_of(name: str, many: Path, english: Path) -> Path:
    """Return the data that a checkpoint is of."""
    return english if name.startswith("conformer") else many


def write_files(root: Path, stack: str) -> None:
    """Write checkpoints, statistics, plans and scores of one stack."""
    out = root / stack
    (out / "plans").mkdir(parents=True)
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        many = make.usable(DATA / "one_to_many", scratch / "many")
        english = make.usable(DATA / "into_english", scratch / "english")
        save = scratch / "one"
        shutil.copy(make.train(many, save, 7, *SPLIT_TWICE), out / "window.pt")
        shutil.copy(make.train(many, save, 16, *SPLIT_TWICE), out / "differentiated.pt")
        shutil.copy(make.train(many, scratch / "half", 7, *HALF), out / "half.pt")
        shared = make.train(many, scratch / "shared", 3, *make.TRANSFORMER, *make.ONE_TO_MANY)
        spoken = [*make.CONFORMER, *make.INTO_ENGLISH]
        whole = make.train(english, scratch / "whole", 9, *spoken)
        divided = make.train(english, scratch / "conformer", 12, *spoken, *make.GDPS)
        shutil.copy(divided, out / "conformer.pt")
        common = ["--gradient-chunks=4", "--max-tokens=400", "--cpu"]
        make.gist("record", shared, many, *common, "-o", out / "whole.npz")
        keys = ["--language-key=src", "--neurons"]
        make.gist("record", whole, english, *common, *keys, "-o", out / "neurons.npz")
        for plan in DECIDED:
            decide(plan, out, out / "plans" / f"{plan}.json")
        results = scratch / "results"
        arguments = [*make.GENERATE, "--gen-subset=dev", f"--results-path={results}"]
        make.fairseq("generate", many, *arguments, f"--path={out / 'differentiated.pt'}")
        scored = [f"differentiated={results}", "--data", many, "--subset=dev"]
        make.gist("score", *scored, "--output", out / "scores.json")
        _look(out, many, english)


def _look(out: Path, many: Path, english: Path) -> None:
    """Write what reading each file gives: signatures, cosines, logits."""
    from fairseq_gist.gradients.statistics import GradientStatistics
    from fairseq_gist.sharing.plan import SharingPlan

    statistics = {path.name: GradientStatistics.load(path) for path in sorted(out.glob("*.npz"))}
    plans = {path.name: SharingPlan.load(path) for path in sorted(out.glob("plans/*.json"))}
    arrays = {f"{name}.cosines": found.cosines() for name, found in statistics.items()}
    for path in sorted(out.glob("*.pt")):
        arrays[f"{path.name}.logits"] = make.logits(path, data_of(path.name, many, english))
    np.savez_compressed(out / "expected.npz", **arrays)
    known = {
        "plans": {name: plan.signature for name, plan in plans.items()},
        "statistics": {name: found.signature for name, found in statistics.items()},
    }
    (out / "expected.json").write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("stack")
    args = parser.parse_args()
    write_files(args.folder, args.stack)
