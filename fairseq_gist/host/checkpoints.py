"""Reading and writing fairseq's checkpoint files, of either stack."""

from __future__ import annotations

import inspect
from argparse import Namespace
from pathlib import Path
from typing import Any, Dict

from fairseq_gist.errors import CheckpointError
from fairseq_gist.files import replacing

__all__ = [
    "allow_own_checkpoints",
    "model_settings",
    "read_checkpoint",
    "with_model_settings",
    "without_optimizer",
    "write_checkpoint",
]


def allow_own_checkpoints() -> None:
    """Let torch >= 2.6 load the checkpoints that fairseq writes: they hold a Namespace."""
    import torch.serialization

    if hasattr(torch.serialization, "add_safe_globals"):
        torch.serialization.add_safe_globals([Namespace])


def read_checkpoint(path: str) -> Dict[str, Any]:
    """Return the content of a checkpoint that fairseq wrote.

    Like fairseq itself this unpickles the file: only open checkpoints whose origin you trust.

    Raises:
        CheckpointError: when the file is missing or no fairseq checkpoint.
    """
    import torch

    if not Path(path).is_file():
        raise CheckpointError(f"there is no checkpoint {path}")
    options: Dict[str, Any] = {"map_location": "cpu"}
    if "weights_only" in inspect.signature(torch.load).parameters:
        options["weights_only"] = False
    try:
        content = torch.load(path, **options)
    except Exception as error:  # unpickling a wrong file can raise anything
        raise CheckpointError(f"{path} is no checkpoint that torch can read: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("model"), dict):
        raise CheckpointError(f"{path} is no fairseq checkpoint: it has no 'model' in it")
    return content


def write_checkpoint(content: Dict[str, Any], path: str) -> None:
    """Write a checkpoint, whole or not at all."""
    import torch

    with replacing(path) as temporary:
        torch.save(content, temporary)


def model_settings(content: Dict[str, Any], path: str) -> Namespace:
    """Return the arguments the checkpoint's model was built with.

    Raises:
        CheckpointError: when the checkpoint doesn't say.
    """
    cfg = content.get("cfg")
    model = cfg.get("model") if cfg else content.get("args")
    if model is None:
        raise CheckpointError(f"{path} doesn't say which model it is of: neither 'cfg' nor 'args'")
    return Namespace(**vars(model)) if isinstance(model, Namespace) else Namespace(**dict(model))


def with_model_settings(content: Dict[str, Any], settings: Namespace) -> Dict[str, Any]:
    """Return the checkpoint with these settings of its model, where it keeps them.

    That is among the groups of its ``cfg``; a fairseq older than 0.10.2 kept the options of
    everything in one ``args``, from which a newer one makes the groups.
    """
    if content.get("cfg"):
        cfg = {**dict(content["cfg"]), "model": settings}
        return {**content, "args": None, "cfg": cfg}
    return {**content, "args": settings, "cfg": None}


def without_optimizer(content: Dict[str, Any]) -> Dict[str, Any]:
    """Return the checkpoint without optimizer state, as fairseq saves one for inference."""
    kept = {key: value for key, value in content.items() if key != "last_optimizer_state"}
    kept["last_optimizer_state"] = None
    return kept
