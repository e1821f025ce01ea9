"""fairseq's speech-to-text Conformer, whose modules know the language of every row."""

from __future__ import annotations

from typing import Any

from fairseq.models import (
    ARCH_CONFIG_REGISTRY,
    ARCH_MODEL_REGISTRY,
    register_model,
    register_model_architecture,
)
from fairseq.models.speech_to_text import s2t_conformer as stock

from fairseq_gist.architectures.fairseq_conformer import ARCHITECTURE
from fairseq_gist.architectures.model_arguments import add_model_args
from fairseq_gist.architectures.routed.encoder import RoutedStockEncoder
from fairseq_gist.architectures.routed.model import RoutedModel
from fairseq_gist.errors import OptionError
from fairseq_gist.host.options import read_numbers
from fairseq_gist.nn.sources import partitions_in

__all__ = ["GistS2TConformer", "GistS2TConformerEncoder"]

_NUMBERS = ("input_feat_per_channel", "input_channels", "depthwise_conv_kernel_size")


class GistS2TConformerEncoder(RoutedStockEncoder, stock.S2TConformerEncoder):
    """The stock encoder, which passes the languages on and encodes an utterance once.

    Raises:
        OptionError: for relative positions with an attention that takes none.
    """

    layers_name = "conformer_layers"

    def __init__(self, args: Any) -> None:
        if args.pos_enc_type == "rel_pos" and args.attn_type != "espnet":
            raise OptionError(
                "--pos-enc-type rel_pos: only the attention of --attn-type espnet takes relative "
                f"positions, found {args.attn_type or 'no --attn-type'}"
            )
        super().__init__(args)
        for layer in self.conformer_layers:
            if args.pos_enc_type == "rel_pos":
                layer.register_forward_pre_hook(self._repeat_positions)
            if hasattr(layer.self_attn, "skip_embed_dim_check"):
                # always the way a split layer has to go: the other rounds differently
                layer.self_attn.skip_embed_dim_check = True

    def _repeat_positions(self, layer: Any, inputs: Any) -> Any:
        """Give every row the relative positions, `[positions, 1, channels]`, to project."""
        x, padding_mask, positions = inputs
        if not partitions_in([layer.self_attn.linear_pos], self.routing):
            return None
        return x, padding_mask, positions.expand(-1, x.size(1), -1)


@register_model("gist_s2t_conformer")
class GistS2TConformer(RoutedModel, stock.S2TConformerModel):
    """fairseq's speech-to-text Conformer, which a sharing plan can rewrite."""

    architecture = ARCHITECTURE
    encoder_class = GistS2TConformerEncoder

    @staticmethod
    def add_args(parser: Any) -> None:
        """Add the stock model's options, adapters and activation checkpointing."""
        stock.S2TConformerModel.add_args(parser)
        read_numbers(parser, _NUMBERS)
        add_model_args(parser)


for _arch, _model in list(ARCH_MODEL_REGISTRY.items()):
    if _model is stock.S2TConformerModel:
        _complete = ARCH_CONFIG_REGISTRY[_arch]
        register_model_architecture("gist_s2t_conformer", f"gist_{_arch}")(_complete)
