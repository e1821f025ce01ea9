"""The text decoder of SeamlessM4T, with rows routed to their languages' copies."""

from __future__ import annotations

import math
from typing import Any, Optional, Tuple

from torch import Tensor, nn

from fairseq_gist.architectures.pretrained.decoder import PretrainedDecoder
from fairseq_gist.architectures.pretrained.modules import plain_embedding
from fairseq_gist.architectures.routed.options import adapted, recomputed
from fairseq_gist.languages.rows import TARGET
from fairseq_gist.nn.routing import Routing
from fairseq_gist.nn.source_once import read_source_once

__all__ = ["GistSeamlessDecoder", "PlainFeedForward", "SourceAttention"]


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


class GistSeamlessDecoder(PretrainedDecoder):
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
        self.embed_tokens = plain_embedding(text_decoder.embed_tokens)
        self.embed_positions = text_decoder.embed_positions
        self.layers = text_decoder.layers
        self.layer_norm = text_decoder.layer_norm
        self.output_projection = output_projection
        for layer in self.layers:
            layer.ffn = PlainFeedForward(layer.ffn)
            layer.cross_attention = SourceAttention(layer.cross_attention, routing)
            recomputed(adapted(layer, self.config.hidden_size, args), routing, args)

    def embed(self, tokens: Tensor, done: int) -> Tensor:
        """Return what the first layer reads, `[rows, tokens, channels]`."""
        embedded: Tensor = self.embed_tokens(tokens) * self.embed_scale
        return embedded + self.embed_positions(tokens, cache_length=done)

    def max_positions(self) -> int:
        """Return the longest target in tokens."""
        return int(self.config.max_position_embeddings)
