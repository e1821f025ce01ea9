"""Registering everything with fairseq when ``--user-dir`` can't: inside Python programs.

fairseq imports the ``tasks`` and ``models`` of a user directory only if the package was never
imported before, which it was in our own commands and in a program that uses it.
"""

from __future__ import annotations

import importlib

from fairseq_gist.host.packages import require_fairseq

__all__ = ["register"]


def register() -> None:
    """Make the task, models and criterion known to fairseq; a second call does nothing."""
    require_fairseq()
    importlib.import_module("fairseq_gist.tasks.gist_speech_to_text")
    importlib.import_module("fairseq_gist.models.families")
