"""What fairseq's modules do past the calls of their parts, and that machines build differently."""

from __future__ import annotations

from typing import Any, Dict

__all__ = ["is_bare", "own_parameters", "use_plain_layer_norms"]


def own_parameters(module: Any) -> Dict[str, Any]:
    """Return the parameters of ``module`` itself, by name, as they are and come to be.

    Those below it aren't among them; one that it doesn't have may be there as None.
    """
    held: Dict[str, Any] = module._parameters  # noqa: SLF001
    return held


def is_bare(module: Any) -> bool:
    """Whether nobody has hung anything on a module that its weights alone don't do."""
    hung = module._forward_hooks or module._forward_pre_hooks or module._backward_hooks  # noqa: SLF001
    return not hung and "forward" not in vars(module)


def use_plain_layer_norms(model: Any) -> None:
    """Put torch's LayerNorm, with the same parameters, in the place of apex's fused one.

    fairseq takes apex's where it finds it and a GPU, and a model would have other units, and a
    split one other checkpoints, on a machine with apex than on one without.
    """
    from torch import nn

    for parent in list(model.modules()):
        for name, module in list(parent.named_children()):
            if type(module).__name__ == "FusedLayerNorm":
                plain = nn.LayerNorm(module.normalized_shape, eps=module.eps)
                plain.weight, plain.bias = module.weight, module.bias
                setattr(parent, name, plain)
