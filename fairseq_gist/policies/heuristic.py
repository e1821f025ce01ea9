"""The heuristic policies of Wang et al. (Interspeech 2022), table 1: sharing decided by kind.

Each name says what of the decoder stays shared beside the encoder; the rest of the decoder's layers
is language-specific, layer norms and the final one always. Embeddings and output projection are
shared too, but by ``encoder-only``. The paper names the projections; that norms and biases go with
their language, and embeddings don't, follows from its numbers of parameters.
"""

from __future__ import annotations

from typing import ClassVar, Dict, Iterable, List, Tuple

from fairseq_gist.errors import OptionError
from fairseq_gist.policies.base import Policy
from fairseq_gist.policies.situation import Situation
from fairseq_gist.sharing.plan import Partition, SharingPlan
from fairseq_gist.sharing.shape import ModelShape

__all__ = ["Heuristic"]


def _projections(attentions: Iterable[str], letters: str) -> Tuple[str, ...]:
    return tuple(f"{attention}.{letter}_proj" for attention in attentions for letter in letters)


_SELF, _CROSS = ("self_attn",), ("encoder_attn",)
_BOTH = (*_SELF, *_CROSS)
_OUT = tuple(f"{attention}.out_proj" for attention in _BOTH)
_EMBEDDING = ("decoder", "embed_tokens")


class Heuristic(Policy):
    """A policy that goes by the kinds of units; those below differ in what they share.

    The plan says of all the projections and norms of the decoder how they are shared; of other
    units only of those that it splits. Units that it isn't asked to split, or says nothing of, such
    as adapters, stay as they are so far.

    Attributes:
        kinds: of units that all languages share in every layer of the decoder.
    """

    kinds: ClassVar[Tuple[str, ...]] = ()

    def decide(self, situation: Situation) -> SharingPlan:
        """Return the plan of the heuristic.

        Raises:
            OptionError: when a kind that it shares, or all that it would split, is none of the
                units.
            PlanError: when languages are separated that it joins, or a unit of unknown size is
                split that isn't decided on.
        """
        shape, languages = situation.shape, situation.languages
        self._check_kinds(shape)
        decided = set(shape.units) if situation.pattern is None else set(situation.chosen())
        split = [unit for unit in self.split_units(situation) if unit in decided]
        if not split and self.splits:
            raise OptionError(f"policy '{self.name}' splits none of the units asked for", "units")
        alone: Partition = tuple((language,) for language in languages)
        units: Dict[str, Partition] = dict.fromkeys(shape.default, (languages,))
        units.update(dict.fromkeys(split, alone))
        return self.plan(situation, {unit: units[unit] for unit in units if unit in decided})

    def split_units(self, situation: Situation) -> List[str]:
        """Return the units of which every language gets its own, unless fewer are asked for."""
        shape = situation.shape
        return [unit for unit in shape.default if shape.units[unit].place.kind not in self.kinds]

    def _check_kinds(self, shape: ModelShape) -> None:
        known = list(shape.units)
        found = {shape.units[unit].place.kind for unit in shape.default}
        missing = [kind for kind in self.kinds if kind not in found]
        if missing or not found:
            what = f"'decoder.layers.*.{missing[0]}'" if missing else "the decoder's layers"
            raise OptionError(
                f"policy '{self.name}' is about {what}, which is none of the {len(known)} units"
                + (f" from '{known[0]}' to '{known[-1]}'" if known else "")
                + "; the policy is for the decoders of transformers"
            )


class Shared(Heuristic):
    """The multilingual model as it was: in training, gradients are recorded and nothing happens."""

    name = "shared"
    summary = "share everything; in training, record gradients all the same"
    goes_on = True
    splits = False

    def split_units(self, situation: Situation) -> List[str]:
        """Return none."""
        return []


class EncoderOnly(Heuristic):
    """A decoder of its own for every language."""

    name = "encoder-only"
    summary = "share the encoder; split all of the decoder, embeddings too"

    def split_units(self, situation: Situation) -> List[str]:
        """Return all of the decoder."""
        units = situation.shape.units
        return [name for name, unit in units.items() if unit.place.stack == "decoder"]

    def _check_kinds(self, shape: ModelShape) -> None:
        super()._check_kinds(shape)
        places = [unit.place for unit in shape.units.values()]
        if _EMBEDDING not in {(place.stack, place.kind) for place in places}:
            raise OptionError(
                f"policy '{self.name}' splits the decoder's embeddings too, and "
                f"'{'.'.join(_EMBEDDING)}' is none of the {len(places)} units whose size is known; "
                "gradient statistics usually lack it: name a checkpoint or an architecture instead"
            )


class SelfAttention(Heuristic):
    """All of the decoder's self-attention."""

    name = "self-attention"
    summary = "share encoder, embeddings and the decoder's self-attention"
    kinds = (*_projections(_SELF, "qkv"), _OUT[0])


class CrossAttention(Heuristic):
    """All of the attention to the encoder."""

    name = "cross-attention"
    summary = "share encoder, embeddings and the attention to the encoder"
    kinds = (*_projections(_CROSS, "qkv"), _OUT[1])


class KeyValue(Heuristic):
    """What is attended to."""

    name = "key-value"
    summary = "share encoder, embeddings, keys and values of both attentions"
    kinds = _projections(_BOTH, "kv")


class QueryKey(Heuristic):
    """What weighs."""

    name = "query-key"
    summary = "share encoder, embeddings, queries and keys of both attentions"
    kinds = _projections(_BOTH, "qk")


class QueryKeyValue(Heuristic):
    """All that goes into the attentions."""

    name = "query-key-value"
    summary = "share encoder, embeddings, queries, keys and values of both"
    kinds = _projections(_BOTH, "qkv")


class Attention(Heuristic):
    """Both attentions, output projections too."""

    name = "attention"
    summary = "share encoder, embeddings and both attentions"
    kinds = (*_projections(_BOTH, "qkv"), *_OUT)


class FeedForward(Heuristic):
    """Both projections of every feed-forward block."""

    name = "feed-forward"
    summary = "share encoder, embeddings and the decoder's feed-forward blocks"
    kinds = ("fc1", "fc2")


class LanguageSpecific(Heuristic):
    """Nothing of the decoder's layers; of other units, those that are asked for are split too."""

    name = "language-specific"
    summary = "share encoder and embeddings, split all of the layers"

    def split_units(self, situation: Situation) -> List[str]:
        """Return the decoder's layers; where units are asked for any of them, wherever it is."""
        if situation.pattern is None:
            return super().split_units(situation)
        return list(situation.shape.units)
