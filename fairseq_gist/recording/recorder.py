"""Collecting gradients per language over a window of updates, in chunks.

Updates are dealt out to the chunks in turn, so that every chunk sees the whole window and the
model's drift in it does not make chunks differ. Within a chunk gradients are summed per language
and divided by the language's target tokens: one probe. Probes are kept until the window is over, in
fp32, whole or as sketches; memory is languages x chunks x the numbers kept of the units.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np
import torch
from torch import Tensor, nn

from fairseq_gist.errors import OptionError, StatisticsError
from fairseq_gist.gradients.neurons import NeuronGrams
from fairseq_gist.gradients.statistics import GradientStatistics
from fairseq_gist.nn.grouped import GroupedModule
from fairseq_gist.recording.gram import gram_of, gram_of_neurons
from fairseq_gist.recording.options import RecordingOptions
from fairseq_gist.recording.sketch import Sketch
from fairseq_gist.surgery.operations.divide import divisible_blocks
from fairseq_gist.surgery.shape import projections_in
from fairseq_gist.surgery.units import Unit, module_at

__all__ = ["GradientRecorder"]

Reduce = Callable[[Tensor], Tensor]


class GradientRecorder:
    """Takes gradients per language as they appear, and turns them into statistics.

    Gradients are added straight to the sums of the chunk whose turn it is. Where that can't be, the
    update under way is collected in a buffer of its own on the model's device, and costs another
    pass over it: under a loss scale, which has to be taken out, and where the sums are on another
    device.

    Args:
        model: whose units are recorded.
        units: the units.
        languages: of the model.
        options: how many chunks there will be, and how gradients are kept.
        updates_per_chunk: how many updates make a chunk.
        neurons: whether the statistics have the single neurons of feed-forward blocks, too.
        reduce: sums a tensor over the processes of a distributed run.
        is_scaled: whether losses are multiplied by a scale for their backward passes.
        weights: of a metric, see :func:`~fairseq_gist.recording.metric.metric_weights`.

    Raises:
        OptionError: when neurons or a metric are wanted and gradients aren't kept whole, or none of
            the units are a block with neurons.
    """

    def __init__(
        self,
        model: nn.Module,
        units: Mapping[str, Unit],
        languages: Sequence[str],
        options: RecordingOptions,
        updates_per_chunk: int = 1,
        *,
        neurons: bool = False,
        reduce: Optional[Reduce] = None,
        is_scaled: bool = False,
        weights: Optional[Mapping[str, Tensor]] = None,
    ) -> None:
        if weights and options.sketch_dim:
            raise OptionError("--sketch-dim: another metric is for whole gradients; leave it out")
        if neurons and options.sketch_dim:
            raise OptionError(
                "--sketch-dim: the gradients of single neurons are in whole gradients only; "
                "leave it out, or record fewer units (--units)"
            )
        self.units = dict(units)
        self.blocks = divisible_blocks(model, units) if neurons else {}
        self.languages = tuple(languages)
        self.chunks, self.updates_per_chunk = options.gradient_chunks, updates_per_chunk
        self.sketch_dim = options.sketch_dim
        self._reduce = reduce
        self._weights = dict(weights or {})
        self._model_device = next(model.parameters()).device
        is_beside = options.statistics_device == "model"
        self._device = self._model_device if is_beside else torch.device("cpu")
        self._is_buffered = is_scaled or self._device != self._model_device
        self._layout = {name: _layout(model, unit) for name, unit in units.items()}
        self._sizes = {name: unit.parameters for name, unit in units.items()}
        self._projections = projections_in(model, units)
        self._sketch: Optional[Sketch] = None
        if self.sketch_dim:
            self._sketch = Sketch(self.sketch_dim, max(self._sizes.values()))
            self._sizes = {name: self._sketch.size(size) for name, size in self._sizes.items()}
        self._buffer: Dict[str, Tensor] = {}
        # on the model's device: to have them on the CPU is to wait for it, update after update
        self._update_tokens = torch.zeros(
            len(languages), dtype=torch.float64, device=self._model_device
        )
        self._is_under_way = False
        self._sums: List[Dict[str, Tensor]] = [{} for _ in range(self.chunks)]
        self._tokens = self._update_tokens.new_zeros(self.chunks, len(languages))
        self.updates = 0

    @property
    def memory(self) -> Dict[str, int]:
        """Bytes that recorded gradients take once every chunk has an update, by device."""
        chunk = 4 * len(self.languages) * sum(self._sizes.values())
        taken = {str(self._device): self.chunks * chunk}
        if self._is_buffered:
            where = str(self._model_device)
            taken[where] = taken.get(where, 0) + chunk
        return taken

    def __str__(self) -> str:
        memory = " and ".join(f"{_size(size)} on {where}" for where, size in self.memory.items())
        return f"{len(self.units)} units, {memory}"

    @property
    def rounds(self) -> int:
        """Number of updates that every chunk has."""
        return self.updates // self.chunks

    @property
    def is_complete(self) -> bool:
        """Whether every chunk has all its updates."""
        return self.rounds >= self.updates_per_chunk

    def add(self, unit: str, part: str, languages: Sequence[int], gradients: Tensor) -> None:
        """Add gradients of the update under way; see :class:`nn.routing.GradientSink`."""
        if unit not in self._layout:
            return
        self._is_under_way = True
        start, stop = self._layout[unit][part]
        sums = self._buffer if self._is_buffered else self._sums[self.updates % self.chunks]
        if unit not in sums:
            sums[unit] = self._zeros(unit, gradients.device)
        held, flat = sums[unit], gradients.detach().flatten(1)
        if len(languages) == len(self.languages):
            pairs = [(held, flat)]
        else:
            pairs = [(held[language], own) for language, own in zip(languages, flat)]
        for own_held, own in pairs:
            if self._sketch is None:
                own_held[..., start:stop].add_(own)
            else:
                self._sketch.add(own_held, own, start)

    def _zeros(self, unit: str, device: torch.device) -> Tensor:
        size = (len(self.languages), self._sizes[unit])
        return torch.zeros(size, dtype=torch.float32, device=device)

    def count_tokens(self, tokens: Tensor) -> None:
        """Count target tokens of the update under way, `[languages]`."""
        self._update_tokens += tokens.to(self._model_device, torch.float64)

    def discard_update(self) -> None:
        """Forget the update under way: it overflowed, or was never applied.

        Without a buffer its gradients can't be told from the chunk's earlier ones any more, and the
        chunk loses those too, with their tokens: its probes are of fewer updates, but not biased.
        """
        if self._is_under_way and not self._is_buffered:
            chunk = self.updates % self.chunks
            self._sums[chunk].clear()
            self._tokens[chunk] = 0.0
        elif self._is_under_way:
            for held in self._buffer.values():
                held.zero_()
        self._begin_update()

    def _begin_update(self) -> None:
        self._update_tokens.zero_()
        self._is_under_way = False

    def finish_update(self, loss_scale: float = 1.0) -> None:
        """Count the update under way into the chunk whose turn it is.

        Args:
            loss_scale: by how much the loss was multiplied for the backward passes.

        Raises:
            ValueError: for a scale that the recorder wasn't told to expect.
        """
        chunk = self.updates % self.chunks
        if self._is_buffered:
            self._empty_buffer(self._sums[chunk], loss_scale)
        elif loss_scale != 1.0:
            raise ValueError(f"a loss scale of {loss_scale}, but the recorder expects none")
        self._tokens[chunk] += self._update_tokens
        self._begin_update()
        self.updates += 1

    def _empty_buffer(self, sums: Dict[str, Tensor], loss_scale: float) -> None:
        for unit, held in self._buffer.items():
            update = held.div_(loss_scale).to(self._device)
            if unit in sums:
                sums[unit].add_(update)
            else:
                sums[unit] = update.clone() if update is held else update
            held.zero_()

    def gather(self) -> None:
        """Sum what was recorded over all processes; every process must call this.

        Afterwards each of them has the sum, and all but one must :meth:`forget` it before going on.
        """
        if self._reduce is None:
            return
        self._take_back()
        self._tokens = self._reduce(self._tokens)
        for sums in self._sums:
            for unit in self.units:
                part = sums.get(unit)
                part = self._zeros(unit, self._model_device) if part is None else part
                sums[unit] = self._reduce(part.to(self._model_device)).to(self._device)

    def _take_back(self) -> None:
        """Take gradients of an unfinished update out of the sums: a run that fails is saved so."""
        if self._is_under_way and not self._is_buffered:
            self.discard_update()

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
            provenance: where the data came from; the width of sketches is added.

        Raises:
            StatisticsError: when a chunk has no update, or a language never occurred.
        """
        if self.rounds < 1:
            raise StatisticsError(
                f"gradients were recorded in {self.updates} updates, which don't fill "
                f"{self.chunks} chunks"
            )
        tokens = self._tokens.cpu().numpy()
        chunk_of, language_of = np.nonzero(tokens > 0)
        kept = {"sketch_dim": self.sketch_dim} if self.sketch_dim else {}
        own_tokens = self._tokens[chunk_of, language_of][:, None].to(self._device)

        def probes(unit: str) -> List[Tensor]:
            absent = self._zeros(unit, self._device)
            own = [
                self._sums[chunk].get(unit, absent)[language]
                for chunk, language in zip(chunk_of, language_of)
            ]
            weights = self._weights.get(unit)
            return own if weights is None else [probe * weights.to(probe) for probe in own]

        gram = np.stack([gram_of(probes(unit), own_tokens) for unit in self.units])
        neurons = {}
        for first, (second, count) in self.blocks.items():
            layouts = self._layout[first], self._layout[second]
            products = gram_of_neurons(probes(first), probes(second), layouts, count, own_tokens)
            sizes = self._sizes[first] // count, _length(layouts[1]["weight"]) // count
            neurons[first] = NeuronGrams(second, products, *sizes)
        return GradientStatistics(
            languages=self.languages,
            units=tuple(self.units),
            unit_parameters=np.array([u.parameters for u in self.units.values()], dtype=np.int64),
            shared_parameters=shared_parameters,
            gram=gram,
            probe_languages=language_of.astype(np.int64),
            probe_chunks=chunk_of.astype(np.int64),
            probe_tokens=tokens[chunk_of, language_of].astype(np.float64),
            provenance={**(provenance or {}), **kept},
            neurons=neurons,
            unit_widths=np.array(
                [self._projections.get(unit, (0, 0)) for unit in self.units], dtype=np.int64
            ),
        )

    def state_dict(self) -> Dict[str, Any]:
        """Return everything gathered so far, on the CPU, without an unfinished update."""
        self._take_back()
        return {
            "units": list(self.units),
            "languages": list(self.languages),
            "chunks": self.chunks,
            "updates_per_chunk": self.updates_per_chunk,
            "updates": self.updates,
            "sketch_dim": self.sketch_dim,
            "sums": [{unit: held.cpu() for unit, held in sums.items()} for sums in self._sums],
            "tokens": self._tokens.cpu(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what was gathered before, in the state's own tensors; chunks are as there."""
        self.chunks, self.updates_per_chunk = state["chunks"], state["updates_per_chunk"]
        self.updates = state["updates"]
        self._sums = [
            {unit: held.to(self._device) for unit, held in sums.items()} for sums in state["sums"]
        ]
        self._tokens = state["tokens"].to(self._model_device, copy=True)


def is_whole(state: Any, languages: int) -> bool:
    """Return whether that is what :meth:`GradientRecorder.state_dict` gives, and not a damaged one.

    Args:
        state: of a recorder.
        languages: how many there are.
    """
    if not isinstance(state, Mapping):
        return False
    counts = [state.get(name) for name in ("chunks", "updates_per_chunk", "updates")]
    if not all(type(count) is int and count >= 0 for count in counts) or 0 in counts[:2]:
        return False
    chunks, sums, tokens = counts[0], state.get("sums"), state.get("tokens")
    return (
        isinstance(tokens, Tensor)
        and tuple(tokens.shape) == (chunks, languages)
        and isinstance(sums, list)
        and len(sums) == chunks
        and all(isinstance(chunk, dict) for chunk in sums)
        and all(
            isinstance(held, Tensor) and held.dim() > 0 and len(held) == languages
            for chunk in sums
            for held in chunk.values()
        )
    )


def _length(place: Tuple[int, int]) -> int:
    return place[1] - place[0]


def _size(number: int) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6)):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return f"{number / 1e3:.1f} kB"


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
