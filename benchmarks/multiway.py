"""What encoding an utterance once saves, in training and in measuring gradients."""

from __future__ import annotations

from typing import Any, Dict, List

import torch

from benchmarks import setting
from benchmarks.figures import Figure, compare
from fairseq_gist.host.context import MeasuringContext
from fairseq_gist.recording.measuring import only_units_learn, record_batch
from fairseq_gist.recording.options import RecordingOptions
from fairseq_gist.recording.recorder import GradientRecorder
from fairseq_gist.recording.watching import recording
from fairseq_gist.surgery.units import find_units, select_units

__all__ = ["Measured", "held_out", "one_by_one", "training"]


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


def held_out(pairs: int) -> List[Figure]:
    """Compare measuring gradients per language with a full forward and backward for each.

    That is what public implementations do: the model in eval mode, one pass over a language's
    batch at a time, and every gradient it leaves moved to the CPU and added up there.
    """
    stock, gist = setting.build(gist=False), setting.build(gist=True)
    sample = setting.batch(gist, 2)
    of_language = [
        setting.of_language(sample, language) for language in range(len(setting.LANGUAGES))
    ]
    stock.model.eval()
    sums: List[Dict[str, torch.Tensor]] = [{} for _ in of_language]

    measured = Measured(gist, sample)
    one_by_one(stock, of_language, sums)
    measured.once()
    error = measured.difference(sums)
    return [
        compare(
            "record_vs_per_language",
            measured.once,
            lambda: one_by_one(stock, of_language, sums),
            says_a="gradients of 8 languages on every unit of s2t_transformer_m's decoder, "
            "2 utterances in 8 languages, as `fairseq-gist record` takes them",
            says_b="stock fairseq, a full forward and backward for each language, gradients added "
            "up on the CPU",
            pairs=pairs,
            faster=True,
            target=">= 5",
            details={"largest_relative_difference": error},
        )
    ]


def one_by_one(
    stock: setting.Setup, batches: List[setting.Sample], sums: List[Dict[str, torch.Tensor]]
) -> None:
    """Run a full forward and backward for each batch and add its gradients to sums on the CPU."""
    for batch, total in zip(batches, sums):
        stock.criterion(stock.model, batch)[0].backward()
        for name, parameter in stock.model.named_parameters():
            gradient = parameter.grad.cpu()
            total[name] = total[name].add_(gradient) if name in total else gradient.clone()
            parameter.grad = None


class Measured:
    """What ``fairseq-gist record`` does with a batch.

    Args:
        gist: the model, which is in eval mode afterwards.
        sample: the batch.
        statistics_device: as the option of that name.
    """

    def __init__(self, gist: setting.Setup, sample: Any, statistics_device: str = "cpu") -> None:
        self.gist, self.sample = gist, sample
        self.options = RecordingOptions(gradient_chunks=1, statistics_device=statistics_device)
        self.units = select_units(find_units(gist.model))
        recording(gist.model, self.units.values(), gist.model.routing)
        gist.model.eval()
        self.recorder = self._recorder()
        self.context = MeasuringContext(gist.model, gist.criterion)

    def _recorder(self) -> GradientRecorder:
        return GradientRecorder(
            self.gist.model, self.units, setting.LANGUAGES, self.options, 1_000_000
        )

    def once(self) -> None:
        """Measure the batch."""
        with only_units_learn(self.gist.model, self.units.values()):
            record_batch(self.recorder, self.context, self.gist.task, self.sample)
        self.recorder.finish_update()

    def difference(self, sums: List[Dict[str, torch.Tensor]]) -> float:
        """Return the largest relative difference to gradients by language and parameter."""
        recorded = self.recorder.state_dict()["sums"][0]
        expected = {
            name: [
                torch.cat([of[f"{name}.{part}"].flatten() for part in ("weight", "bias")])
                for of in sums
            ]
            for name in self.units
        }
        # some are zero but for rounding: adding to all keys leaves a softmax as it is
        least = 1e-3 * max(float(one.norm()) for of in expected.values() for one in of)
        return max(
            float((own - other).norm() / other.norm().clamp(min=least))
            for name, of in expected.items()
            for own, other in zip(recorded[name], of)
        )
