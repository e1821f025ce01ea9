"""What a decoder of transformers' modules does like every decoder here."""

from __future__ import annotations

from typing import Any, Dict, Optional, Tuple

from fairseq.models import FairseqIncrementalDecoder
from torch import Tensor, nn

from fairseq_gist.architectures.pretrained.modules import drops_layer
from fairseq_gist.architectures.routed.decoder import RoutedDecoder

__all__ = ["PretrainedDecoder"]

_CACHE = "pretrained_cache"


class PretrainedDecoder(RoutedDecoder, FairseqIncrementalDecoder):
    """Knows the rows' languages and sources, and keeps keys and values in beam search.

    Attributes:
        config: of transformers.
        layers: of transformers, adapted.
        layer_norm: behind them.
        output_projection: from channels to the vocabulary.
    """

    config: Any
    layers: nn.ModuleList
    layer_norm: nn.Module
    output_projection: nn.Module

    def forward(
        self,
        prev_output_tokens: Tensor,
        encoder_out: Any = None,
        incremental_state: Optional[Dict[str, Any]] = None,
        **kwargs: Any,
    ) -> Tuple[Tensor, Dict[str, Any]]:
        """Decode; the rows' languages are those of ``encoder_out["lang_ids"]``.

        Args:
            prev_output_tokens: what was decoded so far, `[rows, tokens]`.
            encoder_out: of the encoder.
            incremental_state: of beam search; only the last token is then decoded.
            kwargs: of no effect.

        Returns:
            Logits, `[rows, tokens, symbols]`, and no attention.

        Raises:
            RoutingError: when a row's language isn't the one its language tag names.
        """
        batch = self.batch_of(encoder_out, prev_output_tokens, incremental_state)
        encoded = encoder_out["encoder_out"][0]
        masks = self.with_mask_of_rows(encoder_out)["encoder_padding_mask"]
        cache = None
        if incremental_state is not None:
            prev_output_tokens = prev_output_tokens[:, -1:]
            if _CACHE not in incremental_state:
                incremental_state[_CACHE] = _new_cache()
            cache = incremental_state[_CACHE]
        with self.routing.using(batch):
            padding = masks[0] if masks else None
            return self.decode(prev_output_tokens, encoded, padding, cache), {"attn": [None]}

    def decode(
        self, tokens: Tensor, encoded: Tensor, padding: Optional[Tensor], cache: Any
    ) -> Tensor:
        """Return the logits of ``tokens``, `[rows, tokens, symbols]`.

        Args:
            tokens: `[rows, tokens]`, without those that ``cache`` has.
            encoded: `[sources, frames, channels]`.
            padding: true where a row's encoding is to be left out, `[rows, frames]`; None: nowhere.
            cache: transformers' keys and values of the tokens before, or None.
        """
        x = self.embed(tokens, 0 if cache is None else cache.get_seq_length())
        causal, cross = self.masks_for(x, encoded, padding, cache)
        x = nn.functional.dropout(x, p=self.config.dropout, training=self.training)
        for layer in self.layers:
            if self.training and drops_layer(self.config.decoder_layerdrop):
                continue
            x = layer(x, causal, encoded, encoder_attention_mask=cross, cache=cache)
        logits: Tensor = self.output_projection(self.layer_norm(x))
        return logits

    def embed(self, tokens: Tensor, done: int) -> Tensor:
        """Return what the first layer reads, `[rows, tokens, channels]`.

        Args:
            tokens: see :meth:`decode`.
            done: tokens before these.
        """
        raise NotImplementedError

    def masks_for(
        self, x: Tensor, encoded: Tensor, padding: Optional[Tensor], cache: Any
    ) -> Tuple[Any, Any]:
        """Return what the rows' tokens attend to, of tokens and of the encoder's output.

        Args:
            x: embedded tokens, `[rows, tokens, channels]`.
            encoded: see :meth:`decode`.
            padding: see :meth:`decode`.
            cache: see :meth:`decode`.
        """
        from transformers.masking_utils import create_bidirectional_mask, create_causal_mask

        causal = create_causal_mask(
            config=self.config, inputs_embeds=x, attention_mask=None, cache=cache
        )
        if padding is None:
            return causal, None
        cross = create_bidirectional_mask(
            config=self.config,
            inputs_embeds=x,
            attention_mask=(~padding).long(),
            # of which only the shape counts, for as many rows as there are masks
            encoder_hidden_states=encoded[:1].expand(x.size(0), -1, -1),
        )
        return causal, cross

    def reorder_incremental_state(
        self, incremental_state: Dict[str, Any], new_order: Tensor
    ) -> None:
        """Reorder the keys and values of beam search."""
        cache = incremental_state.get(_CACHE)
        if cache is not None:
            cache.reorder_cache(new_order)


def _new_cache() -> Any:
    from transformers.cache_utils import DynamicCache, EncoderDecoderCache

    return EncoderDecoderCache(DynamicCache(), DynamicCache())
