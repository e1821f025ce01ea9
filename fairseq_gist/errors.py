"""The errors a user can cause, each with one line that says what to do about it.

Messages name the thing (module path, language, file and line), what was expected and what was
found. The command line prints that line and exits with 1; under ``fairseq-train`` the task does
the same.
"""

__all__ = [
    "CheckpointError",
    "DataError",
    "GistError",
    "OptionError",
    "PlanError",
    "RoutingError",
    "StatisticsError",
    "SurgeryError",
]


class GistError(RuntimeError):
    """Anything that fairseq-gist refuses to do, with the reason in one line.

    A ``RuntimeError`` because fairseq's trainer writes a ``crash.pt`` for every other kind.
    """


class OptionError(GistError):
    """An option, or a combination of options, that cannot work."""


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


class CheckpointError(GistError):
    """A checkpoint that cannot be read, averaged or exported."""
