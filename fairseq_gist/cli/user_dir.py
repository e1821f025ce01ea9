"""``fairseq-gist user-dir``."""

from __future__ import annotations

import argparse

from fairseq_gist.files.installed import plugin_folder

__all__ = ["EXAMPLE", "add_arguments", "run"]

EXAMPLE = """example:
  fairseq-train DATA --user-dir "$(fairseq-gist user-dir)" --task gist_speech_to_text ..."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare nothing: there is one such folder."""
    del parser


def run(args: argparse.Namespace) -> None:
    """Print the folder, and nothing else."""
    del args
    print(plugin_folder())
