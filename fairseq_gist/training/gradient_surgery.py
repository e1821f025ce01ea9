"""Training with the gradients of the languages put together by a rule (``--gradient-surgery``)."""

from __future__ import annotations

import contextlib
from typing import Any, Dict, Iterator, Optional

from torch import nn

from fairseq_gist.combining.combiner import GradientCombiner
from fairseq_gist.combining.rules import rule_named
from fairseq_gist.errors import OptionError
from fairseq_gist.nn.routing import Routing
from fairseq_gist.recording.watching import recording
from fairseq_gist.surgery.units import find_units

__all__ = ["GradientSurgery", "check_gradient_surgery"]

_STATE = "gradient_surgery"


class GradientSurgery:
    """Follows one training run and changes the gradients of each of its batches.

    It also is what an optimizer has beside its own state: a rule may remember something.

    Args:
        name: of the rule.
        routing: of the model.
        seed: of the run.
    """

    def __init__(self, name: str, routing: Routing, seed: int) -> None:
        self.rule = rule_named(name)(len(routing.languages))
        self.routing, self.seed = routing, seed
        self._combiner: Optional[GradientCombiner] = None

    @contextlib.contextmanager
    def of_batch(self, model: nn.Module, update_num: int, is_dummy: bool) -> Iterator[None]:
        """Take the gradients of a forward and backward inside the block, and change their sum.

        Args:
            model: the bare model, as it is from now on.
            update_num: updates made so far.
            is_dummy: whether the batch is there to keep processes in step only.
        """
        if is_dummy:
            yield
            return
        combiner = self._combiner_of(model)
        self.routing.sink = combiner
        try:
            yield
            self.conflicts = combiner.combine(update_num)
        finally:
            self.routing.sink = None
            combiner.clear()

    conflicts: Optional[float] = None
    """The share of pairs of languages, in the last batch, whose gradients are opposed."""

    def _combiner_of(self, model: nn.Module) -> GradientCombiner:
        if self._combiner is None:  # a checkpoint may have rewritten the model until now
            units = find_units(model)
            recording(model, units.values(), self.routing)
            self._combiner = GradientCombiner(
                model, units, len(self.routing.languages), self.rule, self.seed
            )
        return self._combiner

    def update_finished(self, loss_scale: float) -> None:
        """Do nothing."""

    def update_dropped(self) -> None:
        """Do nothing."""

    def recording_state(self) -> Optional[Dict[str, Any]]:
        """Return what the rule remembers."""
        state = self.rule.state()
        return {_STATE: {"rule": self.rule.name, **state}} if state else None

    def load_recording_state(self, state: Dict[str, Any]) -> None:
        """Have the rule go on with what it remembered, if it was the same one."""
        found = state.get(_STATE)
        if isinstance(found, dict) and found.get("rule") == self.rule.name:
            self.rule.load_state(found)


def check_gradient_surgery(args: Any, processes: int, routing: Routing) -> None:
    """Raise OptionError where gradients can't be put together as the options say.

    Args:
        args: of the task.
        processes: that train together.
        routing: of the model.
    """
    rule_named(args.gradient_surgery)
    if args.differentiate_at:
        raise OptionError(
            "--gradient-surgery and --differentiate-at both take the gradients of the languages "
            "from a batch: give one; a model that is split can be trained on with the former"
        )
    if processes > 1:
        raise OptionError(
            f"--gradient-surgery: each of {processes} processes would put together the gradients "
            "of its own part of a batch; use one, with --update-freq"
        )
    if len(routing.languages) < 2:
        raise OptionError("--gradient-surgery: the model has fewer than two languages")
