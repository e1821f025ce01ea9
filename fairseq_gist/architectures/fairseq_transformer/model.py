"""fairseq's speech-to-text transformer, whose modules know the language of every row."""

from __future__ import annotations

from typing import Any, Callable

from fairseq.models import register_model, register_model_architecture
from fairseq.models.speech_to_text import s2t_transformer as stock

from fairseq_gist.architectures.fairseq_transformer import ARCHITECTURE
from fairseq_gist.architectures.model_arguments import add_model_args
from fairseq_gist.architectures.routed.encoder import RoutedStockEncoder
from fairseq_gist.architectures.routed.model import RoutedModel

__all__ = ["GistS2TEncoder", "GistS2TTransformer"]


class GistS2TEncoder(RoutedStockEncoder, stock.S2TTransformerEncoder):
    """The stock encoder, which passes the languages on and encodes an utterance once."""

    layers_name = "transformer_layers"


@register_model("gist_s2t_transformer")
class GistS2TTransformer(RoutedModel, stock.S2TTransformerModel):
    """fairseq's speech-to-text transformer, which a sharing plan can rewrite."""

    architecture = ARCHITECTURE
    encoder_class = GistS2TEncoder

    @staticmethod
    def add_args(parser: Any) -> None:
        """Add the stock model's options, adapters and activation checkpointing."""
        stock.S2TTransformerModel.add_args(parser)
        add_model_args(parser)


def _register(size: str, complete: Callable[[Any], None]) -> None:
    register_model_architecture("gist_s2t_transformer", f"gist_s2t_transformer{size}")(complete)


_register("", stock.base_architecture)
_register("_xs", stock.s2t_transformer_xs)
_register("_s", stock.s2t_transformer_s)
_register("_sp", stock.s2t_transformer_sp)
_register("_m", stock.s2t_transformer_m)
_register("_mp", stock.s2t_transformer_mp)
_register("_l", stock.s2t_transformer_l)
_register("_lp", stock.s2t_transformer_lp)
