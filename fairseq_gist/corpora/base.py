"""What a corpus is: a name, options, and how it is built in the MuST-C release layout."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Dict, List, Type

from fairseq_gist.preparing.making import Making

__all__ = ["Corpus", "NoOptions", "making"]


@dataclass(frozen=True)
class NoOptions:
    """Of a corpus that has none."""


class Corpus(ABC):
    """A corpus that ``fairseq-gist corpus NAME`` writes.

    The command imports the package of every corpus to list them: what building needs is imported
    by :meth:`build`.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    """What it is, in a line of help."""
    Options: ClassVar[Type[Any]] = NoOptions
    """A frozen dataclass: the command's options (see :mod:`fairseq_gist.cli.dataclass_options`)."""
    example: ClassVar[str] = ""
    """Below the help: command lines, what has to be installed."""

    @abstractmethod
    def build(self, options: Any, folder: Path, workers: int) -> Dict[str, Any]:
        """Write the corpus into ``folder``, or finish it; give what its record says.

        Args:
            options: an instance of ``Options``.
            folder: new, empty, or of a run with these options that was interrupted;
                :func:`making` sees to that.
            workers: processes that may work at a time.

        Raises:
            OptionError: for options that can't be.
            DataError: where the folder holds anything else, or something is missing.
        """

    @abstractmethod
    def describe(self, record: Dict[str, Any]) -> List[str]:
        """Say in a few lines what the record says that there is."""


def making(folder: Path) -> Making:
    """Return the making of a corpus, whose record is ``corpus.json``."""
    return Making(
        folder,
        "corpus.json",
        "holds a corpus made",
        "choose another folder or remove it",
        ("*/data/*/txt", "*/data/*/wav"),
    )
