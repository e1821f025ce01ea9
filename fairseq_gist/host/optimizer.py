"""Watching an optimizer of fairseq without getting in its way.

The watched optimizer stays the object it was: its class becomes a subclass, of the same name, of
what it was. So ``isinstance`` checks hold (autocast depends on one), schedulers accept it, and
fairseq's comparison of class names lets a stock checkpoint resume under it and the other way round.
"""

from __future__ import annotations

import logging
from typing import Any, Dict, List, Optional, Protocol, Type

import torch
from fairseq.optim import FairseqOptimizer

__all__ = [
    "MASTERS_KEY",
    "STATE_KEY",
    "OptimizerObserver",
    "carry_scaler",
    "has_loss_scale",
    "loss_scale",
    "observe",
    "step_was_taken",
]

STATE_KEY = "gist_recording"
"""Entry of the optimizer's state dict that holds what was gathered so far."""


MASTERS_KEY = "gist_masters"
"""Entry with the fp32 masters of half-precision parameters, in their order.

fairseq saves none: a resumed run begins with what the halves say, and is another from then on.
"""

logger = logging.getLogger(__name__)


class OptimizerObserver(Protocol):
    """What wants to know of an optimizer's steps."""

    def update_finished(self, loss_scale: float) -> None:
        """A step was taken with finite gradients."""

    def update_dropped(self) -> None:
        """Gradients were cleared, or a step overflowed."""

    def recording_state(self) -> Optional[Dict[str, Any]]:
        """Return what has to be in a checkpoint."""

    def load_recording_state(self, state: Dict[str, Any]) -> None:
        """Take what was in a checkpoint."""


class _Observed:
    """Methods put in front of those of the optimizer's own class."""

    gist_observer: Optional[OptimizerObserver]
    gist_scale: float = 1.0
    gist_finite: bool = True

    def backward(self, loss: torch.Tensor) -> None:
        self.gist_scale = loss_scale(self)
        super().backward(loss)  # type: ignore[misc]

    def clip_grad_norm(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        norm: torch.Tensor = super().clip_grad_norm(*args, **kwargs)  # type: ignore[misc]
        self.gist_finite = bool(torch.isfinite(torch.as_tensor(norm)).all())
        return norm

    def step(self, *args: Any, **kwargs: Any) -> None:
        super().step(*args, **kwargs)  # type: ignore[misc]
        if self.gist_observer is None:
            return
        if self.gist_finite:
            self.gist_observer.update_finished(self.gist_scale)
        else:
            self.gist_observer.update_dropped()

    def zero_grad(self) -> None:
        super().zero_grad()  # type: ignore[misc]
        if self.gist_observer is not None:
            self.gist_observer.update_dropped()

    def state_dict(self) -> Dict[str, Any]:
        state: Dict[str, Any] = {**super().state_dict()}  # type: ignore[misc]
        masters = _masters(self)
        if masters:
            state[MASTERS_KEY] = [master.detach().cpu() for master in masters]
        recording = None if self.gist_observer is None else self.gist_observer.recording_state()
        if recording is not None:
            state[STATE_KEY] = recording
        return state

    def load_state_dict(self, state: Dict[str, Any], *args: Any, **kwargs: Any) -> None:
        own = dict(state)
        recording, masters = own.pop(STATE_KEY, None), own.pop(MASTERS_KEY, None)
        super().load_state_dict(own, *args, **kwargs)  # type: ignore[misc]
        if masters is not None:
            _take_masters(self, masters)
        if recording is not None and self.gist_observer is not None:
            self.gist_observer.load_recording_state(recording)


_observed_classes: Dict[Type[FairseqOptimizer], Type[FairseqOptimizer]] = {}


def observe(optimizer: FairseqOptimizer, observer: Optional[OptimizerObserver]) -> None:
    """Have ``observer`` told of every step of ``optimizer``, and have its state kept with it.

    Masters are kept with the optimizer's state whether anybody observes or not.
    """
    plain = type(optimizer)
    if not issubclass(plain, _Observed):
        if plain not in _observed_classes:
            _observed_classes[plain] = type(plain.__name__, (_Observed, plain), {})
        optimizer.__class__ = _observed_classes[plain]
    optimizer.gist_observer = observer


def _masters(optimizer: Any) -> List[torch.Tensor]:
    """Return the fp32 masters of an optimizer: one a parameter, or flat ones; none without fp16."""
    masters = getattr(optimizer, "fp32_params", None)
    if isinstance(masters, dict):
        return list(masters.values())
    return list(masters) if isinstance(masters, list) else []


def _take_masters(optimizer: Any, saved: Any) -> None:
    """Give an optimizer the masters of a checkpoint, if they are those of its parameters."""
    masters = _masters(optimizer)
    if not isinstance(saved, list) or [one.shape for one in saved] != [
        one.shape for one in masters
    ]:
        if masters:
            logger.warning(
                "the checkpoint's fp32 masters are of other parameters, or of a run of another "
                "precision; those of this run are made of its parameters"
            )
        return
    with torch.no_grad():
        for master, kept in zip(masters, saved):
            master.copy_(kept)


def has_loss_scale(optimizer: Any) -> bool:
    """Whether ``optimizer`` ever scales a loss: under fp16 and AMP it does, under bf16 not."""
    return getattr(optimizer, "scaler", None) is not None


def loss_scale(optimizer: Any) -> float:
    """Return by how much ``optimizer`` multiplies a loss before its backward pass."""
    scaler = getattr(optimizer, "scaler", None)
    if scaler is None:
        return 1.0
    if hasattr(scaler, "loss_scale"):
        return float(scaler.loss_scale)
    return float(scaler.get_scale())


def step_was_taken(optimizer: Any) -> bool:
    """Whether the last step of a followed optimizer had finite gradients."""
    return bool(getattr(optimizer, "gist_finite", True))


def carry_scaler(old: Any, new: Any) -> None:
    """Have the optimizer ``new`` go on with the loss scale of ``old``."""
    if not has_loss_scale(old):
        return
    if hasattr(new, "_grad_scaler"):
        new._grad_scaler = old._grad_scaler  # noqa: SLF001
    else:
        new.scaler = old.scaler
