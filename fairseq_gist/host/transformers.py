"""transformers, which may be missing, or be installed beside packages that it doesn't fit."""

from __future__ import annotations

import importlib
import importlib.util
import traceback
from typing import Any

from fairseq_gist.errors import OptionError

__all__ = ["require_transformers"]


def require_transformers(model: str, kind: str, extra: str) -> Any:
    """Return the package ``transformers``.

    Args:
        model: what it is needed for, in words.
        kind: class of transformers for that.
        extra: of this package that installs it.

    Raises:
        OptionError: with the command that helps, where that class can't be imported.
    """
    if importlib.util.find_spec("transformers") is None:
        raise OptionError(
            f"{model} needs transformers, which is not installed; on Python >= 3.11 run: "
            f"pip install 'fairseq-gist[{extra}]'"
        )
    try:
        transformers = importlib.import_module("transformers")
        getattr(transformers, kind)  # which is imported only now
    except (OSError, ImportError, RuntimeError, AttributeError) as error:
        hint = ""
        if "torchaudio" in _whole_story(error):
            hint = "; the torchaudio here doesn't fit this torch: pip uninstall torchaudio"
        raise OptionError(f"{model} can't be imported from transformers: {error}{hint}") from error
    return transformers


def _whole_story(error: Any) -> str:
    """Return the messages of an error and of those that it came from, with the places."""
    return "".join(traceback.format_exception(type(error), error, error.__traceback__))
