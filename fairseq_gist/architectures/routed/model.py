"""What every model here does beside what the stock one does."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Dict, Optional, Type

import torch
from fairseq import checkpoint_utils
from torch import Tensor, nn

from fairseq_gist.architectures.base import Architecture
from fairseq_gist.architectures.routed.decoder import GistS2TDecoder, RoutedDecoder
from fairseq_gist.architectures.routed.encoder import RoutedEncoder
from fairseq_gist.architectures.routed.options import embedded
from fairseq_gist.errors import OptionError
from fairseq_gist.host.boundary import one_line_errors
from fairseq_gist.host.modules import use_plain_layer_norms
from fairseq_gist.languages.rows import TARGET, languages_of_vocabulary
from fairseq_gist.nn.routing import Routing
from fairseq_gist.surgery.adapters import agree_on_adapters
from fairseq_gist.surgery.state import reconcile
from fairseq_gist.surgery.trainable import (
    keep_running_statistics,
    train_copies,
    train_language,
)

__all__ = ["RoutedModel"]


class RoutedModel(nn.Module):
    """Goes before a stock model: one that a sharing plan can rewrite.

    Attributes:
        trains_copies_only: whether all but what groups of languages own is frozen, as soon as they
            own something.
        trains_language: the language that is trained alone: all but what it owns by itself is
            frozen, as soon as it owns something, and running statistics stay.
    """

    trains_copies_only = False
    trains_language: Optional[str] = None

    architecture: ClassVar[Architecture]
    encoder_class: ClassVar[Type[RoutedEncoder]]

    def __init__(self, encoder: RoutedEncoder, decoder: RoutedDecoder) -> None:
        super().__init__(encoder, decoder)
        self.routing = encoder.routing = decoder.routing
        use_plain_layer_norms(self)

    @classmethod
    def build_model(cls, args: Any, task: Any) -> RoutedModel:
        """Build the model, with the language embeddings that options ask for."""
        model: RoutedModel = embedded(super().build_model(args, task), args)
        return model

    @classmethod
    def build_encoder(cls, args: Any) -> RoutedEncoder:
        """Build the encoder, from ``--load-pretrained-encoder-from`` where that is given."""
        encoder = cls.encoder_class(args)
        pretrained = getattr(args, "load_pretrained_encoder_from", None)
        if pretrained:
            if not Path(pretrained).is_file():
                raise OptionError(f"--load-pretrained-encoder-from: there is no file {pretrained}")
            encoder = checkpoint_utils.load_pretrained_component_from_model(
                component=encoder, checkpoint=pretrained
            )
        return encoder

    @classmethod
    def build_decoder(cls, args: Any, task: Any, embed_tokens: Any) -> GistS2TDecoder:
        """Build the decoder; languages are the task's, or those with a tag in the vocabulary."""
        dictionary = task.target_dictionary
        languages = getattr(task, "languages", None) or languages_of_vocabulary(dictionary.symbols)
        key = getattr(task, "language_key", TARGET)
        return GistS2TDecoder(args, dictionary, embed_tokens, Routing(languages), key)

    def forward(
        self,
        src_tokens: Tensor,
        src_lengths: Tensor,
        prev_output_tokens: Tensor,
        lang_ids: Optional[Tensor] = None,
        utterances: Optional[Tensor] = None,
    ) -> Any:
        """Encode and decode a batch; see the encoder for ``lang_ids`` and ``utterances``."""
        encoder_out = self.encoder(
            src_tokens, src_lengths, lang_ids=lang_ids, utterances=utterances
        )
        return self.decoder(prev_output_tokens, encoder_out=encoder_out)

    def train(self, mode: bool = True) -> RoutedModel:
        """Set the mode; what isn't any one language's stays as it is where one is trained alone."""
        super().train(mode)
        if self.trains_language is not None:
            keep_running_statistics(self)
        return self

    def get_ctc_output(self, net_output: Any, sample: Any) -> Any:
        """Return the stock model's, with one entry for each row of the batch."""
        out = net_output[1]["encoder_out"]
        if out.get("source_of"):
            every = torch.arange(out["source_of"][0].size(0), device=out["source_of"][0].device)
            out = self.encoder.reorder_encoder_out(out, every)
        return super().get_ctc_output((net_output[0], {"encoder_out": out}), sample)

    def upgrade_state_dict_named(self, state_dict: Dict[str, Tensor], name: str) -> None:
        """Become, before a state dict is loaded, the model that its sharing plan describes."""
        with one_line_errors():
            agree_on_adapters(self, state_dict)
            reconcile(self, state_dict, self.routing)
            if self.trains_copies_only:
                train_copies(self)
            if self.trains_language is not None:
                train_language(self, self.trains_language)
        super().upgrade_state_dict_named(state_dict, name)
