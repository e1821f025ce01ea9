"""Reading what torch saved: by default nothing of it runs, and what comes of it is plain data."""

from __future__ import annotations

import inspect
import pickle
from pathlib import Path
from typing import Any, BinaryIO, Dict, List, Sequence, Tuple

from fairseq_gist.errors import CheckpointError, shortened
from fairseq_gist.files.outputs import CHECKPOINT, DAMAGED, OTHER, kind_of

__all__ = ["TRUST_FLAG", "load_file", "plain_content", "size_on_disk"]

TRUST_FLAG = "--trust-checkpoint"
"""Of the commands that read a checkpoint: has it import and run whatever it names."""

_FRAME = 400
"""Bytes that a file takes for a tensor beside its numbers."""


def load_file(path: str, trusted: bool = False, trust_by: str = TRUST_FLAG) -> Any:
    """Return what torch saved in a file, tensors on the CPU.

    Args:
        path: of the file.
        trusted: whether everything that the file names is imported and called, as pickles have it.
            Otherwise what :mod:`fairseq_gist.host.unpickling` allows, and the content is plain.
        trust_by: what a user does to have it so, for errors.

    Raises:
        CheckpointError: when torch can't read it, or it names more than it may. Nothing has run.
    """
    import torch

    from fairseq_gist.host.unpickling import is_torchscript

    try:
        with open(path, "rb") as file:
            if trusted:
                return _load_anything(file)
            if torch.__version__ >= (2, 6):
                content = _load_weights_only(file)
            else:
                content = _load_restricted(file)
    except OSError:
        raise
    except Exception as error:  # unpickling a wrong file can raise anything
        if not trusted and is_torchscript(path):
            raise CheckpointError(f"{path} is a program (TorchScript), and no checkpoint") from None
        foreign = [] if trusted else _foreign_names(path)
        if foreign:
            raise CheckpointError(
                f"{path} names {_listed(foreign)}, which no checkpoint of fairseq needs and which "
                "might run anything; nothing was loaded. If you know who made the file, "
                f"{trust_by} loads it all the same"
            ) from None
        raise CheckpointError(
            f"{path} is no checkpoint that torch can read, or a damaged one: "
            f"{_kind(path) or _reason(error)}"
        ) from error
    return plain_content(content, path)[0]


def _kind(path: str) -> str:
    """Return what a file is that can be told without torch; empty where it may be a checkpoint."""
    found = kind_of(Path(path))
    if found is None:
        return "the file is empty"
    if found == DAMAGED:
        return "its archive is cut off, or was changed"
    if found == OTHER:
        return "it begins like no file that torch writes"
    return "" if found == CHECKPOINT else f"it is {found}"


def _reason(error: Exception) -> str:
    """Return what an error says, without torch's advice how to load the file regardless."""
    told = str(error).rpartition("WeightsUnpickler error:")[2].partition("Please file an issue")[0]
    return shortened(told.strip().split("\n\n")[0] or type(error).__name__, 300)


def _load_anything(file: BinaryIO) -> Any:
    import torch

    options: Dict[str, Any] = {"map_location": "cpu"}
    if "weights_only" in inspect.signature(torch.load).parameters:
        options["weights_only"] = False
    return torch.load(file, **options)


def _load_weights_only(file: BinaryIO) -> Any:
    import torch

    from fairseq_gist.host.unpickling import allowed_by_torch, names_in

    try:
        with allowed_by_torch():
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        file.seek(0)
        names = names_in(file)
    file.seek(0)
    with allowed_by_torch(names):
        return torch.load(file, map_location="cpu", weights_only=True)


def _load_restricted(file: BinaryIO) -> Any:
    import torch

    from fairseq_gist.host.unpickling import is_torchscript, restricted_pickle

    if is_torchscript(file.name):
        raise pickle.UnpicklingError("it is a program (TorchScript)")
    return torch.load(file, map_location="cpu", pickle_module=restricted_pickle())


def _foreign_names(path: str) -> List[str]:
    from fairseq_gist.host.unpickling import is_foreign, names_in

    try:
        with open(path, "rb") as file:
            return [name for name in names_in(file) if is_foreign(name)]
    except (ValueError, OSError):  # no pickle, or a damaged one
        return []


def _listed(names: Sequence[str]) -> str:
    """Return the first names, each in a length that fits a line."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(shortened(name) for name in names[:3]) + more


def plain_content(content: Any, path: str) -> Tuple[Any, List[str]]:
    """Return the content of a file as plain data; see :func:`fairseq_gist.host.plain.make_plain`.

    Raises:
        CheckpointError: naming the file.
    """
    from fairseq_gist.host.plain import make_plain

    try:
        return make_plain(content)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from None


def size_on_disk(content: Any) -> int:
    """Return about how many bytes a file of nested containers has, each tensor once."""
    import torch

    storages: Dict[int, int] = {}
    todo = [content]
    while todo:
        value = todo.pop()
        if torch.is_tensor(value):
            storages[value.data_ptr()] = value.numel() * value.element_size()
        elif isinstance(value, dict):
            todo += value.values()
        elif isinstance(value, (list, tuple)):
            todo += value
    return sum(storages.values()) + _FRAME * (1 + len(storages))
