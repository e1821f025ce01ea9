"""Collecting gradients per language over a window of updates, in chunks.

Updates are dealt out to the chunks in turn, so that every chunk sees the whole window and the
model's drift in it does not make chunks differ. Within a chunk gradients are summed per language
and divided by the language's target tokens: one probe. Every probe is kept whole, in fp32, until
the window is over; memory is languages x (chunks + 1) x the units' parameters.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np
import torch
from torch import Tensor, nn

from fairseq_gist.errors import StatisticsError
from fairseq_gist.nn.grouped import GroupedModule
from fairseq_gist.statistics import GradientStatistics
from fairseq_gist.surgery.units import Unit, module_at

__all__ = ["GradientRecorder"]

_COLUMNS_AT_ONCE = 1 << 18

Reduce = Callable[[Tensor], Tensor]


class GradientRecorder:
    """Takes gradients per language as they appear, and turns them into statistics.

    Args:
        model: whose units are recorded.
        units: the units.
        languages: of the model.
        chunks: how many chunks there will be.
        updates_per_chunk: how many updates make one.
        reduce: sums a tensor over the processes of a distributed run.
    """

    def __init__(
        self,
        model: nn.Module,
        units: Mapping[str, Unit],
        languages: Sequence[str],
        chunks: int,
        updates_per_chunk: int,
        reduce: Optional[Reduce] = None,
    ) -> None:
        self.units = dict(units)
        self.languages = tuple(languages)
        self.chunks, self.updates_per_chunk = chunks, updates_per_chunk
        self._reduce = reduce
        self._device = next(model.parameters()).device
        self._layout = {name: _layout(model, unit) for name, unit in units.items()}
        self._update: Dict[str, Tensor] = {}
        self._update_tokens = torch.zeros(len(languages), dtype=torch.float64)
        self._sums: List[Dict[str, Tensor]] = [{} for _ in range(chunks)]
        self._tokens = torch.zeros(chunks, len(languages), dtype=torch.float64)
        self.updates = 0

    @property
    def rounds(self) -> int:
        """Number of updates that every chunk has."""
        return self.updates // self.chunks

    @property
    def is_complete(self) -> bool:
        """Whether every chunk has all its updates."""
        return self.rounds >= self.updates_per_chunk

    def add(self, unit: str, part: str, language: int, gradient: Tensor) -> None:
        """Add a gradient of the update under way; see :class:`nn.routing.GradientSink`."""
        if unit not in self._layout:
            return
        start, stop = self._layout[unit][part]
        held = self._update.get(unit)
        if held is None:
            size = (len(self.languages), self.units[unit].parameters)
            held = self._update[unit] = torch.zeros(
                size, dtype=torch.float32, device=gradient.device
            )
        held[language, start:stop].add_(gradient.detach().reshape(-1).float())

    def count_tokens(self, tokens: Tensor) -> None:
        """Count target tokens of the update under way, `[languages]`."""
        self._update_tokens += tokens.to("cpu", torch.float64)

    def discard_update(self) -> None:
        """Forget the update under way: it overflowed, or was never applied."""
        for held in self._update.values():
            held.zero_()
        self._update_tokens.zero_()

    def finish_update(self, loss_scale: float = 1.0) -> None:
        """Add the update under way to the chunk whose turn it is.

        Args:
            loss_scale: by how much the loss was multiplied for the backward passes.
        """
        chunk = self.updates % self.chunks
        for unit, held in self._update.items():
            held.div_(loss_scale)
            if unit in self._sums[chunk]:
                self._sums[chunk][unit] += held.to(self._sums[chunk][unit].device)
            else:
                self._sums[chunk][unit] = held.to("cpu", copy=True)
        self._tokens[chunk] += self._update_tokens
        self.discard_update()
        self.updates += 1

    def gather(self) -> None:
        """Sum what was recorded over all processes; every process must call this.

        Afterwards each of them has the sum, and all but one must :meth:`forget` it before going on.
        """
        if self._reduce is None:
            return
        self._tokens = self._reduce(self._tokens.to(self._device)).cpu()
        for sums in self._sums:
            for unit, size in self.units.items():
                part = sums.get(unit, torch.zeros(len(self.languages), size.parameters))
                sums[unit] = self._reduce(part.to(self._device)).cpu()

    def forget(self) -> None:
        """Drop what was recorded: another process has it."""
        for sums in self._sums:
            sums.clear()
        self._tokens.zero_()

    def statistics(
        self, shared_parameters: int, provenance: Optional[Mapping[str, Any]] = None
    ) -> GradientStatistics:
        """Return what the chunks say.

        Args:
            shared_parameters: parameters of the model when everything is shared.
            provenance: where the data came from.

        Raises:
            StatisticsError: when a chunk has no update, or a language never occurred.
        """
        if self.rounds < 1:
            raise StatisticsError(
                f"gradients were recorded in {self.updates} updates, which don't fill "
                f"{self.chunks} chunks"
            )
        tokens = self._tokens.numpy()
        chunk_of, language_of = np.nonzero(tokens > 0)
        gram = np.stack([self._gram(unit, chunk_of, language_of) for unit in self.units])
        return GradientStatistics(
            languages=self.languages,
            units=tuple(self.units),
            unit_parameters=np.array([u.parameters for u in self.units.values()], dtype=np.int64),
            shared_parameters=shared_parameters,
            gram=gram,
            probe_languages=language_of.astype(np.int64),
            probe_chunks=chunk_of.astype(np.int64),
            probe_tokens=tokens[chunk_of, language_of].astype(np.float64),
            provenance=dict(provenance or {}),
        )

    def _gram(
        self, unit: str, chunk_of: np.ndarray[Any, Any], language_of: np.ndarray[Any, Any]
    ) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Return inner products of the probes, summed in fp64 over slices of columns."""
        size = self.units[unit].parameters
        probes = [
            self._sums[chunk][unit][language] if unit in self._sums[chunk] else torch.zeros(size)
            for chunk, language in zip(chunk_of, language_of)
        ]
        tokens = self._tokens[chunk_of, language_of][:, None]
        gram = np.zeros((len(probes), len(probes)))
        for start in range(0, size, _COLUMNS_AT_ONCE):
            part = torch.stack([probe[start : start + _COLUMNS_AT_ONCE] for probe in probes])
            part = part.double() / tokens
            gram += (part @ part.t()).numpy()
        return gram

    def state_dict(self) -> Dict[str, Any]:
        """Return everything gathered so far, on the CPU."""
        return {
            "units": list(self.units),
            "languages": list(self.languages),
            "chunks": self.chunks,
            "updates_per_chunk": self.updates_per_chunk,
            "updates": self.updates,
            "sums": self._sums,
            "tokens": self._tokens,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what was gathered before; chunks are as in the state."""
        self.chunks, self.updates_per_chunk = state["chunks"], state["updates_per_chunk"]
        self.updates = state["updates"]
        self._sums = [dict(sums) for sums in state["sums"]]
        self._tokens = state["tokens"].clone()


def _layout(model: nn.Module, unit: Unit) -> Dict[str, Tuple[int, int]]:
    """Return where each parameter of a unit lies in its gradient vector."""
    layout: Dict[str, Tuple[int, int]] = {}
    start = 0
    for path in unit.paths:
        module = module_at(model, path)
        leaf = module.copies[0] if isinstance(module, GroupedModule) else module
        for name, parameter in leaf.named_parameters(recurse=False):
            if name not in layout:
                layout[name] = (start, start + parameter.numel())
                start += parameter.numel()
    return layout
