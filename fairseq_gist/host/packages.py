"""fairseq, which may be missing, or be installed where it can't be imported."""

from __future__ import annotations

import importlib.util

from fairseq_gist.errors import OptionError

__all__ = ["require_fairseq"]


def require_fairseq() -> None:
    """Raise OptionError, with the command that helps, where fairseq can't be imported."""
    if importlib.util.find_spec("fairseq") is None:
        raise OptionError("fairseq is not installed; run: pip install 'fairseq-gist[fairseq]'")
    try:
        import fairseq  # noqa: F401
    except (OSError, ImportError, ValueError) as error:
        hint = ""
        if "torchaudio" in str(error):
            hint = "; the torchaudio here doesn't fit this torch: pip uninstall torchaudio"
        elif isinstance(error, ValueError):
            hint = (
                "; official fairseq needs Python < 3.11; run: pip uninstall -y fairseq && "
                "pip install 'fairseq-gist[fairseq]'"
            )
        raise OptionError(f"fairseq can't be imported: {error}{hint}") from error
