"""Collecting gradients per language over a window of updates, chunk by chunk.

A chunk is a run of consecutive updates. Within it gradients are summed per language and divided
by the language's target tokens: one probe. What is kept for every probe is its whole vector, in
fp32 on the CPU, until the window is over; memory is languages x chunks x the units' parameters.
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
        self._chunk: Dict[str, Tensor] = {}
        self._chunk_tokens = torch.zeros(len(languages), dtype=torch.float64)
        self._updates_in_chunk = 0
        self._finished: List[Dict[str, Tensor]] = []
        self._finished_tokens: List[Tensor] = []

    @property
    def finished_chunks(self) -> int:
        """Number of chunks that are complete."""
        return len(self._finished)

    @property
    def is_complete(self) -> bool:
        """Whether all chunks are there."""
        return self.finished_chunks >= self.chunks

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

    def finish_update(self, loss_scale: float = 1.0) -> bool:
        """Add the update under way to its chunk; True when that completes a chunk.

        Args:
            loss_scale: by how much the loss was multiplied for the backward passes.
        """
        for unit, held in self._update.items():
            held.div_(loss_scale)
            if unit in self._chunk:
                self._chunk[unit] += held
            else:
                self._chunk[unit] = held.clone()
        self._chunk_tokens += self._update_tokens
        self.discard_update()
        self._updates_in_chunk += 1
        if self._updates_in_chunk < self.updates_per_chunk:
            return False
        self._finish_chunk()
        return True

    def _finish_chunk(self) -> None:
        self.gather()
        tokens = self._chunk_tokens.clone()
        per_token = (1.0 / tokens.clamp(min=1.0)).float()[:, None]
        self._finished.append(
            {
                unit: self._chunk.get(unit, torch.zeros(len(self.languages), size.parameters))
                .to("cpu", copy=True)
                .mul_(per_token)
                for unit, size in self.units.items()
            }
        )
        self._finished_tokens.append(tokens)
        self._chunk.clear()
        self._chunk_tokens.zero_()
        self._updates_in_chunk = 0

    def gather(self) -> None:
        """Sum the chunk under way over all processes into the first, where it is kept."""
        if self._reduce is None:
            return
        self._chunk_tokens = self._reduce(self._chunk_tokens.to(self._device)).cpu()
        for unit, size in self.units.items():
            part = self._chunk.get(unit)
            if part is None:
                part = torch.zeros(len(self.languages), size.parameters, device=self._device)
            self._chunk[unit] = self._reduce(part)

    def statistics(
        self, shared_parameters: int, provenance: Optional[Mapping[str, Any]] = None
    ) -> GradientStatistics:
        """Return what the finished chunks say.

        Args:
            shared_parameters: parameters of the model when everything is shared.
            provenance: where the data came from.

        Raises:
            StatisticsError: with fewer than two chunks, or a language that never occurred.
        """
        if self.finished_chunks < 2:
            raise StatisticsError(
                f"gradients were recorded in {self.finished_chunks} chunks; at least 2 are needed"
            )
        tokens = torch.stack(self._finished_tokens).numpy()
        chunk_of, language_of = np.nonzero(tokens > 0)
        gram = np.stack(
            [self._gram(unit, chunk_of, language_of) for unit in self.units]
        )
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
        self, unit: str, chunk_of: np.ndarray, language_of: np.ndarray
    ) -> "np.ndarray[Any, np.dtype[np.float64]]":
        """Return inner products of the probes, summed in fp64 over slices of columns."""
        probes = [self._finished[c][unit][l] for c, l in zip(chunk_of, language_of)]
        gram = np.zeros((len(probes), len(probes)))
        for start in range(0, self.units[unit].parameters, _COLUMNS_AT_ONCE):
            part = torch.stack([p[start : start + _COLUMNS_AT_ONCE] for p in probes]).double()
            gram += (part @ part.t()).numpy()
        return gram

    def mean_gradients(self, unit: str) -> Tensor:
        """Return each language's gradient per token over all finished chunks, `[languages, n]`."""
        return torch.stack([chunk[unit] for chunk in self._finished]).mean(0)

    def state_dict(self) -> Dict[str, Any]:
        """Return everything gathered so far, on the CPU."""
        return {
            "units": list(self.units),
            "languages": list(self.languages),
            "chunks": self.chunks,
            "updates_per_chunk": self.updates_per_chunk,
            "updates_in_chunk": self._updates_in_chunk,
            "chunk": {unit: tensor.cpu() for unit, tensor in self._chunk.items()},
            "chunk_tokens": self._chunk_tokens,
            "finished": self._finished,
            "finished_tokens": self._finished_tokens,
        }

    def fits(self, state: Mapping[str, Any]) -> bool:
        """Whether ``state`` is of the same units and languages as this recorder."""
        return state["units"] == list(self.units) and state["languages"] == list(self.languages)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what was gathered before; chunk lengths are those of the state."""
        self.chunks, self.updates_per_chunk = state["chunks"], state["updates_per_chunk"]
        self._updates_in_chunk = state["updates_in_chunk"]
        self._chunk = {unit: tensor.to(self._device) for unit, tensor in state["chunk"].items()}
        self._chunk_tokens = state["chunk_tokens"].clone()
        self._finished = list(state["finished"])
        self._finished_tokens = list(state["finished_tokens"])

    def forget_chunk(self) -> None:
        """Drop the chunk under way: another process has it."""
        self._chunk.clear()
        self._chunk_tokens.zero_()


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
