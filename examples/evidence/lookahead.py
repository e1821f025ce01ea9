"""What a step of one language's gradient does to its loss, unit by unit: gradients looked ahead of.

    python examples/evidence/lookahead.py checkpoint_last.pt DATA -o lookahead.json

As in TAG (Fifty et al., NeurIPS 2021) the loss of a language is measured after a step along a
gradient, here of one unit alone. The worth of its split is by how much lower the languages' losses
are after steps of their own than after the step of all together, the mean over the languages.
Gradients are those of the first half of each language's held-out rows, losses those of the second;
dropout is off. A step is that of SGD, or of Adam with the mean squares of the checkpoint.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Tuple

import torch
from torch import Tensor
from tqdm import tqdm

from fairseq_gist.cli.main import parser_of
from fairseq_gist.cli.record import opened
from fairseq_gist.errors import GistError
from fairseq_gist.files import replacing
from fairseq_gist.recording.metric import mean_squares

Gradients = Dict[str, Tensor]
"""Parameter -> gradient."""

_ROWS = 75
_EPSILON = 1e-8


class Model:
    """A model whose parameters can be moved, and the rows of each language."""

    def __init__(self, checkpoint: str, data: str, subset: str) -> None:
        words = ["record", checkpoint, data, "--cpu", "-o", "unused.npz"]
        args = parser_of("record").parse_args(words)
        self.context, self.task, optimizer = opened(args)
        self.model = self.context.model.eval()
        self.criterion = self.context.criterion.train(False)
        self.parameters = dict(self.model.named_parameters())
        squares = mean_squares(self.model, optimizer)
        self.squares = {n: squares[own] for n, own in self.parameters.items() if own in squares}
        self.halves = {one: self._halves(f"{subset}_{one}") for one in self.task.languages}

    def _halves(self, subset: str) -> Tuple[List[Any], List[Any]]:
        self.task.load_dataset(subset)
        dataset = self.task.dataset(subset)
        rows = list(range(len(dataset)))
        middle = len(rows) // 2
        return self._batches(dataset, rows[:middle]), self._batches(dataset, rows[middle:])

    @staticmethod
    def _batches(dataset: Any, rows: List[int]) -> List[Any]:
        parts = [rows[start : start + _ROWS] for start in range(0, len(rows), _ROWS)]
        return [dataset.collater([dataset[row] for row in part]) for part in parts]

    def gradients(self, language: str) -> Gradients:
        """Return those of a language, for each of its tokens, on the first half."""
        self.model.zero_grad()
        tokens = 0
        for batch in self.halves[language][0]:
            loss, size, _ = self.criterion(self.model, batch)
            loss.backward()
            tokens += int(size)
        return {
            name: own.grad / tokens for name, own in self.parameters.items() if own.grad is not None
        }

    def loss(self, language: str) -> float:
        """Return that of a language, for each of its tokens, on the second half."""
        total, tokens = 0.0, 0
        with torch.no_grad():
            for batch in self.halves[language][1]:
                loss, size, _ = self.criterion(self.model, batch)
                total += float(loss)
                tokens += int(size)
        return total / tokens

    @contextlib.contextmanager
    def moved(self, steps: Gradients) -> Iterator[None]:
        """Add ``steps`` to the parameters, and take them away afterwards."""
        kept = {name: self.parameters[name].detach().clone() for name in steps}
        try:
            with torch.no_grad():
                for name, step in steps.items():
                    self.parameters[name] += step
            yield
        finally:
            with torch.no_grad():
                for name, value in kept.items():
                    self.parameters[name].copy_(value)


def worth_of(model: Model, names: List[str], own: Dict[str, Gradients], step: Any) -> float:
    """Return the worth of splitting the parameters ``names``, by one step."""
    together = {n: torch.stack([own[one][n] for one in own]).mean(0) for n in names}
    with model.moved({n: step(n, together[n]) for n in names}):
        shared = {language: model.loss(language) for language in own}
    apart = {}
    for language in own:
        with model.moved({n: step(n, own[language][n]) for n in names}):
            apart[language] = model.loss(language)
    return sum(shared[language] - apart[language] for language in own) / len(own)


def units_of(model: Model) -> Dict[str, List[str]]:
    """Return the parameters of every unit of the decoder that is split by default."""
    from fairseq_gist.surgery.shape import shape_of

    return {
        unit: [name for name in model.parameters if name.rpartition(".")[0] == unit]
        for unit in shape_of(model.model).default
    }


def lookahead(model: Model, rates: Dict[str, float]) -> Dict[str, Dict[str, float]]:
    """Return kind of step -> unit -> worth."""
    own = {language: model.gradients(language) for language in model.halves}
    steps: Dict[str, Callable[[str, Tensor], Tensor]] = {
        "sgd": lambda name, gradient: -rates["sgd"] * gradient,
        "adam": lambda name, gradient: (
            -rates["adam"] * gradient / (model.squares[name].sqrt() + _EPSILON)
        ),
    }
    found: Dict[str, Dict[str, float]] = {kind: {} for kind in steps}
    for unit, names in tqdm(
        units_of(model).items(), desc="looking ahead", unit="unit", disable=None
    ):
        for kind, step in steps.items():
            found[kind][unit] = worth_of(model, names, own, step)
    return found


def main() -> int:
    """Look ahead as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("checkpoint", metavar="CHECKPOINT")
    parser.add_argument("data", metavar="DATA", help="with a manifest of each language, dev_XX.tsv")
    parser.add_argument("--subset", default="dev", help="default %(default)s")
    parser.add_argument("--sgd", type=float, default=0.1, help="its rate (default %(default)s)")
    parser.add_argument("--adam", type=float, default=0.002, help="its rate (default %(default)s)")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE")
    args = parser.parse_args()
    try:
        model = Model(args.checkpoint, args.data, args.subset)
        found = lookahead(model, {"sgd": args.sgd, "adam": args.adam})
        with replacing(args.output) as temporary:
            temporary.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    except (GistError, OSError) as error:
        print(f"lookahead: error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
