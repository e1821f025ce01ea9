"""Hypotheses brought into the order of their references."""

from __future__ import annotations

import re
import unicodedata
from typing import List, Sequence, Tuple

from fairseq_gist.errors import DataError
from fairseq_gist.evaluation.outputs import Hypotheses
from fairseq_gist.evaluation.references import Reference

__all__ = ["in_order"]

_TAG = re.compile(r"<lang:[^>]*>|<+unk>+")


def in_order(found: Hypotheses, references: Sequence[Reference], what: str) -> List[str]:
    """Return the hypotheses in the order of the references, one each.

    Raises:
        DataError: when the counts differ, or fairseq read other targets than the references.
    """
    missing = [row for row in range(len(references)) if row not in found.texts]
    if missing:
        raise DataError(
            f"{what}: expected {len(references)} hypotheses, found "
            f"{len(references) - len(missing)}; {len(missing)} missing, the first is row "
            f"{missing[0]}. fairseq drops the last incomplete batch: generate with "
            "--required-batch-size-multiple 1"
        )
    if len(found.texts) > len(references):
        raise DataError(
            f"{what}: expected {len(references)} hypotheses, found {len(found.texts)}, up to row "
            f"{max(found.texts)}; was it generated from another version of the data?"
        )
    agreeing, compared = _agreement(found, references)
    if 2 * agreeing < compared:
        raise DataError(
            f"{what}: the targets fairseq read ('T-') equal the references in only {agreeing} of "
            f"{compared} rows; was it generated from another version of the data?"
        )
    return [found.texts[row] for row in range(len(references))]


def _agreement(found: Hypotheses, references: Sequence[Reference]) -> Tuple[int, int]:
    """Return in how many rows fairseq's target is the reference, and how many can be compared."""
    compared = [row for row in found.targets if row < len(references)]
    same = sum(_bare(found.targets[row]) == _bare(references[row].text) for row in compared)
    return same, len(compared)


def _bare(text: str) -> str:
    """Reduce a text to what every vocabulary keeps: letters and digits, case folded."""
    folded = unicodedata.normalize("NFKC", _TAG.sub("", text)).casefold()
    return "".join(character for character in folded if character.isalnum())
