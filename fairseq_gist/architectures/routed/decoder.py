"""The decoder of every model here: fairseq's, with rows routed to their languages' copies."""

from __future__ import annotations

from typing import Any, List, Optional

from fairseq.models.speech_to_text.s2t_transformer import TransformerDecoderScriptable
from torch import Tensor, nn

from fairseq_gist.architectures.routed.options import adapted, recomputed
from fairseq_gist.languages.rows import TARGET, language_tags
from fairseq_gist.nn.routing import LanguageBatch, Routing
from fairseq_gist.nn.source_once import read_source_once
from fairseq_gist.nn.tags import check_tags, tag_places

__all__ = ["GistS2TDecoder", "RoutedDecoder"]


class RoutedDecoder(nn.Module):
    """Goes before a decoder: knows the rows' languages, and their sources.

    Attributes:
        routing: of the model.
        tags: token of each language's tag, `[languages]`; None where it has none.
    """

    routing: Routing
    tags: List[Optional[int]]

    def know(self, routing: Routing, dictionary: Any, language_key: str) -> None:
        """Note whose rows are decoded, with which tags.

        Args:
            routing: of the model.
            dictionary: target vocabulary.
            language_key: what a row's language is, one of
                :data:`~fairseq_gist.languages.rows.LANGUAGE_KEYS`.
        """
        tags = language_tags(routing.languages, dictionary.symbols, language_key)
        self.routing = routing
        self.tags = [None if tag is None else dictionary.index(tag) for tag in tags]

    def batch_of(
        self, encoder_out: Any, prev_output_tokens: Tensor, incremental_state: Any
    ) -> Optional[LanguageBatch]:
        """Return the batch whose languages are ``encoder_out["lang_ids"]``, if it says them.

        Raises:
            RoutingError: when a row's language isn't the one its language tag names.
        """
        ids = (encoder_out or {}).get("lang_ids")
        if not ids:
            return None
        source_of = encoder_out.get("source_of")
        batch = self.routing.languages_of(ids[0], source_of[0] if source_of else None)
        # in beam search, hypotheses of probability 0 may have any token in the tag's place
        if incremental_state is None and prev_output_tokens.size(1) > 1:
            check_tags(batch, tag_places(prev_output_tokens), self.tags)
        return batch

    @staticmethod
    def with_mask_of_rows(encoder_out: Any) -> Any:
        """Attention masks the keys and values of rows, which it projects from those of sources."""
        masks, source_of = encoder_out["encoder_padding_mask"], encoder_out.get("source_of")
        if not masks or not source_of:
            return encoder_out
        return {**encoder_out, "encoder_padding_mask": [masks[0].index_select(0, source_of[0])]}


class GistS2TDecoder(RoutedDecoder, TransformerDecoderScriptable):
    """The stock decoder, which routes rows to the copies of their languages."""

    def __init__(
        self,
        args: Any,
        dictionary: Any,
        embed_tokens: Any,
        routing: Routing,
        language_key: str = TARGET,
    ) -> None:
        self.know(routing, dictionary, language_key)  # its layers are built with it
        super().__init__(args, dictionary, embed_tokens)
        for module in self.layers.modules():
            if hasattr(module, "skip_embed_dim_check"):
                # always the way a split layer has to go: the other rounds differently on torch 1.12
                module.skip_embed_dim_check = True
            if getattr(module, "encoder_attn", None) is not None:
                read_source_once(module.encoder_attn.k_proj, routing)
                read_source_once(module.encoder_attn.v_proj, routing)

    def build_decoder_layer(self, args: Any, no_encoder_attn: bool = False) -> Any:
        """Build one layer, its adapter, and activation checkpointing that knows the languages."""
        wanted, args.checkpoint_activations = args.checkpoint_activations, False
        try:
            layer = super().build_decoder_layer(args, no_encoder_attn)
        finally:
            args.checkpoint_activations = wanted
        return recomputed(adapted(layer, args.decoder_embed_dim, args), self.routing, args)

    def forward(
        self,
        prev_output_tokens: Tensor,
        encoder_out: Any = None,
        incremental_state: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Decode; the rows' languages are those of ``encoder_out["lang_ids"]``.

        Raises:
            RoutingError: when a row's language isn't the one its language tag names.
        """
        batch = self.batch_of(encoder_out, prev_output_tokens, incremental_state)
        with self.routing.using(batch):
            out = super().forward(
                prev_output_tokens,
                encoder_out=encoder_out if batch is None else self.with_mask_of_rows(encoder_out),
                incremental_state=incremental_state,
                **kwargs,
            )
        if batch is not None and isinstance(out[1], dict) and "encoder_out" in out[1]:
            out[1]["encoder_out"] = encoder_out  # whose mask is that of sources again
        return out
