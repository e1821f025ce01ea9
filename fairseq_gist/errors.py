"""The errors a user can cause, each with one line that says what to do about it.

Messages name the thing (module path, language, file and line), what was expected and what was
found. The command line prints that line and exits with 1; under ``fairseq-train`` the task does
the same.
"""

from typing import Iterator, Optional, Set

__all__ = [
    "CheckpointError",
    "DataError",
    "GistError",
    "OptionError",
    "PlanError",
    "RoutingError",
    "StatisticsError",
    "StorageError",
    "SurgeryError",
    "causes_of",
    "shortened",
    "was_interrupted",
]


class GistError(RuntimeError):
    """Anything that fairseq-gist refuses to do, with the reason in one line.

    A ``RuntimeError`` because fairseq's trainer writes a ``crash.pt`` for every other kind.
    """


class OptionError(GistError):
    """An option, or a combination of options, that cannot work.

    Args:
        message: what is wrong with it.
        option: its name as a field (``size_budget``), where it has one. What decides knows no front
            end; the flag, which is the same in all of them, is made of the name here.
    """

    def __init__(self, message: str, option: Optional[str] = None) -> None:
        flag = "" if option is None else f"--{option.replace('_', '-')}: "
        super().__init__(f"{flag}{message}")
        self.option = option


class DataError(GistError):
    """A manifest, corpus or vocabulary that is not what it should be."""


class PlanError(GistError):
    """A sharing plan that is malformed, or does not fit the model at hand."""


class StatisticsError(GistError):
    """Gradient statistics that are malformed, too few, or for other units."""


class SurgeryError(GistError):
    """A module that cannot be rewritten into groups."""


class RoutingError(GistError):
    """Rows of a batch that do not match the language ids they came with."""


class StorageError(GistError):
    """A file for which there is no room."""


class CheckpointError(GistError):
    """A checkpoint that cannot be read, averaged or exported."""


def shortened(text: object, length: int = 60) -> str:
    """Return a text, or what an error of another library says, in one line of bounded length.

    Characters that a terminal obeys, or that can't be written, are shown by their names.
    """
    line = " ".join(str(text).split())
    if not line and isinstance(text, BaseException):
        line = type(text).__name__
    if not line.isprintable():
        shown = (c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
        line = "".join(shown)
    return line if len(line) <= length else f"{line[:length]}..."


def causes_of(error: Optional[BaseException]) -> Iterator[BaseException]:
    """Give an error, what it came of, what that came of, and so on, each once."""
    seen: Set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def was_interrupted(error: BaseException) -> bool:
    """Return whether an error came of ctrl-C: libraries that are interrupted fail in their way."""
    return any(isinstance(one, KeyboardInterrupt) for one in causes_of(error))
