"""What the name of a unit, a module path of fairseq's, says: its layer, its module, its kind."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Dict, Iterable, List, Optional

from fairseq_gist.errors import OptionError
from fairseq_gist.sharing.shape import Place, matching

__all__ = [
    "DEFAULT_UNITS",
    "FEED_FORWARD",
    "FairseqNaming",
    "UnitName",
    "chosen_units",
    "encoder_feed_forward",
    "feed_forward_blocks",
    "matching",
]

DEFAULT_UNITS = r"decoder\.(layers\.\d+\.(?!adapter\.).+|layer_norm)"
"""The units of the paper: every projection and norm of the decoder, the final norm too.

Adapters come on top of a model and follow its plan in their own way: they aren't among them.
"""

FEED_FORWARD = ("fc1", "fc2")

_ENCODER_FEED_FORWARD = (
    r"(?:.+\.)?\w*encoder\.(?:.+\.)?\w*layers\.\d+\."
    r"(?:fc[12]|ffn2\.(?:w_[12]|intermediate_dense|output_dense))"
)
_BLOCKS = {"fc1": "fc2", "w_1": "w_2", "intermediate_dense": "output_dense"}
"""How the two projections of a block are called: in fairseq's transformers, in its Conformers, and
in those of transformers."""

_IN_LAYER = re.compile(
    r"^(?:(?P<stack>.+?)\.)?(?P<layers>\w*layers)\.(?P<layer>\d+)\.(?P<kind>.+)$"
)


@dataclass(frozen=True)
class UnitName:
    """A unit's name in its parts.

    Attributes:
        name: all of it, such as ``decoder.layers.3.self_attn.q_proj``.
        stack: what the layers belong to (``decoder``), or what is left of a unit outside them.
        layer: number of its layer, counted from 0; None outside the layers.
        kind: what is left of it inside the layer (``self_attn.q_proj``) or the stack
            (``layer_norm``).
        layer_path: path of its layer (``decoder.layers.3``); outside the layers its own.
    """

    name: str
    stack: str
    layer: Optional[int]
    kind: str
    layer_path: str

    @classmethod
    def parse(cls, name: str) -> UnitName:
        """Return the parts of ``name``.

        >>> UnitName.parse("decoder.layers.3.self_attn.q_proj").kind
        'self_attn.q_proj'
        >>> UnitName.parse("decoder.layer_norm").layer is None
        True
        """
        match = _IN_LAYER.match(name)
        if match is None:
            stack, _, kind = name.partition(".")
            return cls(name, stack if kind else "", None, kind or name, name)
        stack, layers, layer, kind = match.group("stack", "layers", "layer", "kind")
        path = ".".join(filter(None, (stack, layers, layer)))
        return cls(name, stack or "", int(layer), kind, path)

    @property
    def module_path(self) -> str:
        """Path of the attention it is a projection of; its own where it stands alone.

        The two projections of a feed-forward block, which fairseq doesn't put into a module of
        their own, have ``<layer>.feed_forward``.

        >>> UnitName.parse("decoder.layers.3.fc2").module_path
        'decoder.layers.3.feed_forward'
        """
        if self.layer is None:
            return self.name
        if self.kind in FEED_FORWARD:
            return f"{self.layer_path}.feed_forward"
        return self.name.rpartition(".")[0] if "." in self.kind else self.name


class FairseqNaming:
    """What the names of all the architectures say, by patterns that hold in any of them."""

    def place(self, name: str) -> Place:
        """Return where the unit is."""
        own = UnitName.parse(name)
        kind = own.kind
        for theirs, ours in (("cross_attention.", "encoder_attn."), ("ffn.", "")):
            if kind.startswith(theirs):
                kind = ours + kind[len(theirs) :]
        return Place(own.stack, own.layer, own.layer_path, own.module_path, kind)

    def is_default(self, name: str) -> bool:
        """Return whether plans must speak of it."""
        return bool(re.fullmatch(DEFAULT_UNITS, name))

    def is_for_neurons(self, name: str) -> bool:
        """Return whether policies on single neurons decide on its block unless told."""
        return bool(re.fullmatch(_ENCODER_FEED_FORWARD, name))


def feed_forward_blocks(names: Iterable[str]) -> Dict[str, str]:
    """Return the feed-forward blocks among ``names``: first projection -> second.

    >>> feed_forward_blocks(["encoder.layers.0.ffn1.w_1", "encoder.layers.0.ffn1.w_2", "other.fc1"])
    {'encoder.layers.0.ffn1.w_1': 'encoder.layers.0.ffn1.w_2'}
    """
    known = dict.fromkeys(names)
    blocks: Dict[str, str] = {}
    for name in known:
        parent, dot, kind = name.rpartition(".")
        second = f"{parent}{dot}{_BLOCKS.get(kind, '')}"
        if kind in _BLOCKS and second in known:
            blocks[name] = second
    return blocks


def encoder_feed_forward(names: Iterable[str]) -> List[str]:
    """Return the projections of the feed-forward block of every encoder layer, one at least.

    Of a Conformer's two blocks it is the second, as in Sun & Nakamura (2026).

    Raises:
        OptionError: when there is none.
    """
    known = list(names)
    chosen = matching(_ENCODER_FEED_FORWARD, known)
    if not chosen:
        raise OptionError(
            f"none of the {len(known)} units is a projection of an encoder's feed-forward block "
            "that isn't divided yet; choose others (--units)"
        )
    return chosen


def chosen_units(pattern: str, names: Iterable[str]) -> List[str]:
    """Return the names that ``pattern`` matches as a whole, one at least.

    Raises:
        OptionError: when it is no regular expression, or matches nothing.
    """
    known = list(names)
    chosen = matching(pattern, known)
    if not chosen:
        raise OptionError(
            f"--units: '{pattern}' matches none of the {len(known)} units"
            + (f", which go from '{known[0]}' to '{known[-1]}'" if known else "")
        )
    return chosen
