"""All that is changed in fairseq's process, in one call."""

from __future__ import annotations

from fairseq_gist.host.boundary import show_own_errors_in_one_line
from fairseq_gist.host.fairseq_writing import write_checkpoints_whole
from fairseq_gist.host.hooks import wrap_trainer
from fairseq_gist.host.loading import stop_loading_at_exit
from fairseq_gist.host.processes import receive_settings, wrap_on_any_device

__all__ = ["install"]


def install() -> None:
    """Prepare this process for a task of ours; a second call does nothing more.

    The task calls this when it is set up; importing the package changes nothing of fairseq's. What
    is changed:

    - ``Trainer.__init__``, ``_build_optimizer``, ``consolidate_optimizer`` and ``load_checkpoint``
      are wrapped, so that a task can follow its trainer; for other tasks they do what they did
      (:mod:`.hooks`);
    - processes receive a checkpoint from the first one under torch 2.6 and later too
      and torch's own wrapper trains on CPUs (:mod:`.processes`);
    - checkpoints are written and copied whole or not at all (:mod:`.fairseq_writing`);
    - at the end of the process threads that load batches ahead are stopped (:mod:`.loading`);
    - an error of ours that nobody catches is shown in one line (:mod:`.boundary`).

    Raises:
        SurgeryError: naming the attribute that this version of fairseq lacks.
    """
    wrap_trainer()
    stop_loading_at_exit()
    show_own_errors_in_one_line()
    receive_settings()
    wrap_on_any_device()
    write_checkpoints_whole()
