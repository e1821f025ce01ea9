"""Whisper's decoder, with rows routed to their languages' copies."""

from __future__ import annotations

from typing import Any, Dict, Optional, Sequence, Tuple

import torch
from torch import Tensor

from fairseq_gist.architectures.pretrained.decoder import PretrainedDecoder
from fairseq_gist.architectures.pretrained.modules import plain_embedding
from fairseq_gist.architectures.routed.options import adapted, recomputed
from fairseq_gist.architectures.whisper.dictionary import PROMPT_SIZE
from fairseq_gist.languages.rows import TARGET
from fairseq_gist.nn.routing import Routing
from fairseq_gist.nn.source_once import read_source_once

__all__ = ["SUPPRESSED", "GistWhisperDecoder"]

SUPPRESSED = "suppressed"
"""Entry of the decoder's output in search: symbols that may not come next."""


class GistWhisperDecoder(PretrainedDecoder):
    """The modules of transformers' decoder, run one after the other as there.

    Embeddings and output projection are plain modules, the first and the last with one weight, so
    that they are one unit.

    Args:
        decoder: transformers' ``WhisperDecoder``, whose modules are taken over.
        output_projection: from channels to the vocabulary.
        dictionary: target vocabulary.
        routing: of the model.
        language_key: what a row's language is, one of
            :data:`~fairseq_gist.languages.rows.LANGUAGE_KEYS`.
        suppressed: symbols that search never takes.
        suppressed_first: symbols that it doesn't take for the first.
        args: options of the model; None for none.
    """

    suppressed: Tensor
    suppressed_first: Tensor

    def __init__(
        self,
        decoder: Any,
        output_projection: Any,
        dictionary: Any,
        routing: Routing,
        language_key: str = TARGET,
        suppressed: Sequence[int] = (),
        suppressed_first: Sequence[int] = (),
        args: Any = None,
    ) -> None:
        super().__init__(dictionary)
        self.know(routing, dictionary, language_key)
        self.config = decoder.config
        always, first = (
            torch.tensor(list(one), dtype=torch.long)
            for one in (suppressed, [*suppressed, *suppressed_first])
        )
        self.register_buffer("suppressed", always, persistent=False)
        self.register_buffer("suppressed_first", first, persistent=False)
        self.embed_tokens = plain_embedding(decoder.embed_tokens)
        self.embed_positions = plain_embedding(decoder.embed_positions)
        self.layers = decoder.layers
        self.layer_norm = decoder.layer_norm
        self.output_projection = output_projection
        for layer in self.layers:
            for projection in (layer.encoder_attn.k_proj, layer.encoder_attn.v_proj):
                read_source_once(projection, routing, batch_dim=0)
            recomputed(adapted(layer, self.config.d_model, args), routing, args)

    def forward(
        self,
        prev_output_tokens: Tensor,
        encoder_out: Any = None,
        incremental_state: Optional[Dict[str, Any]] = None,
        **kwargs: Any,
    ) -> Tuple[Tensor, Dict[str, Any]]:
        """Decode; in search, the output says which symbols may not come next."""
        logits, extra = super().forward(prev_output_tokens, encoder_out, incremental_state)
        if incremental_state is not None:
            extra[SUPPRESSED] = self._suppressed_after(prev_output_tokens.size(1))
        return logits, extra

    def _suppressed_after(self, tokens: int) -> Optional[Tensor]:
        """Return what may not follow so many tokens, the end of a text before it among them."""
        if tokens <= PROMPT_SIZE:
            return None
        return self.suppressed_first if tokens == PROMPT_SIZE + 1 else self.suppressed

    def embed(self, tokens: Tensor, done: int) -> Tensor:
        """Return what the first layer reads, `[rows, tokens, channels]`.

        What fairseq begins with, the end of a text before, is the start of the transcript.
        """
        if done == 0:
            tokens = tokens.clone()
            tokens[:, 0] = self.config.decoder_start_token_id
        positions = torch.arange(done, done + tokens.size(1), device=tokens.device)
        embedded: Tensor = self.embed_tokens(tokens)
        return embedded + self.embed_positions(positions.expand_as(tokens))

    def max_positions(self) -> int:
        """Return the longest target in tokens, its prompt among them."""
        return int(self.config.max_target_positions)
