"""Inner products of the gradients of single hidden units, from those of the two projections."""

from __future__ import annotations

from typing import Mapping, Sequence, Tuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["hidden_gram"]

_NUMBERS_AT_ONCE = 1 << 23

Layout = Mapping[str, Tuple[int, int]]


def hidden_gram(
    first: Sequence[Tensor],
    second: Sequence[Tensor],
    layouts: Tuple[Layout, Layout],
    hidden: int,
    tokens: Tensor,
) -> NDArray[np.float32]:
    """Return the inner products of the probes, `[hidden, probes, probes]`, summed in fp64.

    Args:
        first: gradient of the projection that makes the hidden units, for each probe, flat.
        second: gradient of the projection that reads them, likewise.
        layouts: where weight and bias of each of the two lie in the flat gradients.
        hidden: number of hidden units.
        tokens: target tokens, by which each probe is divided, `[probes, 1]`.
    """
    probes = len(first)
    gram = np.zeros((hidden, probes, probes), dtype=np.float32)
    rows = _views(first, layouts[0]["weight"], (hidden, -1))
    columns = [whole.t() for whole in _views(second, layouts[1]["weight"], (-1, hidden))]
    parts = [rows, columns]
    if "bias" in layouts[0]:
        parts.append(_views(first, layouts[0]["bias"], (hidden, 1)))
    width = sum(part[0].size(1) for part in parts)
    step = max(1, _NUMBERS_AT_ONCE // (probes * width))
    for start in range(0, hidden, step):
        some = slice(start, start + step)
        own = torch.cat([torch.stack([probe[some] for probe in part]) for part in parts], dim=2)
        own = (own.double() / tokens[:, None]).transpose(0, 1)  # [hidden, probes, width]
        gram[some] = torch.bmm(own, own.transpose(1, 2)).cpu().numpy()
    return gram


def _views(
    gradients: Sequence[Tensor], place: Tuple[int, int], shape: Tuple[int, int]
) -> Sequence[Tensor]:
    start, stop = place
    return [gradient[start:stop].view(shape) for gradient in gradients]
