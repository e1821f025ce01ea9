"""How recordings are translated."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, Optional

from fairseq_gist.errors import OptionError

__all__ = ["TranslationOptions"]


_KINDS: Dict[str, Any] = {
    "beam": int,
    "length_penalty": (int, float),
    "longest_segment": (int, float),
    "longest_pause": (int, float),
    "batch_seconds": (int, float),
}
_LEAST = {"beam": 1, "longest_segment": 1.0, "longest_pause": 0.2, "batch_seconds": 1.0}


@dataclass(frozen=True)
class TranslationOptions:
    """The same on the command line and in Python."""

    source_language: Optional[str] = field(
        default=None,
        metadata={
            "help": "language that is spoken, for models that want to know: those that tell spoken "
            "languages apart, and Whisper into English",
            "metavar": "XX",
        },
    )
    beam: int = field(default=5, metadata={"help": "hypotheses that search keeps"})
    length_penalty: float = field(
        default=1.0, metadata={"help": "above 1 longer translations win, below it shorter ones"}
    )
    longest_segment: Optional[float] = field(
        default=None,
        metadata={
            "help": "seconds that the model hears at once at most; what is longer is cut in its "
            "pauses",
            "metavar": "SECONDS",
            "unset": "20, or what the model takes if that is less",
        },
    )
    longest_pause: Optional[float] = field(
        default=None,
        metadata={
            "help": "seconds of a pause that ends a segment in any case, from 0.2 on; less for "
            "models that were trained on single sentences",
            "metavar": "SECONDS",
            "unset": "2, in what is longer than a segment",
        },
    )
    batch_seconds: float = field(
        default=200.0,
        metadata={
            "help": "seconds of sound that are translated at once, padding included",
            "metavar": "SECONDS",
        },
    )

    def __post_init__(self) -> None:
        for name, kind in _KINDS.items():
            value = getattr(self, name)
            if value is None and getattr(type(self), name) is None:
                continue
            if isinstance(value, bool) or not isinstance(value, kind):
                wanted = "a whole number" if kind is int else "a number"
                raise OptionError(f"expected {wanted}, found {value!r}", name)
            least = _LEAST.get(name, 0.0)
            if not least <= value < float("inf"):
                raise OptionError(f"expected {least:g} or more, found {value:g}", name)
