"""``fairseq-gist options``."""

from __future__ import annotations

import argparse

__all__ = ["EXAMPLE", "add_arguments", "run"]

EXAMPLE = """examples:
  fairseq-gist options
  fairseq-gist options | grep -A4 -e --size-budget

fairseq-train prints its own with --help, and ends before it knows those of a task."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare nothing: all of them are printed."""
    del parser


def run(args: argparse.Namespace) -> None:
    """Print the options of training, in groups."""
    del args
    from fairseq_gist.tasks.training_parser import training_parser

    print(training_parser().format_help().strip())
