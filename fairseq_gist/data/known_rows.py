"""What the collater knows of rows, which stays on the CPU when their tensors go to a GPU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Optional

from fairseq_gist.nn.rows import remember

__all__ = ["KNOWN_ROWS", "KnownRows", "tell_rows"]

KNOWN_ROWS = "gist_rows"
"""Entry of a batch that holds them."""


@dataclass
class KnownRows:
    """Numbers of the rows of a batch, each `[rows]`.

    Attributes:
        lang_ids: index of the language.
        utterances: position of the utterance; None where every row has its own.
        tags: token that comes first in the target, where a language tag would be.
    """

    lang_ids: List[int]
    tags: Optional[List[int]] = None
    utterances: Optional[List[int]] = None


def tell_rows(sample: Dict[str, Any]) -> None:
    """Have the tensors of a batch that was moved to a GPU know the numbers in them.

    On the CPU they are read anew instead, which costs nothing and sees every change.
    """
    known = sample.get(KNOWN_ROWS)
    if known is None:
        return
    net_input = sample["net_input"]
    for name, values in (
        ("lang_ids", known.lang_ids),
        ("utterances", known.utterances),
        ("prev_output_tokens", known.tags),
    ):
        tensor = net_input.get(name)
        if tensor is None or values is None:
            continue
        if tensor.device.type != "cpu" and tensor.size(0) == len(values):
            remember(tensor, values)
