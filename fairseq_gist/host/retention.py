"""Which checkpoints a run keeps, where it was ended between writing one and removing another.

fairseq removes checkpoints after it has written one, of the kind that it has written alone: a run
that is killed in between has one more than its options say, and it may never be removed.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Iterator, List

from fairseq import checkpoint_utils

__all__ = ["remove_surplus"]


def remove_surplus(options: Any, suffix: str = "") -> None:
    """Remove the checkpoints that a run would have removed by now, had it not been killed.

    Args:
        options: fairseq's, of checkpoints: ``save_dir``, and what begins with ``keep_``.
        suffix: at the end of all names of the run's checkpoints.
    """
    for path in _surplus(options, re.escape(suffix)):
        path.unlink(missing_ok=True)


def _surplus(options: Any, suffix: str) -> Iterator[Path]:
    """Yield what fairseq removes, as ``fairseq.checkpoint_utils.save_checkpoint`` does."""
    if options.keep_interval_updates > 0:
        every = options.keep_interval_updates_pattern
        numbered = checkpoint_utils.checkpoint_paths(
            options.save_dir, rf"checkpoint_\d+_(\d+){suffix}\.pt", keep_match=True
        )
        removable = [path for path, update in numbered if every == -1 or update % every != 0]
        yield from _after(options.keep_interval_updates, removable)
    if options.keep_last_epochs > 0:
        epochs = checkpoint_utils.checkpoint_paths(
            options.save_dir, rf"checkpoint(\d+){suffix}\.pt"
        )
        yield from _after(options.keep_last_epochs, epochs)
    if options.keep_best_checkpoints > 0:
        metric = options.best_checkpoint_metric
        best = checkpoint_utils.checkpoint_paths(
            options.save_dir, rf"checkpoint\.best_{metric}_(\d+\.?\d*){suffix}\.pt"
        )
        ordered = best if options.maximize_best_checkpoint_metric else best[::-1]
        yield from _after(options.keep_best_checkpoints, ordered)


def _after(count: int, paths: List[str]) -> Iterator[Path]:
    yield from map(Path, paths[count:])
