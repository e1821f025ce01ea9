"""The speech-to-text model of SeamlessM4T, whose modules know the language of every row."""

from __future__ import annotations

from typing import Any, Sequence

from fairseq.models import register_model, register_model_architecture

from fairseq_gist.architectures.pretrained.model import PretrainedModel
from fairseq_gist.architectures.seamless_m4t import ARCHITECTURE
from fairseq_gist.architectures.seamless_m4t.decoder import GistSeamlessDecoder
from fairseq_gist.architectures.seamless_m4t.encoder import GistSeamlessEncoder
from fairseq_gist.architectures.seamless_m4t.folder import SeamlessFolder
from fairseq_gist.languages.rows import TARGET
from fairseq_gist.nn.routing import Routing

__all__ = ["GistSeamlessM4T"]


@register_model("gist_seamless_m4t")
class GistSeamlessM4T(PretrainedModel):
    """transformers' ``SeamlessM4TForSpeechToText``, which a sharing plan can rewrite."""

    architecture = ARCHITECTURE
    encoder_class = GistSeamlessEncoder
    folder_class = SeamlessFolder
    setting = "seamless_config"

    @classmethod
    def around(
        cls,
        model: Any,
        dictionary: Any,
        languages: Sequence[str],
        language_key: str = TARGET,
        args: Any = None,
    ) -> GistSeamlessM4T:
        """Return a model with the modules of a ``SeamlessM4TForSpeechToText``."""
        routing = Routing(languages)
        encoder = GistSeamlessEncoder(model.speech_encoder, routing, args)
        decoder = GistSeamlessDecoder(
            model.text_decoder, model.lm_head, dictionary, routing, language_key, args
        )
        return cls(encoder, decoder)


@register_model_architecture("gist_seamless_m4t", "gist_seamless_m4t")
def _complete(args: Any) -> None:
    """Complete nothing: there are no options."""
