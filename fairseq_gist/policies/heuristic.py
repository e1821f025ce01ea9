"""The heuristic policies of Wang et al. (Interspeech 2022), table 1: sharing decided by kind.

Each name says what of the decoder stays shared beside the encoder; the rest of the decoder's layers
is language-specific, layer norms and the final one always. Embeddings and output projection are
shared too, but by ``encoder-only``. The paper names the projections; that norms and biases go with
their language, and embeddings don't, follows from its numbers of parameters.
"""

from __future__ import annotations

from typing import Collection, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from fairseq_gist.errors import OptionError
from fairseq_gist.policies.agglomeration import Undecided
from fairseq_gist.sharing.plan import SharingPlan
from fairseq_gist.sharing.unit_names import DEFAULT_UNITS, FEED_FORWARD, UnitName, matching

__all__ = ["HEURISTICS", "heuristic_plan"]


def _projections(attentions: Iterable[str], letters: str) -> Tuple[str, ...]:
    return tuple(f"{attention}.{letter}_proj" for attention in attentions for letter in letters)


_SELF, _CROSS = ("self_attn",), ("encoder_attn",)
_OUT = tuple(f"{attention}.out_proj" for attention in (*_SELF, *_CROSS))

HEURISTICS: Mapping[str, Tuple[str, ...]] = {
    "shared": (),
    "encoder-only": (),
    "self-attention": (*_projections(_SELF, "qkv"), _OUT[0]),
    "cross-attention": (*_projections(_CROSS, "qkv"), _OUT[1]),
    "key-value": _projections((*_SELF, *_CROSS), "kv"),
    "query-key": _projections((*_SELF, *_CROSS), "qk"),
    "query-key-value": _projections((*_SELF, *_CROSS), "qkv"),
    "attention": (*_projections((*_SELF, *_CROSS), "qkv"), *_OUT),
    "feed-forward": FEED_FORWARD,
    "language-specific": (),
}
"""Name of a policy -> the kinds of units that all languages share in every layer of the decoder."""

_EMBEDDING = "decoder.embed_tokens"

_OTHER_NAMES = (("cross_attention.", "encoder_attn."), ("ffn.", ""))
"""Beginnings of kinds in SeamlessM4T, and in fairseq's transformers."""


def heuristic_plan(
    name: str,
    languages: Sequence[str],
    unit_parameters: Mapping[str, int],
    shared_parameters: int,
    units: Optional[Collection[str]] = None,
    within: Optional[SharingPlan] = None,
) -> SharingPlan:
    """Return the plan of a heuristic.

    It says of all the projections and norms of the decoder how they are shared; of other units only
    of those that it splits.

    Args:
        name: one of :data:`HEURISTICS`.
        languages: of the model.
        unit_parameters: parameters of one copy of every unit of the model, in its order.
        shared_parameters: parameters of the whole, fully shared model.
        units: split these at most. ``language-specific`` splits all of them, wherever they are;
            the others never split anything of the encoder.
        within: the plan so far, which the result must refine. Units that it isn't asked to split,
            or says nothing of, such as adapters, stay as they are in it.

    Raises:
        OptionError: for an unknown name, or when a kind that it shares, or all that it would split,
            is none of the units.
        PlanError: when ``within`` is for other languages, separates some that the heuristic joins,
            or splits a unit of unknown size that isn't decided on.
    """
    if name not in HEURISTICS:
        raise OptionError(f"expected one of {', '.join(HEURISTICS)}, found '{name}'")
    default = matching(DEFAULT_UNITS, unit_parameters)
    _check_kinds(name, default, unit_parameters)
    split = _split(name, default, unit_parameters)
    if units is not None:
        split = [
            unit
            for unit in unit_parameters
            if unit in units and (unit in split or name == "language-specific")
        ]
    if not split and name != "shared":
        raise OptionError(f"policy '{name}' splits none of the units asked for (--units)")
    alone = [[language] for language in languages]
    groups: Dict[str, List[List[str]]] = {
        unit: alone if unit in split else [list(languages)]
        for unit in unit_parameters
        if unit in default or unit in split
    }
    plan = SharingPlan(languages, groups)
    decided = [unit for unit in groups if units is None or unit in units]
    same_languages = within is not None and within.languages == plan.languages
    kept = Undecided.of(within if same_languages else None, decided)
    kept.check_known()
    plan = SharingPlan(languages, {**plan.units, **kept.units})
    if within is not None:
        plan.check_refines(within)
    sizes = {**{unit: unit_parameters[unit] for unit in groups}, **kept.parameters}
    return plan.replaced(
        provenance={"policy": name}, sizes=sizes, shared_parameters=shared_parameters
    )


def _split(name: str, default: Sequence[str], units: Iterable[str]) -> List[str]:
    """Return the units that every language owns."""
    if name == "shared":
        return []
    if name == "encoder-only":
        return [unit for unit in units if UnitName.parse(unit).stack == "decoder"]
    return [unit for unit in default if _kind(unit) not in HEURISTICS[name]]


def _kind(unit: str) -> str:
    """Return the kind of a unit as fairseq calls it, where another model has another name."""
    kind = UnitName.parse(unit).kind
    for theirs, ours in _OTHER_NAMES:
        if kind.startswith(theirs):
            return ours + kind[len(theirs) :]
    return kind


def _check_kinds(name: str, default: Sequence[str], units: Collection[str]) -> None:
    known = list(units)
    found = {_kind(unit) for unit in default}
    missing = [kind for kind in HEURISTICS[name] if kind not in found]
    if missing or not default:
        what = f"'decoder.layers.*.{missing[0]}'" if missing else "the decoder's layers"
        raise OptionError(
            f"policy '{name}' is about {what}, which is none of the {len(known)} units"
            + (f" from '{known[0]}' to '{known[-1]}'" if known else "")
            + "; the policy is for the decoders of fairseq's transformers, and of SeamlessM4T"
        )
    if name == "encoder-only" and _EMBEDDING not in units:
        raise OptionError(
            f"policy '{name}' splits the decoder's embeddings too, and '{_EMBEDDING}' is none of "
            f"the {len(known)} units whose size is known; gradient statistics usually lack it: "
            "name the model instead, with --checkpoint or --arch"
        )
