"""What recording gradients per language costs."""

from __future__ import annotations

from typing import List

from benchmarks import setting
from benchmarks.figures import Figure, compare
from fairseq_gist.surgery.units import find_units, select_units
from fairseq_gist.training.recorder import GradientRecorder
from fairseq_gist.training.window import watch_units

__all__ = ["step"]


def step(pairs: int) -> List[Figure]:
    """Compare training steps with and without recording."""
    gist = setting.build(gist=True)
    sample = setting.one_row_each(setting.batch(gist, 4), with_languages=True)
    units = select_units(find_units(gist.model))
    recorder = GradientRecorder(gist.model, units, setting.LANGUAGES, 8, 1_000_000)
    watch_units(gist.model, units.values(), gist.model.routing)

    def recorded() -> None:
        gist.model.routing.sink = recorder
        setting.backward(gist, sample)
        gist.model.routing.sink = None
        recorder.finish_update()

    return [
        compare(
            "recording_step",
            recorded,
            lambda: setting.backward(gist, sample),
            says_a="forward and backward of s2t_transformer_m with recording, 32 rows",
            says_b="without",
            pairs=pairs,
            target="<= 1.05",
        )
    ]
