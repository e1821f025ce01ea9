"""The fp32 masters of a model in half precision, which its optimizer holds in its place."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, NamedTuple, Optional

from torch import Tensor
from torch.nn import Parameter

from fairseq_gist.errors import SurgeryError

__all__ = ["FlatMasters", "Masters", "masters_of"]


class FlatMasters(NamedTuple):
    """Where the masters of a model's parameters are in one flat tensor."""

    whole: Parameter
    """All of them, `[numbers]`: what the optimizer holds."""
    parameters: List[Parameter]
    """The model's, in the order in which their masters follow each other."""

    def places(self) -> Dict[Parameter, slice]:
        """Return the numbers of each parameter's master.

        Raises:
            SurgeryError: when together they aren't all of it.
        """
        found, start = {}, 0
        for parameter in self.parameters:
            found[parameter] = slice(start, start + parameter.numel())
            start += parameter.numel()
        if start != self.whole.numel():
            raise SurgeryError(
                f"the optimizer's flat masters are {self.whole.numel():,} numbers, and the "
                f"parameters they should be of have {start:,}"
            )
        return found


class Masters(NamedTuple):
    """What a torch optimizer holds in the place of the model's parameters."""

    each: Mapping[Parameter, Tensor] = {}
    """Parameter of the model -> its master, where each has its own."""
    flat: Optional[FlatMasters] = None


def masters_of(optimizer: Any) -> Masters:
    """Return the masters of an optimizer of fairseq, which has none without fp16."""
    masters = getattr(optimizer, "fp32_params", None)
    if isinstance(masters, list):
        return Masters(dict(zip(optimizer.fp16_params, masters)))
    if isinstance(masters, dict):
        (whole,) = masters.values()  # one a device, and models on several are refused
        return Masters(flat=FlatMasters(whole, list(optimizer.fp16_params)))
    return Masters()
