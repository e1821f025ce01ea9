"""Recording gradients in the training steps before a differentiation."""

from __future__ import annotations

import logging
from typing import Any, Callable, Dict, Optional

from torch import Tensor, nn

from fairseq_gist.errors import OptionError
from fairseq_gist.gradients.statistics import GradientStatistics
from fairseq_gist.host.optimizer import has_loss_scale
from fairseq_gist.host.protocols import Trainer
from fairseq_gist.host.trainer import processes_of
from fairseq_gist.nn.routing import Routing
from fairseq_gist.nn.wrapping import Handle
from fairseq_gist.recording.options import RecordingOptions
from fairseq_gist.recording.recorder import GradientRecorder, is_whole
from fairseq_gist.recording.watching import recording, units_to_record
from fairseq_gist.surgery.shape import shape_of

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
        options: into how many chunks it is divided, what is recorded, and how it is kept.
        neurons: whether single neurons are wanted, too.
    """

    def __init__(
        self,
        trainer: Trainer,
        routing: Routing,
        updates: int,
        options: RecordingOptions,
        *,
        neurons: bool = False,
    ) -> None:
        self.trainer, self.routing = trainer, routing
        self.updates, self.options, self.neurons = updates, options, neurons
        self._processes = processes_of(trainer)
        self.recorder: Optional[GradientRecorder] = None
        self._watching = Handle()
        self._moment = 0
        self._loaded: Optional[Dict[str, Any]] = None

    @property
    def is_under_way(self) -> bool:
        """Whether gradients were recorded already, by this run or the one it goes on from."""
        return self.recorder is not None or self._loaded is not None

    def first_update(self, update_num: int, moment: int) -> int:
        """Return the update, counted from 1, with which recording begins before ``moment``."""
        left, chunks = moment - update_num, self.options.gradient_chunks
        return max(update_num, moment - self._updates_per_chunk(left) * chunks) + 1

    def _updates_per_chunk(self, left: int) -> int:
        return max(1, min(self.updates, left) // self.options.gradient_chunks)

    def prepare(self, model: nn.Module, update_num: int, moment: int) -> None:
        """Begin to record if ``update_num`` is where the window before ``moment`` begins.

        This is called for every batch.

        Raises:
            OptionError: when the updates that are left don't make the chunks asked for, or another
                number of processes has begun to record.
        """
        if self.recorder is not None:
            return
        left, chunks = moment - update_num, self.options.gradient_chunks
        per_chunk = self._updates_per_chunk(left)
        loaded = self._take_loaded(model, moment)
        if loaded is None and left > per_chunk * chunks:
            return
        if loaded is None and left < chunks:
            raise OptionError(
                f"--differentiate-at {moment}: {left} updates are left to record gradients in, but "
                f"--gradient-chunks is {chunks}; differentiate later"
            )
        recorder = GradientRecorder(
            model,
            units_to_record(model, self.options, self.neurons),
            self.routing.languages,
            self.options,
            per_chunk,
            neurons=self.neurons,
            reduce=self._processes.add_up,
            is_scaled=has_loss_scale(self.trainer.optimizer),
        )
        if loaded is not None:
            recorder.load_state_dict(loaded)
            if not self._processes.is_first:
                recorder.forget()
        self.recorder, self._moment = recorder, moment
        self._watching.remove()
        self._watching = recording(model, recorder.units.values(), self.routing)
        logger.info(f"recording gradients until update {moment}: {recorder}")

    def _take_loaded(self, model: nn.Module, moment: int) -> Optional[Dict[str, Any]]:
        """Return what a checkpoint had gathered, if it was gathered for this."""
        loaded, self._loaded = self._loaded, None
        if loaded is None:
            return None
        if not is_whole(loaded, len(self.routing.languages)):
            logger.warning("the checkpoint's half recorded gradients are dropped: it is damaged")
            return None
        wanted = {
            "moment": moment,
            "chunks": self.options.gradient_chunks,
            "languages": list(self.routing.languages),
            "units": list(units_to_record(model, self.options, self.neurons)),
            "sketch_dim": self.options.sketch_dim,
        }
        found = {"sketch_dim": 0, **loaded}
        different = [name for name, value in wanted.items() if found.get(name) != value]
        processes = loaded.get("processes", self._processes.count)
        if not different and processes != self._processes.count:
            raise OptionError(
                f"the checkpoint is in the middle of recording gradients for --differentiate-at "
                f"{moment}, in {processes} process{'es' * (processes > 1)}, and fairseq's place in "
                f"the data is another in {self._processes.count}: go on with as many, or from a "
                "checkpoint before or after the recording"
            )
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

    def finish(self, model: nn.Module, update_num: int) -> GradientStatistics:
        """Return what was gathered, over all processes, and forget it.

        Args:
            model: the trainer's.
            update_num: updates made until now, for the statistics' provenance.

        Raises:
            OptionError: when nothing was.
            StatisticsError: when it was too little.
        """
        recorder, self.recorder = self.recorder, None
        self._watching.remove()
        if recorder is None:
            raise OptionError("no gradients were recorded before the differentiation")
        recorder.gather()
        provenance = {
            "gradients_from": "train",
            "update": update_num,
            "chunks": recorder.chunks,
            "updates_per_chunk": recorder.rounds,
        }
        return recorder.statistics(shape_of(model).shared_parameters, provenance)

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
            if not self._processes.is_first:
                self.recorder.forget()

    def recording_state(self) -> Optional[Dict[str, Any]]:
        """Return what was gathered so far, for the checkpoint."""
        if self.recorder is None:
            return self._loaded
        return {
            "moment": self._moment,
            "processes": self._processes.count,
            **self.recorder.state_dict(),
        }

    def load_recording_state(self, state: Dict[str, Any]) -> None:
        """Go on, at the next step, with what a checkpoint has gathered."""
        self.recorder, self._loaded = None, state
