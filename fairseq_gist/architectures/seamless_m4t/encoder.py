"""The speech encoder of SeamlessM4T, whose modules know the language of every row."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

import torch
from fairseq.models import FairseqEncoder
from torch import Tensor

from fairseq_gist.errors import DataError
from fairseq_gist.nn.routing import Routing
from fairseq_gist.nn.rows import reordered
from fairseq_gist.nn.sources import SourceRows, partitions_in

__all__ = ["GistSeamlessEncoder", "drops_layer"]


class GistSeamlessEncoder(FairseqEncoder):
    """The modules of transformers' speech encoder, run one after the other as there.

    They have their rows first, in all of their inputs.

    Args:
        speech_encoder: transformers' ``SeamlessM4TSpeechEncoder``, whose modules are taken over.
        routing: of the model.
    """

    def __init__(self, speech_encoder: Any, routing: Routing) -> None:
        super().__init__(None)
        self.config, self.routing = speech_encoder.config, routing
        conformer = speech_encoder.encoder
        self.feature_projection = speech_encoder.feature_projection
        self.embed_positions = conformer.embed_positions
        self.dropout = conformer.dropout
        self.layers = conformer.layers
        self.layer_norm = conformer.layer_norm
        self.intermediate_ffn = speech_encoder.intermediate_ffn
        self.length_adaptor = speech_encoder.adapter
        self.inner_layer_norm = speech_encoder.inner_layer_norm
        for layer in self.layers:
            convolution = layer.conv_module.depthwise_conv
            # "same", in the numbers that gradients per language need: the kernel is odd
            convolution.padding = (convolution.kernel_size[0] // 2,)

    def forward(
        self,
        src_tokens: Tensor,
        src_lengths: Tensor,
        return_all_hiddens: bool = False,
        lang_ids: Optional[Tensor] = None,
        utterances: Optional[Tensor] = None,
    ) -> Dict[str, List[Tensor]]:
        """Encode audio.

        Args:
            src_tokens: features, `[utterances, frames, width]`.
            src_lengths: frames of each, `[utterances]`.
            return_all_hiddens: of no effect.
            lang_ids: language of each row, `[rows]`.
            utterances: utterance of each row, `[rows]`; None where every row has its own.

        Returns:
            ``encoder_out``, `[sources, frames, channels]`; ``encoder_mask``, 1 where that is no
            padding, `[sources, frames]`; ``lang_ids``, `[rows]`; and, where rows share the encoding
            of their utterance, ``source_of``, the position of each row's, `[rows]`.

        Raises:
            DataError: for features of another width than the model's.
        """
        self._check_width(src_tokens)
        batch, source_of = None, None
        if utterances is not None and lang_ids is not None:
            count = src_tokens.size(0)
            rows = SourceRows(utterances, lang_ids, count, self.routing.languages)
            if self.routing.in_encoder:
                repeats = rows.keep_apart(partitions_in([self], self.routing))
                if repeats is not None:
                    src_tokens = src_tokens.index_select(0, repeats)
                    src_lengths = src_lengths.index_select(0, repeats)
                batch = rows.languages()
            source_of = rows.source_of
        elif lang_ids is not None and self.routing.in_encoder:
            batch = self.routing.languages_of(lang_ids)
        with self.routing.using(batch):
            encoded, mask = self._encode(src_tokens, src_lengths)
        return {
            "encoder_out": [encoded],
            "encoder_mask": [mask],
            "lang_ids": [] if lang_ids is None else [lang_ids],
            "source_of": [] if source_of is None else [source_of],
        }

    def _check_width(self, features: Tensor) -> None:
        width = self.config.feature_projection_input_dim
        if features.dim() != 3 or features.size(2) != width:
            raise DataError(
                f"SeamlessM4T: expected features of shape [utterances, frames, {width}], found "
                f"{list(features.shape)}; --seamless-path has the task make them"
            )

    def _encode(self, features: Tensor, lengths: Tensor) -> Tuple[Tensor, Tensor]:
        from transformers.masking_utils import create_bidirectional_mask

        mask = _mask_of(lengths, features.size(1))
        x = self.feature_projection(features)
        x = x.masked_fill(~mask.bool().unsqueeze(-1), 0.0)
        attention_mask = create_bidirectional_mask(
            config=self.config, inputs_embeds=x, attention_mask=mask
        )
        x = self.dropout(x)
        positions = None if self.embed_positions is None else self.embed_positions(x)
        for layer in self.layers:
            if self.training and drops_layer(self.config.speech_encoder_layerdrop):
                continue
            x = layer(
                x,
                attention_mask=attention_mask,
                relative_position_embeddings=self._positions_for(layer, positions, x.size(0)),
                conv_attention_mask=mask,
            )
        x = self.layer_norm(x)
        x = x + 0.5 * self.intermediate_ffn(x)
        if self.length_adaptor is not None:
            x = self.length_adaptor(x, attention_mask=mask)
            lengths = self._adapted(lengths)
        return self.inner_layer_norm(x), _mask_of(lengths, x.size(1))

    def _positions_for(self, layer: Any, positions: Any, rows: int) -> Any:
        """Give every row the relative positions, `[1, positions, channels]`, to project."""
        projection = getattr(layer.self_attn, "linear_pos", None)
        if projection is None or not partitions_in([projection], self.routing):
            return positions
        return positions.expand(rows, -1, -1)

    def _adapted(self, lengths: Tensor) -> Tensor:
        kernel, stride = self.config.adaptor_kernel_size, self.config.adaptor_stride
        return (lengths + 2 * (kernel // 2) - kernel) // stride + 1

    def reorder_encoder_out(self, encoder_out: Any, new_order: Tensor) -> Any:
        """Reorder the rows, their languages with them; afterwards each has its own encoding."""
        source_of = encoder_out["source_of"]
        order = source_of[0].index_select(0, new_order) if source_of else new_order
        return {
            "encoder_out": [x.index_select(0, order) for x in encoder_out["encoder_out"]],
            "encoder_mask": [x.index_select(0, order) for x in encoder_out["encoder_mask"]],
            "lang_ids": [reordered(ids, new_order) for ids in encoder_out["lang_ids"]],
            "source_of": [],
        }

    def max_positions(self) -> int:
        """Return the longest audio in frames of a hundredth of a second."""
        return 2 * int(self.config.max_source_positions)


def _mask_of(lengths: Tensor, frames: int) -> Tensor:
    """Return 1 where a row is no padding, `[rows, frames]`."""
    positions = torch.arange(frames, device=lengths.device)
    return (positions < lengths.unsqueeze(1)).long()


def drops_layer(probability: float) -> bool:
    """Draw whether a layer is left out, as transformers does in training."""
    return probability > 0 and bool(torch.rand([]) < probability)
