"""Inner products of gradients: of whole units, and of the single neurons of a block."""

from __future__ import annotations

from typing import Mapping, Sequence, Tuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Layout", "gram_of", "gram_of_neurons"]

_COLUMNS_AT_ONCE = 1 << 18
_NUMBERS_AT_ONCE = 1 << 23

Layout = Mapping[str, Tuple[int, int]]
"""Where each parameter of a unit lies in its gradient vector: first position, and past the last."""


def gram_of(probes: Sequence[Tensor], tokens: Tensor) -> NDArray[np.float64]:
    """Return the inner products of the probes, `[probes, probes]`, summed in fp64.

    Args:
        probes: flat gradients of one unit.
        tokens: target tokens, by which each probe is divided, `[probes, 1]`.
    """
    gram = np.zeros((len(probes), len(probes)))
    for start in range(0, len(probes[0]), _COLUMNS_AT_ONCE):
        part = torch.stack([probe[start : start + _COLUMNS_AT_ONCE] for probe in probes])
        part = part.double() / tokens
        gram += (part @ part.t()).cpu().numpy()
    return gram


def gram_of_neurons(
    first: Sequence[Tensor],
    second: Sequence[Tensor],
    layouts: Tuple[Layout, Layout],
    neurons: int,
    tokens: Tensor,
) -> NDArray[np.float32]:
    """Return the inner products of the probes, `[neurons, probes, probes]`, summed in fp64.

    Args:
        first: gradient of the projection that makes the neurons, for each probe, flat.
        second: gradient of the projection that reads them, likewise.
        layouts: where weight and bias of each of the two lie in the flat gradients.
        neurons: how many there are.
        tokens: target tokens, by which each probe is divided, `[probes, 1]`.
    """
    probes = len(first)
    gram = np.zeros((neurons, probes, probes), dtype=np.float32)
    rows = _views(first, layouts[0]["weight"], (neurons, -1))
    columns = [whole.t() for whole in _views(second, layouts[1]["weight"], (-1, neurons))]
    parts = [rows, columns]
    if "bias" in layouts[0]:
        parts.append(_views(first, layouts[0]["bias"], (neurons, 1)))
    width = sum(part[0].size(1) for part in parts)
    step = max(1, _NUMBERS_AT_ONCE // (probes * width))
    for start in range(0, neurons, step):
        some = slice(start, start + step)
        each = torch.cat([torch.stack([probe[some] for probe in part]) for part in parts], dim=2)
        each = (each.double() / tokens[:, None]).transpose(0, 1)  # [neurons, probes, width]
        gram[some] = torch.bmm(each, each.transpose(1, 2)).cpu().numpy()
    return gram


def _views(
    gradients: Sequence[Tensor], place: Tuple[int, int], shape: Tuple[int, int]
) -> Sequence[Tensor]:
    start, stop = place
    return [gradient[start:stop].view(shape) for gradient in gradients]
