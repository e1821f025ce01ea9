"""Where the parts of the installed package lie."""

from __future__ import annotations

from pathlib import Path

from fairseq_gist.errors import DataError

__all__ = ["examples_folder", "plugin_folder"]


def plugin_folder() -> Path:
    """Return the folder that fairseq takes as ``--user-dir``."""
    return Path(__file__).resolve().parents[1]


def examples_folder() -> Path:
    """Return the folder of the examples: inside an installed package, beside that of a checkout.

    Raises:
        DataError: where neither is there.
    """
    plugin = plugin_folder()
    for folder in (plugin / "examples", plugin.parent / "examples"):
        if (folder / "training.toml").is_file():
            return folder
    raise DataError(
        f"{plugin / 'examples'}: expected the examples, found none; install fairseq-gist again"
    )
