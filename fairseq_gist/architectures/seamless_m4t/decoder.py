"""The text decoder of SeamlessM4T, with rows routed to their languages' copies."""

from __future__ import annotations

import math
from typing import Any, Dict, Optional, Tuple

import torch
from fairseq.models import FairseqIncrementalDecoder
from torch import Tensor, nn

from fairseq_gist.architectures.routed.decoder import RoutedDecoder
from fairseq_gist.architectures.routed.options import adapted, recomputed
from fairseq_gist.architectures.seamless_m4t.encoder import drops_layer
from fairseq_gist.languages.rows import TARGET
from fairseq_gist.nn.routing import Routing
from fairseq_gist.nn.source_once import read_source_once

__all__ = ["GistSeamlessDecoder", "PlainFeedForward", "SourceAttention"]

_CACHE = "seamless_cache"


class PlainFeedForward(nn.Module):
    """transformers' feed-forward block, which doesn't look at the weight of its projections.

    Args:
        block: whose modules are taken over.
    """

    def __init__(self, block: Any) -> None:
        super().__init__()
        self.fc1, self.fc2 = block.fc1, block.fc2
        self.dropout, self.act = block.dropout, block.act

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output, `[rows, tokens, channels]`."""
        output: Tensor = self.fc2(self.dropout(self.act(self.fc1(x))))
        return output


class SourceAttention(nn.Module):
    """transformers' attention to the encoder's output, which may have one row for several.

    Args:
        attention: ``SeamlessM4TAttention``, whose modules are taken over.
        routing: of the model.
    """

    is_causal = False

    def __init__(self, attention: Any, routing: Routing) -> None:
        super().__init__()
        self.config, self.layer_idx = attention.config, attention.layer_idx
        self.head_dim, self.scaling = attention.head_dim, attention.scaling
        self.dropout = attention.dropout
        self.k_proj, self.v_proj = attention.k_proj, attention.v_proj
        self.q_proj, self.out_proj = attention.q_proj, attention.out_proj
        for projection in (self.k_proj, self.v_proj):
            read_source_once(projection, routing, batch_dim=0)

    def forward(
        self,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor,
        cache: Any = None,
        attention_mask: Optional[Tensor] = None,
        **kwargs: Any,
    ) -> Tuple[Tensor, Optional[Tensor]]:
        """Attend.

        Args:
            hidden_states: `[rows, tokens, channels]`.
            encoder_hidden_states: `[sources, frames, channels]`.
            cache: of beam search; keys and values are then projected once.
            attention_mask: of the rows, `[rows, 1, tokens, frames]`.
            kwargs: for the function that attends.
        """
        from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
        from transformers.models.seamless_m4t.modeling_seamless_m4t import eager_attention_forward

        queries = self._heads(self.q_proj(hidden_states))
        if cache is not None and cache.is_updated.get(self.layer_idx):
            known = cache.cross_attention_cache.layers[self.layer_idx]
            keys, values = known.keys, known.values
        else:
            keys = self._heads(self.k_proj(encoder_hidden_states))
            values = self._heads(self.v_proj(encoder_hidden_states))
            if cache is not None:
                keys, values = cache.cross_attention_cache.update(keys, values, self.layer_idx)
                cache.is_updated[self.layer_idx] = True
        attend = ALL_ATTENTION_FUNCTIONS.get_interface(
            self.config._attn_implementation,  # noqa: SLF001 - transformers' models read it so
            eager_attention_forward,
        )
        attended, weights = attend(
            self,
            queries,
            keys,
            values,
            attention_mask,
            dropout=self.dropout if self.training else 0.0,
            scaling=self.scaling,
            **kwargs,
        )
        return self.out_proj(attended.reshape(*hidden_states.shape[:-1], -1).contiguous()), weights

    def _heads(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:-1], -1, self.head_dim).transpose(1, 2)


class GistSeamlessDecoder(RoutedDecoder, FairseqIncrementalDecoder):
    """The modules of transformers' text decoder, run one after the other as there.

    Embedding and output projection are plain modules with one weight, so that they are one unit.

    Args:
        text_decoder: transformers' ``SeamlessM4TDecoder``, whose modules are taken over.
        output_projection: from channels to the vocabulary.
        dictionary: target vocabulary.
        routing: of the model.
        language_key: what a row's language is, one of
            :data:`~fairseq_gist.languages.rows.LANGUAGE_KEYS`.
        args: options of the model; None for none.
    """

    def __init__(
        self,
        text_decoder: Any,
        output_projection: Any,
        dictionary: Any,
        routing: Routing,
        language_key: str = TARGET,
        args: Any = None,
    ) -> None:
        super().__init__(dictionary)
        self.know(routing, dictionary, language_key)
        self.config = text_decoder.config
        self.embed_scale = math.sqrt(self.config.hidden_size) if self.config.scale_embedding else 1
        self.embed_tokens = _plain(text_decoder.embed_tokens)
        self.embed_positions = text_decoder.embed_positions
        self.layers = text_decoder.layers
        self.layer_norm = text_decoder.layer_norm
        self.output_projection = output_projection
        for layer in self.layers:
            layer.ffn = PlainFeedForward(layer.ffn)
            layer.cross_attention = SourceAttention(layer.cross_attention, routing)
            recomputed(adapted(layer, self.config.hidden_size, args), routing, args)

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
        padding = self.with_mask_of_rows(encoder_out)["encoder_padding_mask"][0]
        cache = None
        if incremental_state is not None:
            prev_output_tokens = prev_output_tokens[:, -1:]
            if _CACHE not in incremental_state:
                incremental_state[_CACHE] = self._new_cache()
            cache = incremental_state[_CACHE]
        with self.routing.using(batch):
            return self._decode(prev_output_tokens, encoded, padding, cache), {"attn": [None]}

    def _new_cache(self) -> Any:
        from transformers.cache_utils import DynamicCache, EncoderDecoderCache

        return EncoderDecoderCache(
            DynamicCache(config=self.config), DynamicCache(config=self.config)
        )

    def _decode(self, tokens: Tensor, encoded: Tensor, padding: Tensor, cache: Any) -> Tensor:
        from transformers.masking_utils import create_bidirectional_mask, create_causal_mask

        x = self.embed_tokens(tokens) * self.embed_scale
        done = 0 if cache is None else cache.get_seq_length()
        causal = create_causal_mask(
            config=self.config, inputs_embeds=x, attention_mask=None, cache=cache
        )
        cross = create_bidirectional_mask(
            config=self.config,
            inputs_embeds=x,
            attention_mask=(~padding).long(),
            # of which only the shape counts, for as many rows as there are masks
            encoder_hidden_states=encoded[:1].expand(x.size(0), -1, -1),
        )
        x = x + self.embed_positions(tokens, cache_length=done)
        x = nn.functional.dropout(x, p=self.config.dropout, training=self.training)
        for layer in self.layers:
            if self.training and drops_layer(self.config.decoder_layerdrop):
                continue
            x = layer(x, causal, encoded, encoder_attention_mask=cross, cache=cache)
        logits: Tensor = self.output_projection(self.layer_norm(x))
        return logits

    def reorder_incremental_state(
        self, incremental_state: Dict[str, Any], new_order: Tensor
    ) -> None:
        """Reorder the keys and values of beam search."""
        cache = incremental_state.get(_CACHE)
        if cache is not None:
            cache.reorder_cache(new_order)

    def max_positions(self) -> int:
        """Return the longest target in tokens."""
        return int(self.config.max_position_embeddings)


def _plain(embedding: Any) -> nn.Embedding:
    """Return the embedding, its scale left out, with the same weight."""
    symbols, channels = embedding.weight.shape
    plain: nn.Embedding = torch.nn.utils.skip_init(
        nn.Embedding, symbols, channels, padding_idx=embedding.padding_idx, device="meta"
    )
    plain.weight = embedding.weight
    return plain
