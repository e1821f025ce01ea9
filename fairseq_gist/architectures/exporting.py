"""What an architecture is given to write the model that one language has."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import dataclass
from typing import Any, Collection, Dict, Optional

__all__ = ["CARD_FILE", "Export"]

CARD_FILE = "README.md"
"""The model's card in a folder."""


@dataclass(frozen=True)
class Export:
    """One language's model, on its way out.

    Attributes:
        language: whose model it is.
        state: of the model, nothing in it split.
        content: of the checkpoint that it is from.
        settings: of that checkpoint's model.
        options: the architecture's dataclass of options, from the command line or else the
            checkpoint; None where it has none.
        output: file or folder to be written, whole or not at all.
        checkpoint: for errors.
        added: options of our task that stock fairseq's doesn't have.
        data: folder whose vocabulary and configuration the model belongs to, where it is known.
        config_yaml: the configuration in it.
        card: what is known of the model, in Markdown: written beside a file, or into a folder.
        force: whether ``output`` may be the checkpoint itself, or a file of another kind.
    """

    language: str
    state: Dict[str, Any]
    content: Dict[str, Any]
    settings: Namespace
    options: Any
    output: str
    checkpoint: str
    added: Collection[str] = ()
    data: Optional[str] = None
    config_yaml: str = "config.yaml"
    card: str = ""
    force: bool = False
