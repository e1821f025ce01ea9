"""The same comparisons on a CUDA device, at the batch that MuST-C is trained with.

``make bench-gpu``, or ``python -m benchmarks.gpu``; ``--device cpu`` with small numbers is a
rehearsal. Everything is in one process, in bf16 and fp32, and figures are written as they come.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import torch

from benchmarks import setting
from benchmarks.figures import Figure, compare, read_figures, write_figures
from benchmarks.generation import Contender, contender, same_work
from benchmarks.multiway import Measured, one_by_one
from benchmarks.place import Place
from benchmarks.table import as_table
from fairseq_gist.recording.options import RecordingOptions
from fairseq_gist.recording.recorder import GradientRecorder
from fairseq_gist.recording.watching import recording
from fairseq_gist.surgery.units import find_units, select_units

__all__ = ["FIGURES", "main"]

SKETCH_DIM = 4096
CHUNKS = 8


@dataclasses.dataclass(frozen=True)
class Size:
    """How much is measured.

    Attributes:
        arch: name of the stock architecture.
        utterances: of a batch, each of them in eight languages.
        frames: of an utterance.
        sentences: that are translated.
        pairs: of measurements.
        repeats: steps that make a measurement.
    """

    arch: str = "s2t_transformer_m"
    utterances: int = 8
    frames: int = 625
    sentences: int = 64
    pairs: int = 9
    repeats: int = 5


class Bench:
    """Models at one place; stock fairseq's is built once."""

    def __init__(self, place: Place, size: Size) -> None:
        self.place, self.size = place, size
        self.stock = self.built(gist=False)
        rows = 8 * size.utterances
        self.batch = f"{rows} rows of {size.frames} frames, {place.precision}"

    def built(self, gist: bool, groups: int = 1) -> setting.Setup:
        """Return a model on the device, its decoder in so many groups."""
        setup = setting.build(gist, arch=self.size.arch)
        if groups > 1:
            setting.split(setup, groups)
        return self.place.put(setup)

    def multiway(self, setup: setting.Setup) -> setting.Sample:
        """Return a batch on the CPU, every utterance in every language."""
        return setting.batch(setup, self.size.utterances, self.size.frames)

    def rows(self, setup: setting.Setup, with_languages: bool, **changes: Any) -> setting.Sample:
        """Return a batch on the device with audio for every row."""
        utterances = 8 * self.size.utterances if changes else self.size.utterances
        sample = setting.batch(setup, utterances, self.size.frames, **changes)
        return self.place.bring(setting.one_row_each(sample, with_languages))

    def compared(
        self, name: str, a: Callable[[], Any], b: Callable[[], Any], **words: Any
    ) -> Figure:
        """Compare two ways of doing something, in time and in memory."""
        a()
        b()
        details = {
            "device": self.place.describe(),
            "bytes_a": self.place.peak(a),
            "bytes_b": self.place.peak(b),
            **words.pop("details", {}),
        }
        words.setdefault("repeats", self.size.repeats)
        return compare(
            f"gpu_{name}_{self.place.precision}",
            a,
            b,
            pairs=self.size.pairs,
            wait=self.place.wait,
            details=details,
            **words,
        )


def _recording(bench: Bench) -> Iterator[Figure]:
    gist = bench.built(gist=True)
    sample = bench.rows(gist, with_languages=True)
    units = select_units(find_units(gist.model))
    recording(gist.model, units.values(), gist.model.routing)
    for name, sketch_dim in (("recording_step", 0), ("recording_step_sketch", SKETCH_DIM)):
        options = RecordingOptions(
            gradient_chunks=CHUNKS, sketch_dim=sketch_dim, statistics_device="model"
        )
        recorder = GradientRecorder(gist.model, units, setting.LANGUAGES, options, 1_000_000)

        def recorded(recorder: GradientRecorder = recorder) -> None:
            gist.model.routing.sink = recorder
            setting.backward(gist, sample)
            gist.model.routing.sink = None
            recorder.finish_update()

        for _ in range(CHUNKS):
            recorded()
        yield bench.compared(
            name,
            recorded,
            lambda: setting.backward(gist, sample),
            says_a=f"forward and backward of {bench.size.arch} with recording"
            f"{f' in sketches of {sketch_dim}' if sketch_dim else ''}, {bench.batch}",
            says_b="without",
            target="<= 1.05",
        )
        del recorder, recorded


def _encode_once(bench: Bench) -> Iterator[Figure]:
    gist = bench.built(gist=True)
    ours = bench.place.bring(bench.multiway(gist))
    theirs = bench.rows(gist, with_languages=False)
    yield bench.compared(
        "encode_once",
        lambda: setting.backward(gist, ours),
        lambda: setting.backward(bench.stock, theirs),
        says_a=f"forward and backward of {bench.size.arch} on {bench.size.utterances} utterances "
        f"in 8 languages, {bench.batch}",
        says_b="stock fairseq on the same pairs",
        faster=True,
        target=">= 4.2",
    )


def _held_out(bench: Bench) -> Iterator[Figure]:
    gist = bench.built(gist=True)
    sample = bench.multiway(gist)
    parts = [
        bench.place.bring(setting.of_language(sample, language))
        for language in range(len(setting.LANGUAGES))
    ]
    sums: List[Dict[str, torch.Tensor]] = [{} for _ in parts]
    bench.stock.model.eval()
    try:
        measured = Measured(gist, bench.place.bring(sample), statistics_device="model")
        yield bench.compared(
            "record_vs_per_language",
            measured.once,
            lambda: one_by_one(bench.stock, parts, sums),
            says_a=f"gradients of 8 languages on every unit of {bench.size.arch}'s decoder, kept "
            f"on the device, {bench.batch}",
            says_b="stock fairseq, a full forward and backward for each language, gradients added "
            "up on the CPU",
            faster=True,
            target=">= 5",
            repeats=1,
        )
    finally:
        bench.stock.model.train()


def _grouped(bench: Bench) -> Iterator[Figure]:
    for groups, target in ((4, "<= 1.10"), (8, "<= 1.20")):
        gist = bench.built(gist=True, groups=groups)
        ours, theirs = (bench.rows(gist, with_languages) for with_languages in (True, False))
        yield bench.compared(
            f"grouped_mixed_{groups}",
            lambda: setting.backward(gist, ours),  # noqa: B023
            lambda: setting.backward(bench.stock, theirs),  # noqa: B023
            says_a=f"forward and backward of {bench.size.arch}, decoder in {groups} groups, "
            f"{bench.batch}, of eight languages",
            says_b="stock fairseq, same rows",
            target=target,
        )
    one = {"languages": [0]}
    ours, theirs = (bench.rows(gist, with_languages, **one) for with_languages in (True, False))
    yield bench.compared(
        "grouped_single",
        lambda: setting.backward(gist, ours),
        lambda: setting.backward(bench.stock, theirs),
        says_a=f"forward and backward of {bench.size.arch}, decoder in {groups} groups, "
        f"{bench.batch}, of one language",
        says_b="stock fairseq, same rows",
        target="<= 1.02",
    )


def _generation(bench: Bench) -> Iterator[Figure]:
    gist, stock = bench.built(gist=True, groups=4), bench.built(gist=False)
    sample = setting.batch(gist, bench.size.sentences // 8, bench.size.frames)
    sample = bench.place.bring(setting.one_row_each(sample, with_languages=True))
    ours, theirs = contender(gist, sample), contender(stock, sample)
    exact = bench.place.precision == "fp32"  # equal beams need more than bf16's three digits
    details = same_work("generation", ours, theirs) if exact else _steps(ours, theirs)
    yield bench.compared(
        "generation_mixed",
        ours.hypotheses,
        theirs.hypotheses,
        says_a=f"beam search (5) of {bench.size.arch}, decoder in 4 groups, "
        f"{bench.size.sentences} sentences of eight languages, {bench.place.precision}",
        says_b="stock fairseq, same audio",
        target="<= 1.15",
        details=details,
        repeats=1,
    )


def _steps(*contenders: Contender) -> Dict[str, Any]:
    lengths = [
        max(len(hypothesis["tokens"]) for sentence in one.hypotheses() for hypothesis in sentence)
        for one in contenders
    ]
    return {"longest_hypotheses": lengths}


FIGURES: Dict[str, Callable[[Bench], Iterator[Figure]]] = {
    "grouped": _grouped,
    "recording": _recording,
    "encode_once": _encode_once,
    "held_out": _held_out,
    "generation": _generation,
}
"""What is measured, by name."""


def main() -> None:
    """Measure what the command line names."""
    size = Size()
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(FIGURES)}")
    parser.add_argument("--output", default="bench-gpu.json", help="default %(default)s")
    parser.add_argument("--device", default="cuda", help="default %(default)s")
    parser.add_argument(
        "--precision",
        action="append",
        choices=["bf16", "fp32"],
        help="may be repeated; default both",
    )
    for field in dataclasses.fields(Size):
        parser.add_argument(f"--{field.name}", type=type(field.default), default=field.default)
    args = parser.parse_args()
    unknown = [name for name in args.names if name not in FIGURES]
    if unknown:
        parser.error(f"there is no benchmark '{unknown[0]}'; there are {', '.join(FIGURES)}")
    if args.device == "cuda" and not torch.cuda.is_available():
        sys.exit("there is no CUDA device; --device cpu --arch s2t_transformer_xs is a rehearsal")
    size = Size(**{field.name: getattr(args, field.name) for field in dataclasses.fields(Size)})
    for precision in args.precision or ["bf16", "fp32"]:
        bench = Bench(Place(args.device, precision), size)
        for name in args.names or FIGURES:
            for figure in FIGURES[name](bench):
                _keep(args.output, figure)
    print(as_table(read_figures(args.output)))


def _keep(path: str, figure: Figure) -> None:
    """Put one figure into the file, in the place of an older one."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    others = [other for other in read_figures(path) if other.name != figure.name]
    write_figures(path, [*others, figure])


if __name__ == "__main__":
    main()
