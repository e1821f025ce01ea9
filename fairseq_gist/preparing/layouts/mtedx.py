"""Multilingual TEDx: the layout of MuST-C with other splits, FLAC, and noted noises."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Dict, List, Tuple

from fairseq_gist.preparing.layouts.base import Segment
from fairseq_gist.preparing.layouts.mustc import MustC

__all__ = ["LAYOUT", "MTEDx"]

_NOTE = re.compile(r"\([^()]*\)|\[[^\[\]]*\]")
"""``(Risas)``, ``[Applause]``."""


@dataclass(frozen=True)
class MTEDx(MustC):
    """Paths below the root of Multilingual TEDx: ``es-en``, ``es-fr``, ..."""

    name = "mtedx"
    summary = "ROOT/es-XX/data/{train,valid,test}/{txt,wav} with --source es, or XX-en and --target"

    def splits(self) -> Tuple[str, ...]:
        """Those of the release."""
        return ("train", "valid", "test")

    def languages(self) -> List[str]:
        """Without ``es-es``, which is for recognition."""
        return [one for one in super().languages() if len(set(self.pair(one))) == 2]

    def checked(self, language: str, split: str) -> Tuple[List[Segment], Dict[int, str]]:
        """As in MuST-C; in training, what is no speech has no text."""
        segments, wrong = super().checked(language, split)
        if split == "train":  # others stay whole: scores are compared with published ones
            segments = [
                replace(one, target="") if _is_noted(one.target) else one for one in segments
            ]
        return segments, wrong

    @classmethod
    def is_at(cls, root: Path) -> bool:
        """Whether it has the splits of Multilingual TEDx."""
        return all(
            next(root.glob(f"*-*/data/{split}/txt/{split}.yaml"), None)
            for split in ("valid", "test")
        )


LAYOUT = MTEDx


def _is_noted(line: str) -> bool:
    """Whether a line has nothing but what is heard beside speech."""
    return bool(_NOTE.search(line)) and not re.search(r"\w", _NOTE.sub("", line))
