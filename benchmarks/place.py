"""Where a benchmark runs, and in how many bits."""

from __future__ import annotations

from typing import Any, Callable, Dict, NamedTuple

import torch

from benchmarks.setting import Sample, Setup
from fairseq_gist.data.known_rows import KNOWN_ROWS, KnownRows, tell_rows

__all__ = ["Place"]

_BITS = {"fp32": torch.float32, "bf16": torch.bfloat16}


class Place(NamedTuple):
    """A device and a precision, ``fp32`` or ``bf16``.

    In bf16 model and input are, as fairseq's ``--bf16`` has them; the optimizer's fp32 copies are
    of no concern here.
    """

    device: str
    precision: str

    def put(self, setup: Setup) -> Setup:
        """Move a model there; return its setup."""
        setup.model.to(self.device, _BITS[self.precision])
        return setup

    def bring(self, sample: Sample) -> Sample:
        """Return a batch there, whose rows are known as they are in training."""
        own = sample["net_input"]
        known = KnownRows([])
        if "lang_ids" in own:
            known = KnownRows(
                own["lang_ids"].tolist(),
                own["prev_output_tokens"][:, 1].tolist(),
                own["utterances"].tolist() if "utterances" in own else None,
            )
        there: Dict[str, Any] = {
            **sample,
            "target": sample["target"].to(self.device),
            "target_lengths": sample["target_lengths"].to(self.device),
            "net_input": {name: self._moved(value) for name, value in own.items()},
        }
        if "lang_ids" in own:
            there[KNOWN_ROWS] = known
            tell_rows(there)
        return there

    def _moved(self, value: torch.Tensor) -> torch.Tensor:
        there = value.to(self.device)
        return there.to(_BITS[self.precision]) if there.is_floating_point() else there

    def wait(self) -> None:
        """Wait until the device has done all it was given."""
        if self.device != "cpu":
            torch.cuda.synchronize()

    def peak(self, action: Callable[[], Any]) -> int:
        """Return the most bytes of the device that were taken at once while ``action`` ran."""
        if self.device == "cpu":
            return 0
        self.wait()
        torch.cuda.reset_peak_memory_stats()
        action()
        self.wait()
        return int(torch.cuda.max_memory_allocated())

    def describe(self) -> str:
        """Return the name of the device."""
        return "the CPU" if self.device == "cpu" else torch.cuda.get_device_name()
