"""What a vocabulary makes of the references: the scores that a perfect translation would have.

Translations come out of a vocabulary, references stay as they are in the manifest. What encoding
and decoding change (full-width punctuation by SentencePiece's rules, letters that aren't in it) is
counted as mistakes of every system alike.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Sequence

from sacrebleu.metrics import CHRF

from fairseq_gist.preparing.vocabulary import load_processor

__all__ = ["Ceiling", "ceilings"]

_UNKNOWN = "<unk>"


class Ceiling(NamedTuple):
    """What becomes of the references of one language."""

    lines: int
    changed: int
    """Lines that differ, in more than white space."""
    lacking: int
    """Of these, lines with a character that the vocabulary lacks."""
    chrf: float
    """Of what comes out, against what goes in."""


def ceilings(model: Path, texts: Mapping[str, Sequence[str]]) -> Dict[str, Ceiling]:
    """Encode and decode texts, language -> lines, and return what of each language changes.

    Languages of which nothing changes are left out.
    """
    processor = load_processor(model)
    found = {}
    for language, lines in texts.items():
        decoded = [_decoded(processor, line) for line in lines]
        changed = [out for out, line in zip(decoded, lines) if out.split() != line.split()]
        if changed:
            lacking = sum(_UNKNOWN in line for line in changed)
            score = CHRF().corpus_score(decoded, [list(lines)]).score
            found[language] = Ceiling(len(lines), len(changed), lacking, round(float(score), 2))
    return found


def _decoded(processor: Any, line: str) -> str:
    """Return a line as it comes out of training and generation, which know numbers alone."""
    pieces: List[str] = [
        _UNKNOWN if processor.is_unknown(place) else processor.id_to_piece(place)
        for place in processor.encode(line, out_type=int)
    ]
    return "".join(pieces).replace("\u2581", " ").strip()
