"""Layouts of several pairs of languages, each with files of its own."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from dataclasses import dataclass
from typing import Iterable, List, Sequence, Tuple

from fairseq_gist.errors import DataError
from fairseq_gist.languages.codes import same_code
from fairseq_gist.preparing.layouts.base import CheckedLayout
from fairseq_gist.preparing.published import looks_like

__all__ = ["Paired", "choice"]

_SHOWN = 8
"""Pairs that an error names."""


@dataclass(frozen=True)
class Paired(CheckedLayout):
    """Languages are called as the release writes them; ``--source`` and ``--target`` may differ.

    ``zh_cn`` finds ``zh-CN``, and ``en`` finds ``eng``.
    """

    @abstractmethod
    def pairs(self) -> Iterable[Tuple[str, str]]:
        """What is spoken and what it is translated into, of all that there is."""

    def languages(self) -> List[str]:
        """The languages there are, sorted; raises where there is none."""
        if not self.root.is_dir():
            found = "a file, expected the folder" if self.root.is_file() else "no such folder"
            raise DataError(f"{self.root}: {found}")
        pairs = sorted(set(self.pairs()))
        own = [pair for pair in pairs if self.is_asked(*pair) and not same_code(*pair)]
        if not own:
            raise DataError(self._nothing(pairs))
        return sorted({source if self.is_many_to_one else target for source, target in own})

    def written(self, language: str) -> Tuple[str, str]:
        """The pair of a language, as the release writes it."""
        asked = self.pair(language)
        for pair in sorted(set(self.pairs())):
            own = pair[0] if self.is_many_to_one else pair[1]
            if own == language and self.is_asked(*pair):
                return pair
        return asked

    def folder(self, language: str) -> str:
        """The pair of a language, as ``en-de``."""
        return "-".join(self.written(language))

    def is_asked(self, source: str, target: str) -> bool:
        """Whether a pair is out of the one source, or into the one target."""
        if self.target is not None:
            return same_code(target, self.target)
        return same_code(source, self.source)

    def _nothing(self, pairs: List[Tuple[str, str]]) -> str:
        asked = f"into {self.target}" if self.target is not None else f"out of {self.source}"
        if not pairs:
            advice = looks_like(self.root, self.name)
            expected = f"not in the layout {self.name}: expected {self.summary}, found none"
            return f"{self.root}: {expected}" + (f"; {advice}" if advice else "")
        return f"{self.root}: nothing is translated {asked}; {choice(pairs)}"


def choice(pairs: Sequence[Tuple[str, str]]) -> str:
    """Say which pairs there are, and the options that choose the most of them."""
    translated = [pair for pair in pairs if not same_code(*pair)] or pairs
    sources, targets = (Counter(side).most_common(1)[0] for side in zip(*translated))
    options = [(targets[1], f"--target {targets[0]}"), (sources[1], f"--source {sources[0]}")]
    options.sort(key=lambda option: -option[0])
    named = ", ".join("-".join(pair) for pair in pairs[:_SHOWN])
    more = f" and {len(pairs) - _SHOWN} more" if len(pairs) > _SHOWN else ""
    return f"there are {named}{more}: give {' or '.join(option for _, option in options)}"
