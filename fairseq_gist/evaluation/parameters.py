"""How many parameters the model in a checkpoint has."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any, Dict, Mapping, Set, Tuple

from fairseq_gist.errors import CheckpointError

__all__ = ["count_parameters", "parameters_in_state"]

_BUFFERS = {"gist_plan", "running_mean", "running_var", "version", "_float_tensor"}


def count_parameters(path: Path) -> int:
    """Count the parameters of the model in a fairseq checkpoint; tied ones count once.

    Raises:
        CheckpointError: when the file is no checkpoint with a model.
    """
    checkpoint = _load(path)
    if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get("model"), dict):
        raise CheckpointError(f"{path}: expected a fairseq checkpoint, found no 'model' in it")
    return parameters_in_state(checkpoint["model"])


def parameters_in_state(state: Mapping[str, Any]) -> int:
    """Count the elements of the floating-point tensors of a state dict that aren't buffers.

    Nor are the unused second copies of encoder layers that fairseq 0.12.2 keeps counted.

    Tensors are tied when they share storage. Averaging or exporting copies tensors apart, so an
    output projection that equals its embedding counts as tied too.
    """
    from fairseq_gist.surgery.units import FAST_PATH_COPIES

    left_out = {*_BUFFERS, *FAST_PATH_COPIES}
    seen: Set[Tuple[Any, ...]] = set()
    total = 0
    for name, tensor in state.items():
        if name.rsplit(".", 1)[-1] in left_out or not tensor.is_floating_point():
            continue
        place = (tensor.data_ptr(), tuple(tensor.shape), tuple(tensor.stride()))
        if place in seen or _equals_its_embedding(name, state):
            continue
        seen.add(place)
        total += tensor.numel()
    return total


def _equals_its_embedding(name: str, state: Mapping[str, Any]) -> bool:
    embedding = state.get(name.replace("output_projection", "embed_tokens"))
    if "output_projection" not in name or embedding is None:
        return False
    projection = state[name]
    return projection.shape == embedding.shape and bool((projection == embedding).all())


def _load(path: Path) -> Any:
    import torch

    options: Dict[str, Any] = {"map_location": "cpu"}
    if "weights_only" in inspect.signature(torch.load).parameters:
        # fairseq keeps its configuration in the checkpoint as Python objects.
        options["weights_only"] = False
    try:
        return torch.load(str(path), **options)
    except OSError:
        raise
    except Exception as error:  # what a damaged pickle raises has no common base
        raise CheckpointError(f"{path}: cannot be read as a checkpoint ({error})") from error
