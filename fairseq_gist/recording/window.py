"""Recording gradients in the training steps before a differentiation."""

from __future__ import annotations

import logging
from typing import Any, Callable, Dict, Mapping, Optional

from torch import Tensor, nn

from fairseq_gist.errors import OptionError
from fairseq_gist.host.trainer import is_first_process, sum_over_processes
from fairseq_gist.nn.routing import Routing
from fairseq_gist.nn.wrapping import Handle
from fairseq_gist.recording.recorder import GradientRecorder
from fairseq_gist.recording.watching import recording
from fairseq_gist.surgery.units import Unit

__all__ = ["RecordingWindow"]

logger = logging.getLogger(__name__)


class RecordingWindow:
    """The last updates before a differentiation, and what was gathered in them.

    It is what an optimizer reports its steps to, and so its content is part of the optimizer's
    state in a checkpoint: a run that stops in the middle of a window goes on with it.

    Args:
        trainer: fairseq's.
        routing: of its model.
        updates: length of the window.
        chunks: into how many chunks it is divided.
        device: where gradients are kept, see :class:`GradientRecorder`.
        sketch_dim: numbers to keep of every unit, 0 for all.
        hidden_units: whether single hidden units are wanted, too.
    """

    def __init__(
        self,
        trainer: Any,
        routing: Routing,
        updates: int,
        chunks: int,
        *,
        device: str = "cpu",
        sketch_dim: int = 0,
        hidden_units: bool = False,
    ) -> None:
        self.trainer, self.routing = trainer, routing
        self.updates, self.chunks = updates, chunks
        self.device, self.sketch_dim, self.hidden_units = device, sketch_dim, hidden_units
        self.recorder: Optional[GradientRecorder] = None
        self._watching = Handle()
        self._moment = 0
        self._loaded: Optional[Dict[str, Any]] = None

    def prepare(
        self,
        model: nn.Module,
        find_units: Callable[[], Mapping[str, Unit]],
        update_num: int,
        moment: int,
    ) -> None:
        """Begin to record if ``update_num`` is where the window before ``moment`` begins.

        ``find_units`` is asked for the units only then: this is called for every batch.

        Raises:
            OptionError: when the updates that are left don't make the chunks asked for.
        """
        if self.recorder is not None:
            return
        left = moment - update_num
        per_chunk = max(1, min(self.updates, left) // self.chunks)
        loaded = self._take_loaded(find_units, moment)
        if loaded is None and left > per_chunk * self.chunks:
            return
        if loaded is None and left < self.chunks:
            raise OptionError(
                f"--differentiate-at {moment}: {left} updates are left to record gradients in, but "
                f"--gradient-chunks is {self.chunks}; differentiate later"
            )
        units = find_units()
        recorder = GradientRecorder(
            model,
            units,
            self.routing.languages,
            self.chunks,
            per_chunk,
            sum_over_processes(self.trainer),
            device=self.device,
            sketch_dim=self.sketch_dim,
            is_scaled=_has_loss_scale(self.trainer.optimizer),
            hidden_units=self.hidden_units,
        )
        if loaded is not None:
            recorder.load_state_dict(loaded)
            if not is_first_process(self.trainer):
                recorder.forget()
        self.recorder, self._moment = recorder, moment
        self._watching.remove()
        self._watching = recording(model, recorder.units.values(), self.routing)
        logger.info(f"recording gradients until update {moment}: {recorder}")

    def _take_loaded(
        self, find_units: Callable[[], Mapping[str, Unit]], moment: int
    ) -> Optional[Dict[str, Any]]:
        """Return what a checkpoint had gathered, if it was gathered for this."""
        loaded, self._loaded = self._loaded, None
        if loaded is None:
            return None
        wanted = {
            "moment": moment,
            "chunks": self.chunks,
            "languages": list(self.routing.languages),
            "units": list(find_units()),
            "sketch_dim": self.sketch_dim,
        }
        found = {"sketch_dim": 0, **loaded}
        different = [name for name, value in wanted.items() if found.get(name) != value]
        if not different:
            return loaded
        logger.warning(
            f"the checkpoint's half recorded gradients are dropped: they are of other "
            f"{' and '.join(different)}"
        )
        return None

    def open(self, count_tokens: Callable[[], Tensor]) -> None:
        """Take the gradients of the next backward pass.

        ``count_tokens`` returns the target tokens it is over, `[languages]`.
        """
        if self.recorder is not None and not self.recorder.is_complete:
            self.recorder.count_tokens(count_tokens())
            self.routing.sink = self.recorder

    def close(self) -> None:
        """Take no more gradients."""
        self.routing.sink = None

    def finish(self) -> GradientRecorder:
        """Return what was gathered, over all processes, and forget it.

        Raises:
            OptionError: when nothing was.
        """
        recorder, self.recorder = self.recorder, None
        self._watching.remove()
        if recorder is None:
            raise OptionError("no gradients were recorded before the differentiation")
        recorder.gather()
        return recorder

    def abandon(self) -> None:
        """Forget everything: this process is about to fail, and others won't wait for it."""
        self.recorder, self._loaded = None, None
        self._watching.remove()

    # what the optimizer reports

    def update_finished(self, loss_scale: float) -> None:
        """Take the update's gradients into a chunk."""
        if self.recorder is not None and not self.recorder.is_complete:
            self.recorder.finish_update(loss_scale)

    def update_dropped(self) -> None:
        """Forget the update's gradients."""
        if self.recorder is not None:
            self.recorder.discard_update()

    def gather(self) -> None:
        """Bring what other processes gathered to the first one, which writes the checkpoint."""
        if self.recorder is not None:
            self.recorder.gather()
            if not is_first_process(self.trainer):
                self.recorder.forget()

    def recording_state(self) -> Optional[Dict[str, Any]]:
        """Return what was gathered so far, for the checkpoint."""
        if self.recorder is None:
            return self._loaded
        return {"moment": self._moment, **self.recorder.state_dict()}

    def load_recording_state(self, state: Dict[str, Any]) -> None:
        """Go on, at the next step, with what a checkpoint has gathered."""
        self.recorder, self._loaded = None, state


def _has_loss_scale(optimizer: Any) -> bool:
    """Whether ``optimizer`` ever scales a loss: fp16 and AMP do, bf16 doesn't."""
    return getattr(optimizer, "scaler", None) is not None
