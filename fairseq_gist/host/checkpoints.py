"""Reading and writing fairseq's checkpoint files, of either stack."""

from __future__ import annotations

import logging
from argparse import Namespace
from pathlib import Path
from typing import Any, Dict, Mapping

from fairseq_gist.errors import CheckpointError, shortened
from fairseq_gist.files import replacing
from fairseq_gist.files.replacing import reserve
from fairseq_gist.host.torch_files import load_file, plain_content, size_on_disk

__all__ = [
    "allow_own_checkpoints",
    "check_numbers",
    "is_unset",
    "model_settings",
    "read_checkpoint",
    "with_model_settings",
    "with_task_settings",
    "without_optimizer",
    "write_checkpoint",
]

logger = logging.getLogger(__name__)


def allow_own_checkpoints() -> None:
    """Let torch >= 2.6 load the checkpoints that fairseq writes: they hold a Namespace."""
    import torch.serialization

    if hasattr(torch.serialization, "add_safe_globals"):
        torch.serialization.add_safe_globals([Namespace])


def read_checkpoint(path: str, trusted: bool = False) -> Dict[str, Any]:
    """Return the content of a checkpoint that fairseq wrote.

    Args:
        path: of the file.
        trusted: whether it may run code, see :func:`fairseq_gist.host.torch_files.load_file`.

    Raises:
        CheckpointError: when the file is missing or no fairseq checkpoint.
    """
    if not Path(path).is_file():
        if Path(path).is_dir():
            there = ", ".join(sorted(one.name for one in Path(path).glob("*.pt"))[:3])
            raise CheckpointError(
                f"{path} is a folder, expected a checkpoint{there and f', such as its {there}'}"
            )
        raise CheckpointError(f"there is no checkpoint {path}")
    content, left_out = plain_content(load_file(path, trusted), path)
    for place in left_out:
        logger.warning(f"{path}: left out '{place}', which can't be kept")
    if not isinstance(content, dict) or not isinstance(content.get("model"), dict):
        raise CheckpointError(f"{path} is no fairseq checkpoint: it has no 'model' in it")
    _check_model(content["model"], path)
    return content


def _check_model(model: Mapping[Any, Any], path: str) -> None:
    """Raise CheckpointError where a model is no state dict."""
    import torch

    for name, value in model.items():
        if not isinstance(name, str) or not torch.is_tensor(value):
            raise CheckpointError(
                f"{path}: expected a tensor for each name of its model, found "
                f"{type(value).__name__} for '{shortened(str(name))}'"
            )
        kind = _odd_kind(value)
        if kind:
            raise CheckpointError(
                f"{path}: expected numbers as '{shortened(name)}', found a tensor {kind}"
            )


def is_unset(name: str) -> bool:
    """Return whether a buffer is memory as fairseq 0.12.2 found it: any number, or none."""
    return name.rpartition(".")[2] == "_float_tensor"


def check_numbers(model: Mapping[str, Any], path: str) -> None:
    """Raise CheckpointError where a model has values that are no numbers, as after divergence."""
    import torch

    for name, value in model.items():
        if is_unset(name):
            continue
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise CheckpointError(
                f"{path}: '{name}' has values that are no finite numbers; did its training diverge?"
            )


def _odd_kind(tensor: Any) -> str:
    """Return what a tensor is that no model has, and that can't be computed with as others are."""
    import torch

    if tensor.is_complex() or tensor.is_quantized:
        return f"of {tensor.dtype}"
    if tensor.layout is not torch.strided:
        return f"of layout {tensor.layout}"
    if tensor.device.type != "cpu":
        return f"without data (of device {tensor.device})"
    storage = tensor.untyped_storage() if hasattr(tensor, "untyped_storage") else tensor.storage()
    if tensor.numel() * tensor.element_size() > storage.nbytes():
        return f"of {tensor.numel():,} numbers, more than it has"
    return ""


def write_checkpoint(content: Dict[str, Any], path: str) -> None:
    """Write a checkpoint, whole or not at all, of which torch loads everything by default."""
    import torch

    size = size_on_disk(content)
    with replacing(path, size) as temporary:
        reserve(temporary, size)
        with open(temporary, "wb") as file:  # given a name, torch would write that into the file
            torch.save(content, file)


def model_settings(content: Dict[str, Any], path: str) -> Namespace:
    """Return the arguments the checkpoint's model was built with.

    Raises:
        CheckpointError: when the checkpoint doesn't say.
    """
    cfg = content.get("cfg")
    if cfg and not isinstance(cfg, dict):
        raise CheckpointError(f"{path}: expected settings as 'cfg', found {type(cfg).__name__}")
    model = cfg.get("model") if cfg else content.get("args")
    if model is None:
        raise CheckpointError(f"{path} doesn't say which model it is of: neither 'cfg' nor 'args'")
    if isinstance(model, Namespace):
        return Namespace(**vars(model))
    if not isinstance(model, dict) or not all(isinstance(name, str) for name in model):
        raise CheckpointError(
            f"{path}: expected the settings of its model, found {type(model).__name__}"
        )
    if cfg and any(isinstance(value, str) and "${" in value for value in model.values()):
        model = _resolved(cfg)
    return Namespace(**model)


def _resolved(cfg: Dict[str, Any]) -> Dict[str, Any]:
    """Return the settings of a model that refer to others, with what these are."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    groups = {name: group for name, group in cfg.items() if isinstance(group, dict)}
    try:
        return dict(OmegaConf.to_container(OmegaConf.create(groups), resolve=True)["model"])
    except (OmegaConfBaseException, ValueError):  # of a group that isn't there
        return dict(cfg["model"])


def with_model_settings(content: Dict[str, Any], settings: Namespace) -> Dict[str, Any]:
    """Return the checkpoint with these settings of its model, where it keeps them.

    That is among the groups of its ``cfg``; a fairseq older than 0.10.2 kept the options of
    everything in one ``args``, from which a newer one makes the groups.
    """
    if content.get("cfg"):
        cfg = {**dict(content["cfg"]), "model": settings}
        return {**content, "args": None, "cfg": cfg}
    return {**content, "args": settings, "cfg": None}


def with_task_settings(content: Dict[str, Any], **settings: Any) -> Dict[str, Any]:
    """Return the checkpoint with these among the settings of its task, where it keeps some."""
    cfg = content.get("cfg")
    task = cfg.get("task") if isinstance(cfg, dict) else None
    told = vars(task) if isinstance(task, Namespace) else task
    if not isinstance(cfg, dict) or not isinstance(told, dict):
        return content
    changed = {**told, **settings}
    kept = Namespace(**changed) if isinstance(task, Namespace) else changed
    return {**content, "cfg": {**cfg, "task": kept}}


def without_optimizer(content: Dict[str, Any]) -> Dict[str, Any]:
    """Return the checkpoint without optimizer state, as fairseq saves one for inference."""
    kept = {key: value for key, value in content.items() if key != "last_optimizer_state"}
    kept["last_optimizer_state"] = None
    return kept
