"""What the options do that every model here has: adapters, embeddings, recomputing."""

from __future__ import annotations

import re
from typing import Any

from fairseq.modules.checkpoint_activations import checkpoint_wrapper
from torch import nn

from fairseq_gist.errors import OptionError
from fairseq_gist.nn.adapters import attach_adapter
from fairseq_gist.nn.checkpointing import checkpoint_routed
from fairseq_gist.nn.language_embedding import attach_language_embedding
from fairseq_gist.nn.routing import Routing

__all__ = ["adapted", "embedded", "recomputed"]

_STACKS = ("encoder", "decoder")


def adapted(layer: nn.Module, width: int, args: Any) -> nn.Module:
    """Put an adapter behind ``layer``, whose output has ``width`` channels, if there are any.

    Raises:
        OptionError: for a size that can't be.
    """
    size = getattr(args, "adapter_dim", None) or 0  # models of before there were any don't say
    if size < 0:
        raise OptionError(f"--adapter-dim: expected 0 or more channels, found {size}")
    if size:
        attach_adapter(layer, width, size)
    return layer


def embedded(model: Any, args: Any) -> Any:
    """Attach language embeddings to the first layers of the stacks that options name.

    Raises:
        OptionError: for what is no stack of layers.
    """
    wanted = getattr(args, "language_embedding", None)
    for stack in [] if not wanted else str(wanted).split(","):
        first = re.compile(rf"{re.escape(stack)}\.\w*layers\.0")
        layers = [layer for path, layer in model.named_modules() if first.fullmatch(path)]
        if not layers or stack not in _STACKS:
            raise OptionError(
                f"--language-embedding: expected {', '.join(_STACKS)} or both with a comma "
                f"between, found '{wanted}'"
            )
        norms = (one for one in layers[0].modules() if isinstance(one, nn.LayerNorm))
        attach_language_embedding(layers[0], next(norms).normalized_shape[0])
    return model


def recomputed(layer: nn.Module, routing: Routing, args: Any) -> nn.Module:
    """Have ``layer``, its adapter too, run again in the backward pass, if options say so.

    The stock models' ``--offload-activations`` implies ``--checkpoint-activations``.
    """
    offload = bool(getattr(args, "offload_activations", False))
    if not offload and not getattr(args, "checkpoint_activations", False):
        return layer
    return checkpoint_routed(
        layer, routing, lambda module: checkpoint_wrapper(module, offload_to_cpu=offload)
    )
