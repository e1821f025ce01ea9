"""The options that the task and its models add to those of fairseq-train, in groups."""

from __future__ import annotations

import argparse
from dataclasses import fields
from typing import Any, Dict

from fairseq.dataclass.utils import gen_parser_from_dataclass

from fairseq_gist.architectures import all_architectures
from fairseq_gist.architectures.model_arguments import add_model_args
from fairseq_gist.recording.options import RecordingOptions
from fairseq_gist.tasks.configuration import GistSpeechToTextConfig
from fairseq_gist.training.options import DifferentiationOptions

__all__ = ["training_parser"]


def training_parser() -> argparse.ArgumentParser:
    """Return a parser of these options alone: fairseq's own help ends before it knows the task."""
    parser = argparse.ArgumentParser(
        prog="fairseq-train", usage=argparse.SUPPRESS, add_help=False, allow_abbrev=False
    )
    parts: Dict[str, Any] = {
        "Recording of gradients": RecordingOptions,
        "Differentiation and policies": DifferentiationOptions,
    }
    for architecture in all_architectures().values():
        if architecture.options is not None:
            parts[architecture.name] = architecture.options
    parts["Data, languages and batches"] = GistSpeechToTextConfig
    groups = _Groups()
    for title, part in parts.items():
        group = parser.add_argument_group(title)
        for own in fields(part):
            if own.metadata.get("help"):  # those without are fairseq's
                groups.of_field.setdefault(own.name, group)
    gen_parser_from_dataclass(groups, GistSpeechToTextConfig())
    add_model_args(parser.add_argument_group("Models"))
    return parser


class _Groups:
    """Takes the options of one dataclass, and adds each to the group of its field."""

    def __init__(self) -> None:
        self.of_field: Dict[str, Any] = {}

    def add_argument(self, *names: str, **settings: Any) -> None:
        """Add an option as a parser does; one without a group is left out."""
        group = self.of_field.get(names[0].lstrip("-").replace("-", "_"))
        if group is not None:
            group.add_argument(*names, **settings)
