"""Keeping the inner products of long vectors in short ones: a count sketch that folds.

Coordinate i of a vector is multiplied by a random sign s(i) and added to bucket i mod w of the
sketch. Two coordinates that meet in a bucket have signs that agree as often as not, so over the
signs the product of two sketches is, on average, the product of the vectors. For vectors x and y
its standard error is about √((|x|²|y|² + (x·y)²) / w). Sketches are linear: that of a sum is the
sum of the sketches.

The width w is a prime. Weight matrices are flattened row by row, and a column of one with d columns
is every d-th coordinate: where d and w have a common factor, as powers of two have, it would meet
itself in few buckets, and matrices of which a few columns hold most of the energy, as gradients
are, would be kept badly. A prime has no factor in common with any d but its own multiples, so both
rows and columns are spread over all buckets.
"""

from __future__ import annotations

import math
from typing import Dict

import numpy as np
import torch
from torch import Tensor

__all__ = ["Sketch", "cosine_error", "prime_from"]

_SEED = 20220918
_AT_ONCE = 1 << 20


class Sketch:
    """Folds vectors into sketches, always by the same signs.

    The signs depend on a coordinate's position alone: they are the same in every process, after a
    resume and under every version of torch, and needn't be kept.

    Args:
        dim: numbers that are wanted in a sketch; it has as many as the next prime.
        longest: most coordinates of a vector that is folded.
        seed: of the signs.

    Raises:
        ValueError: when ``dim`` is not positive.
    """

    def __init__(self, dim: int, longest: int, seed: int = _SEED) -> None:
        if dim < 1:
            raise ValueError(f"a sketch has at least one number, not {dim}")
        self.width = prime_from(dim)
        # numpy promises never to change this generator's stream; shorter streams are its beginning
        words = np.random.RandomState(seed).bytes(4 * math.ceil(longest / 32))
        bits = np.unpackbits(np.frombuffer(words, dtype=np.uint8), count=longest)
        self._signs = torch.from_numpy(2 * bits.view(np.int8) - 1).float()
        self._signs_on: Dict[str, Tensor] = {}

    def size(self, parameters: int) -> int:
        """Return how many numbers stand for a vector of ``parameters``: all of it where it fits."""
        return min(parameters, self.width)

    def add(self, sketch: Tensor, part: Tensor, start: int) -> None:
        """Add to a vector's ``sketch`` a part of the vector, or to several vectors' at once.

        A sketch shorter than the width is the vector itself. At most 2²⁰ signed coordinates are in
        memory at once.

        Args:
            sketch: of the vector so far, `[..., size]`, changed in place.
            part: coordinates of the vector that follow one another, `[..., n]`, any float type.
            start: position of the first of them in the vector.
        """
        length, width = part.size(-1), self.width
        if sketch.size(-1) < width:
            sketch[..., start : start + length].add_(part)
            return
        signs = self._signs_beside(part)[start : start + length]
        step = max(1, _AT_ONCE * length // part.numel() // width) * width
        first = start % width
        ahead, behind = sketch[..., first:], sketch[..., :first]
        for begin in range(0, length, step):
            # in fp32, also where the part is in half precision, whose sums would overflow
            signed = part[..., begin : begin + step] * signs[begin : begin + step]
            whole = signed.size(-1) // width * width
            parts = [signed[..., whole:]]
            if whole:
                parts.insert(0, signed[..., :whole].unflatten(-1, (-1, width)).sum(-2))
            for folded in parts:
                count = min(folded.size(-1), ahead.size(-1))
                if count:
                    ahead[..., :count].add_(folded[..., :count])
                rest = folded[..., count:]
                if rest.size(-1):
                    behind[..., : rest.size(-1)].add_(rest)

    def _signs_beside(self, part: Tensor) -> Tensor:
        where = str(part.device)
        if where not in self._signs_on:
            self._signs_on[where] = self._signs.to(part.device)
        return self._signs_on[where]


def cosine_error(cosine: float, width: int) -> float:
    """Return the standard error of a cosine that is computed from two sketches of ``width``.

    The sketches' own norms are in it, which err in the same direction as the product: it vanishes
    for parallel vectors. Divided by the exact norms the product errs by up to √((1 + cosine²) /
    width).
    """
    return (1.0 - cosine * cosine) / math.sqrt(width)


def prime_from(number: int) -> int:
    """Return the smallest prime that is at least ``number``."""
    candidate = max(2, number)
    while any(candidate % divisor == 0 for divisor in range(2, math.isqrt(candidate) + 1)):
        candidate += 1
    return candidate
