"""What recording gradients per language costs, in time and memory, and what sketches lose."""

from __future__ import annotations

from typing import Any, Dict, List, Sequence

import numpy as np
import torch
from torch import Tensor

from benchmarks import setting
from benchmarks.figures import Figure, compare
from fairseq_gist.recording.options import RecordingOptions
from fairseq_gist.recording.recorder import GradientRecorder
from fairseq_gist.recording.sketch import cosine_error, prime_from
from fairseq_gist.recording.watching import recording
from fairseq_gist.surgery.units import find_units, select_units

__all__ = ["step"]

CHUNKS = 8
SKETCH_DIM = 4096


def step(pairs: int) -> List[Figure]:
    """Compare training steps with and without recording, whole gradients and sketches.

    Every chunk has an update before: the memory is there, as it is in all of a window but its
    first eighth. The last figure is what sketches lose.
    """
    gist = setting.build(gist=True)
    sample = setting.one_row_each(setting.batch(gist, 4), with_languages=True)
    return [
        _step("recording_step", gist, sample, pairs, 0, "with recording"),
        _step(
            "recording_step_sketch",
            gist,
            sample,
            pairs,
            SKETCH_DIM,
            f"with recording in sketches of {SKETCH_DIM}",
        ),
        _sketch_error(gist),
    ]


def _step(
    name: str, gist: setting.Setup, sample: Dict[str, Any], pairs: int, sketch_dim: int, how: str
) -> Figure:
    recorder = _recorder(gist, CHUNKS, sketch_dim)
    short = setting.batch(gist, 1, frames=40, tokens=4)
    for _ in range(CHUNKS):
        _record(gist, recorder, short)
        recorder.finish_update()

    def recorded() -> None:
        _record(gist, recorder, sample)
        recorder.finish_update()

    return compare(
        name,
        recorded,
        lambda: setting.backward(gist, sample),
        says_a=f"forward and backward of s2t_transformer_m {how}, 32 rows",
        says_b="without",
        pairs=pairs,
        target="<= 1.05",
        details={
            "chunks": CHUNKS,
            "languages": len(setting.LANGUAGES),
            "units": len(recorder.units),
            "bytes": sum(recorder.memory.values()),
        },
    )


def _recorder(gist: setting.Setup, chunks: int, sketch_dim: int) -> GradientRecorder:
    units = select_units(find_units(gist.model))
    recording(gist.model, units.values(), gist.model.routing)
    options = RecordingOptions(gradient_chunks=chunks, sketch_dim=sketch_dim)
    return GradientRecorder(gist.model, units, setting.LANGUAGES, options, 1_000_000)


def _record(gist: setting.Setup, sink: Any, sample: Dict[str, Any]) -> None:
    gist.model.routing.sink = sink
    setting.backward(gist, sample)
    gist.model.routing.sink = None


class _Both:
    """Gives two recorders the same gradients."""

    def __init__(self, *recorders: GradientRecorder) -> None:
        self.recorders = recorders

    def add(self, unit: str, part: str, languages: Sequence[int], gradients: Tensor) -> None:
        for recorder in self.recorders:
            recorder.add(unit, part, languages, gradients)


def _sketch_error(gist: setting.Setup) -> Figure:
    """Compare the cosines of sketches with those of whole gradients, on the same batches."""
    exact, sketched = (_recorder(gist, 2, dim) for dim in (0, SKETCH_DIM))
    for tokens in (25, 20):
        sample = setting.one_row_each(setting.batch(gist, 4, tokens=tokens), with_languages=True)
        _record(gist, _Both(exact, sketched), sample)
        for recorder in (exact, sketched):
            recorder.count_tokens(torch.full((len(setting.LANGUAGES),), 4.0 * tokens))
            recorder.finish_update()
    above = np.triu_indices(len(setting.LANGUAGES), k=1)
    cosines, found = (
        recorder.statistics(0).cosines(debiased=False)[:, above[0], above[1]]
        for recorder in (exact, sketched)
    )
    errors = abs(found - cosines)
    width = prime_from(SKETCH_DIM)
    predicted = np.vectorize(cosine_error)(cosines, width)
    predicted[[unit.parameters <= width for unit in exact.units.values()]] = 0.0
    return Figure(
        name="sketch_error",
        value=_rms(errors),
        unit="rms error of cosine",
        a=f"cosines of the decoder's units of s2t_transformer_m, sketches of {SKETCH_DIM}",
        b="whole gradients",
        pairs=errors.size,
        minimum=float(errors.min()),
        maximum=float(errors.max()),
        details={
            "predicted": _rms(predicted),
            "cosine_mean": float(cosines.mean()),
            "cosine_min": float(cosines.min()),
            "cosine_max": float(cosines.max()),
            "bytes": sum(sketched.memory.values()),
            "bytes_whole": sum(exact.memory.values()),
        },
    )


def _rms(values: Any) -> float:
    return float(np.sqrt(np.mean(values**2)))
