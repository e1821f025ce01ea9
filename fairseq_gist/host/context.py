"""What is known of the run that something happens in, whoever started it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable, Optional, Sequence

import torch
from torch import Tensor

from fairseq_gist.host.protocols import Criterion

__all__ = ["MeasuringContext", "Processes"]


@dataclass(frozen=True)
class Processes:
    """The processes that train one model, each on its own batches.

    Attributes:
        index: of this process.
        count: how many there are.
        add_up: sums a tensor over all of them, each of which must call it; None where there is one.
    """

    index: int = 0
    count: int = 1
    add_up: Optional[Callable[[Tensor], Tensor]] = None

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes files."""
        return self.index == 0

    def share(self, things: Sequence[Any]) -> Sequence[Any]:
        """Return which of ``things`` are this process's; every one is some process's."""
        return things[self.index :: self.count]


@dataclass(frozen=True)
class MeasuringContext:
    """What measuring gradients outside a training step needs to know.

    Attributes:
        model: bare, without a distributed wrapper.
        criterion: whose loss has the gradients.
        to_device: moves a batch to the model's device.
        loss_scale: by how much losses are multiplied for a backward pass.
        autocast: whether passes are under autocast.
        max_tokens: frames a batch, None for any number.
        max_sentences: rows or utterances a batch, None for any number.
        processes: among which the data is shared.
    """

    model: Any
    criterion: Criterion
    to_device: Callable[[Any], Any] = field(default=lambda sample: sample)
    loss_scale: float = 1.0
    autocast: bool = False
    max_tokens: Optional[int] = None
    max_sentences: Optional[int] = None
    processes: Processes = field(default_factory=Processes)

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        device: torch.device = next(self.model.parameters()).device
        return device
