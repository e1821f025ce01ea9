"""``fairseq-gist export``."""

from __future__ import annotations

import argparse
import logging
from argparse import Namespace
from dataclasses import fields
from typing import Any, Dict

from fairseq_gist.architectures.seamless_m4t.export import is_seamless, write_seamless
from fairseq_gist.cli.checkpoint_models import MODELS
from fairseq_gist.errors import CheckpointError, OptionError
from fairseq_gist.files import check_output
from fairseq_gist.host.checkpoints import (
    model_settings,
    read_checkpoint,
    without_optimizer,
    write_checkpoint,
)
from fairseq_gist.training.options import DifferentiationOptions

__all__ = ["EXAMPLE", "add_arguments", "run"]

EXAMPLE = """example:
  fairseq-gist export checkpoints/checkpoint_best.pt --language de -o german.pt
  fairseq-generate DATA --task speech_to_text --path german.pt ...

The result is a stock s2t_transformer or s2t_conformer with the parameters that the language uses,
which fairseq loads without this plugin. Of a gist_seamless_m4t it is a folder that transformers
loads, with the tokenizer and feature extractor of the folder it was trained from:

  fairseq-gist export checkpoints/checkpoint_best.pt --language aeb -o seamless-aeb"""

logger = logging.getLogger(__name__)

_PREFIX = "gist_"
_OWN_MODEL_OPTIONS = (
    "adapter_dim",
    "checkpoint_activations",
    "language_key",
    "languages",
    "offload_activations",
    "source_language",
    "target_language",
    "train_only",
    "user_dir",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("checkpoint", help="a differentiated checkpoint")
    parser.add_argument("--language", required=True, metavar="XX", help="whose model to write")
    parser.add_argument(
        "--seamless-path",
        metavar="DIR",
        help="folder with the tokenizer and feature extractor of a SeamlessM4T (default: the one "
        "that the checkpoint was trained from)",
    )
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="FILE",
        help="where to write; a new folder for a SeamlessM4T",
    )


def run(args: argparse.Namespace) -> None:
    """Write the stock model that one language has inside a checkpoint."""
    from fairseq_gist.surgery.state import export_state

    content = read_checkpoint(args.checkpoint)
    settings = model_settings(content, args.checkpoint)
    if is_seamless(settings):
        state = export_state(content["model"], args.language)
        original = args.seamless_path or settings.seamless_path
        write_seamless(state, settings, args.output, original, args.checkpoint)
        logger.info(f"{args.output}: the model of '{args.language}', for transformers")
        return
    if args.seamless_path:
        raise OptionError(f"--seamless-path: {args.checkpoint} is no SeamlessM4T; leave it out")
    check_output(args.output)
    exported = without_optimizer(content)
    exported["model"] = export_state(content["model"], args.language)
    exported["args"] = None
    exported["cfg"] = _stock_settings(dict(content.get("cfg") or {}), settings, args.checkpoint)
    write_checkpoint(exported, args.output)
    logger.info(
        f"{args.output}: the model of '{args.language}', as {exported['cfg']['model']['arch']}"
    )


def _stock_settings(cfg: Dict[str, Any], model: Namespace, path: str) -> Dict[str, Any]:
    """Return the checkpoint's settings as stock fairseq would have them.

    As plain dictionaries: torch >= 2.6 refuses fairseq's own checkpoints for the Namespace in them,
    unless it is told otherwise, which without this plugin nobody does.
    """
    if not cfg:
        raise CheckpointError(f"{path} has no 'cfg'; it was written by a fairseq older than 0.10.2")
    own = {*(f.name for f in fields(DifferentiationOptions)), *_OWN_MODEL_OPTIONS}
    settings = {key: value for key, value in vars(model).items() if key not in own}
    arch = _plain(model.arch)
    name = next((one for one in map(_plain, MODELS) if arch.startswith(one)), arch)
    names = {"arch": arch, "_name": name, "task": "speech_to_text"}
    cfg["model"] = {**settings, **names}
    # a legacy task's settings are all there are
    cfg["task"] = {**settings, "task": "speech_to_text", "_name": "speech_to_text"}
    criterion = _as_dict(cfg.get("criterion"))
    if criterion.get("_name"):
        cfg["criterion"] = {**criterion, "_name": _plain(criterion["_name"])}
    cfg["common"] = {**_as_dict(cfg.get("common")), "user_dir": None}
    return cfg


def _as_dict(settings: Any) -> Dict[str, Any]:
    return dict(vars(settings) if isinstance(settings, Namespace) else settings or {})


def _plain(name: str) -> str:
    return name[len(_PREFIX) :] if name.startswith(_PREFIX) else name
