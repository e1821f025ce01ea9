"""Open corpora that anyone can build, one a folder: a package here with a ``CORPUS`` is one."""

from __future__ import annotations

from typing import Dict

from fairseq_gist.corpora.base import Corpus
from fairseq_gist.discovery import found_in

__all__ = ["Corpus", "all_corpora"]


def all_corpora() -> Dict[str, Corpus]:
    """Return every corpus by its name."""
    return found_in(__name__, "CORPUS", Corpus)
