"""The speech-to-text model of SeamlessM4T, whose modules know the language of every row."""

from __future__ import annotations

from typing import Any, Sequence

from fairseq.models import FairseqEncoderDecoderModel, register_model, register_model_architecture
from torch import Tensor

from fairseq_gist.architectures.routed.model import RoutedModel
from fairseq_gist.architectures.routed.options import add_model_args
from fairseq_gist.architectures.seamless_m4t import ARCHITECTURE
from fairseq_gist.architectures.seamless_m4t.decoder import GistSeamlessDecoder
from fairseq_gist.architectures.seamless_m4t.encoder import GistSeamlessEncoder
from fairseq_gist.architectures.seamless_m4t.folder import (
    SeamlessFolder,
    configuration_from,
    seamless_transformers,
)
from fairseq_gist.errors import OptionError
from fairseq_gist.languages.rows import TARGET, languages_of_vocabulary
from fairseq_gist.nn.routing import Routing

__all__ = ["GistSeamlessM4T"]


@register_model("gist_seamless_m4t")
class GistSeamlessM4T(RoutedModel, FairseqEncoderDecoderModel):
    """transformers' ``SeamlessM4TForSpeechToText``, which a sharing plan can rewrite."""

    architecture = ARCHITECTURE
    encoder_class = GistSeamlessEncoder

    @staticmethod
    def add_args(parser: Any) -> None:
        """Add adapters and activation checkpointing; the rest is said by the folder."""
        add_model_args(parser)

    @classmethod
    def build_model(cls, args: Any, task: Any) -> GistSeamlessM4T:
        """Build the model of a checkpoint, or one with the weights of ``--seamless-path``.

        Raises:
            OptionError: when there is neither, or the folder holds no such model.
        """
        known = getattr(args, "seamless_config", None)
        if known:
            model = seamless_transformers().SeamlessM4TForSpeechToText(configuration_from(known))
        else:
            path = getattr(args, "seamless_path", None) or getattr(
                getattr(task, "args", None), "seamless_path", None
            )
            if not path:
                raise OptionError(
                    "--arch gist_seamless_m4t is built from a folder: name it with --seamless-path"
                )
            model = SeamlessFolder(path).model()
            args.seamless_config = model.config.to_json_string()
        languages = getattr(task, "languages", None)
        if languages is None:
            languages = languages_of_vocabulary(task.target_dictionary.symbols)
        key = getattr(task, "language_key", TARGET)
        return cls.around(model, task.target_dictionary, languages, key, args)

    @classmethod
    def around(
        cls,
        model: Any,
        dictionary: Any,
        languages: Sequence[str],
        language_key: str = TARGET,
        args: Any = None,
    ) -> GistSeamlessM4T:
        """Return a model with the modules of transformers' ``model``, which is of no use then.

        Args:
            model: a ``SeamlessM4TForSpeechToText``, on any device.
            dictionary: target vocabulary.
            languages: of the model.
            language_key: what a row's language is.
            args: options of the model; None for none.
        """
        routing = Routing(languages)
        encoder = GistSeamlessEncoder(model.speech_encoder, routing, args)
        decoder = GistSeamlessDecoder(
            model.text_decoder, model.lm_head, dictionary, routing, language_key, args
        )
        return cls(encoder, decoder)

    def get_normalized_probs(self, net_output: Any, log_probs: bool, sample: Any = None) -> Tensor:
        """Return (log) probabilities, `[rows, tokens, symbols]`."""
        probabilities: Tensor = self.get_normalized_probs_scriptable(net_output, log_probs, sample)
        probabilities.batch_first = True
        return probabilities


@register_model_architecture("gist_seamless_m4t", "gist_seamless_m4t")
def _complete(args: Any) -> None:
    """Complete nothing: there are no options."""
