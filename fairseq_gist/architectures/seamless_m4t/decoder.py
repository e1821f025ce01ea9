"""The text decoder of SeamlessM4T, with rows routed to their languages' copies."""

from __future__ import annotations

import math
from typing import Any, Dict, Optional, Tuple

import torch
from fairseq.models import FairseqIncrementalDecoder
from torch import Tensor, nn

from fairseq_gist.architectures.seamless_m4t.encoder import drops_layer
from fairseq_gist.languages.rows import TARGET, language_tags
from fairseq_gist.nn.routing import LanguageBatch, Routing
from fairseq_gist.nn.tags import check_tags, tag_places

__all__ = ["GistSeamlessDecoder", "PlainFeedForward"]

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


class GistSeamlessDecoder(FairseqIncrementalDecoder):
    """The modules of transformers' text decoder, run one after the other as there.

    Embedding and output projection are plain modules with one weight, so that they are one unit.

    Args:
        text_decoder: transformers' ``SeamlessM4TDecoder``, whose modules are taken over.
        output_projection: from channels to the vocabulary.
        dictionary: target vocabulary.
        routing: of the model.
        language_key: what a row's language is, one of
            :data:`~fairseq_gist.languages.rows.LANGUAGE_KEYS`.
    """

    def __init__(
        self,
        text_decoder: Any,
        output_projection: Any,
        dictionary: Any,
        routing: Routing,
        language_key: str = TARGET,
    ) -> None:
        super().__init__(dictionary)
        self.config, self.routing = text_decoder.config, routing
        tags = language_tags(routing.languages, dictionary.symbols, language_key)
        self.tags = [None if tag is None else dictionary.index(tag) for tag in tags]
        self.embed_scale = math.sqrt(self.config.hidden_size) if self.config.scale_embedding else 1
        self.embed_tokens = _plain(text_decoder.embed_tokens)
        self.embed_positions = text_decoder.embed_positions
        self.layers = text_decoder.layers
        self.layer_norm = text_decoder.layer_norm
        self.output_projection = output_projection
        for layer in self.layers:
            layer.ffn = PlainFeedForward(layer.ffn)

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
        batch = self._languages(encoder_out)
        # in beam search, hypotheses of probability 0 may have any token in the tag's place
        if batch is not None and incremental_state is None and prev_output_tokens.size(1) > 1:
            check_tags(batch, tag_places(prev_output_tokens), self.tags)
        encoded, mask = encoder_out["encoder_out"][0], encoder_out["encoder_mask"][0]
        if encoder_out["source_of"]:
            of_rows = encoder_out["source_of"][0]
            encoded, mask = encoded.index_select(0, of_rows), mask.index_select(0, of_rows)
        cache = None
        if incremental_state is not None:
            prev_output_tokens = prev_output_tokens[:, -1:]
            if _CACHE not in incremental_state:
                incremental_state[_CACHE] = self._new_cache()
            cache = incremental_state[_CACHE]
        with self.routing.using(batch):
            return self._decode(prev_output_tokens, encoded, mask, cache), {"attn": [None]}

    def _languages(self, encoder_out: Any) -> Optional[LanguageBatch]:
        ids = encoder_out["lang_ids"]
        return self.routing.languages_of(ids[0]) if ids else None

    def _new_cache(self) -> Any:
        from transformers.cache_utils import DynamicCache, EncoderDecoderCache

        return EncoderDecoderCache(
            DynamicCache(config=self.config), DynamicCache(config=self.config)
        )

    def _decode(self, tokens: Tensor, encoded: Tensor, mask: Tensor, cache: Any) -> Tensor:
        from transformers.masking_utils import create_bidirectional_mask, create_causal_mask

        x = self.embed_tokens(tokens) * self.embed_scale
        done = 0 if cache is None else cache.get_seq_length()
        causal = create_causal_mask(
            config=self.config, inputs_embeds=x, attention_mask=None, cache=cache
        )
        cross = create_bidirectional_mask(
            config=self.config, inputs_embeds=x, attention_mask=mask, encoder_hidden_states=encoded
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
