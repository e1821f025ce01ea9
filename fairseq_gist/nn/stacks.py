"""The parameters of copies beside each other, and how long they stay there."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence, Tuple

import torch
from torch import Tensor, nn

from fairseq_gist.host.modules import own_parameters

__all__ = ["Stacks"]


class Stacks:
    """Puts the parameters of modules of one kind into one tensor for each name.

    In training that happens in every call, as they change with every update. Translating, what was
    put together is used again until a parameter is another, or holds something else.
    """

    def __init__(self) -> None:
        self._modules: Optional[Sequence[nn.Module]] = None
        self._seen: List[Tuple[Dict[str, Any], str, Tensor, Tuple[int, int]]] = []
        self._kept: Dict[str, Tensor] = {}

    def of(self, modules: Sequence[nn.Module], keep: bool) -> Dict[str, Tensor]:
        """Return the parameters by name, `[modules, ...]` each.

        Args:
            modules: whose parameters they are; all have the same names.
            keep: whether the result may be that of the last call, and is kept for the next.
        """
        if not keep:
            return _stacked([own_parameters(module) for module in modules])
        if modules != self._modules or not self._is_valid():
            held = [own_parameters(module) for module in modules]
            self._modules, self._kept = modules, _stacked(held)
            self._seen = [
                (of, name, tensor, (tensor.data_ptr(), tensor._version))  # noqa: SLF001
                for of in held
                for name, tensor in of.items()
                if tensor is not None
            ]
        return self._kept

    def clear(self) -> None:
        """Drop what was kept."""
        self._modules, self._seen, self._kept = None, [], {}

    def _is_valid(self) -> bool:
        return all(
            of[name] is tensor and (tensor.data_ptr(), tensor._version) == seen  # noqa: SLF001
            for of, name, tensor, seen in self._seen
        )


def _stacked(held: Sequence[Dict[str, Any]]) -> Dict[str, Tensor]:
    return {
        name: torch.stack([of[name] for of in held])
        for name, first in held[0].items()
        if first is not None
    }
