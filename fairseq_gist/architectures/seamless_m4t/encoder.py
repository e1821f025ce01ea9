"""The speech encoder of SeamlessM4T, whose modules know the language of every row."""

from __future__ import annotations

from typing import Any, Dict, List

from fairseq.models import FairseqEncoder
from torch import Tensor

from fairseq_gist.architectures.pretrained.modules import drops_layer, mask_of
from fairseq_gist.architectures.routed.encoder import RoutedEncoder
from fairseq_gist.architectures.routed.options import adapted
from fairseq_gist.errors import DataError
from fairseq_gist.nn.routing import Routing
from fairseq_gist.nn.sources import partitions_in

__all__ = ["GistSeamlessEncoder"]


class GistSeamlessEncoder(RoutedEncoder, FairseqEncoder):
    """The modules of transformers' speech encoder, run one after the other as there.

    They have their rows first, in all of their inputs.

    Args:
        speech_encoder: transformers' ``SeamlessM4TSpeechEncoder``, whose modules are taken over.
        routing: of the model.
        args: options of the model; None for none.
    """

    rows_dim = 0
    layers_name = "layers"
    later = ("layer_norm", "intermediate_ffn", "length_adaptor", "inner_layer_norm")

    def __init__(self, speech_encoder: Any, routing: Routing, args: Any = None) -> None:
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
            adapted(layer, self.config.hidden_size, args)

    def _check_width(self, features: Tensor) -> None:
        width = self.config.feature_projection_input_dim
        if features.dim() != 3 or features.size(2) != width:
            raise DataError(
                f"SeamlessM4T: expected features of shape [utterances, frames, {width}], found "
                f"{list(features.shape)}; --seamless-path has the task make them"
            )

    def _encode(
        self, src_tokens: Tensor, src_lengths: Tensor, return_all_hiddens: bool
    ) -> Dict[str, List[Tensor]]:
        """Encode features, `[utterances, frames, width]`.

        Returns:
            ``encoder_out``, `[sources, frames, channels]`, and ``encoder_padding_mask``, true where
            there is padding, `[utterances, frames]`.

        Raises:
            DataError: for features of another width than the model's.
        """
        self._check_width(src_tokens)
        frames = mask_of(src_lengths, src_tokens.size(1))
        x = self.feature_projection(src_tokens)
        x = x.masked_fill(~frames.bool().unsqueeze(-1), 0.0)
        attended = self._attended(x, frames)
        x = self.dropout(x)
        positions = None if self.embed_positions is None else self.embed_positions(x)
        mask = frames
        for layer in self.layers:
            if self.training and drops_layer(self.config.speech_encoder_layerdrop):
                continue
            repeated = self.keep_apart([layer], x)
            if repeated is not x:
                x, mask = repeated, self.of_rows(frames)
                attended = self._attended(x, mask)
            x = layer(
                x,
                attention_mask=attended,
                relative_position_embeddings=self._positions_for(layer, positions, x.size(0)),
                conv_attention_mask=mask,
            )
        x = self.layer_norm(self.keep_apart([self.layer_norm], x))
        x = self.keep_apart([self.intermediate_ffn], x)
        x = x + 0.5 * self.intermediate_ffn(x)
        if self.length_adaptor is not None:
            x = self.keep_apart([self.length_adaptor], x)
            x = self.length_adaptor(x, attention_mask=self.of_rows(frames))
            src_lengths = self._adapted_lengths(src_lengths)
        x = self.inner_layer_norm(self.keep_apart([self.inner_layer_norm], x))
        padding = ~mask_of(src_lengths, x.size(1)).bool()
        return {"encoder_out": [x], "encoder_padding_mask": [padding]}

    def _attended(self, x: Tensor, mask: Tensor) -> Any:
        from transformers.masking_utils import create_bidirectional_mask

        return create_bidirectional_mask(config=self.config, inputs_embeds=x, attention_mask=mask)

    def _positions_for(self, layer: Any, positions: Any, rows: int) -> Any:
        """Give every row the relative positions, `[1, positions, channels]`, to project."""
        projection = getattr(layer.self_attn, "linear_pos", None)
        if projection is None or not partitions_in([projection], self.routing):
            return positions
        return positions.expand(rows, -1, -1)

    def _adapted_lengths(self, lengths: Tensor) -> Tensor:
        kernel, stride = self.config.adaptor_kernel_size, self.config.adaptor_stride
        return (lengths + 2 * (kernel // 2) - kernel) // stride + 1

    def _reorder(self, encoder_out: Any, order: Tensor) -> Dict[str, List[Tensor]]:
        return {
            name: [x.index_select(0, order) for x in encoder_out[name]]
            for name in ("encoder_out", "encoder_padding_mask")
        }

    def max_positions(self) -> int:
        """Return the longest audio in frames of a hundredth of a second."""
        return 2 * int(self.config.max_source_positions)
