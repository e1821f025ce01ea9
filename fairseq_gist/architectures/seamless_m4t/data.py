"""Data of a SeamlessM4T model: manifests of this project, read as the model needs them."""

from __future__ import annotations

from typing import Any

from fairseq_gist.architectures.seamless_m4t.dictionary import SeamlessDictionary, SeamlessPieces
from fairseq_gist.architectures.seamless_m4t.features import SeamlessFeatures
from fairseq_gist.architectures.seamless_m4t.folder import SeamlessFolder
from fairseq_gist.errors import OptionError

__all__ = ["SeamlessData"]


class SeamlessData:
    """Vocabulary, subwords and features of the model in one folder.

    Attributes:
        dictionary: fairseq's view of the vocabulary.
        pieces: from text to its symbols and back.
        features: reads audio.

    Raises:
        OptionError: when the folder holds no SeamlessM4T, or its parts don't fit together.
    """

    def __init__(self, path: str) -> None:
        folder = SeamlessFolder(path)
        config, tokenizer = folder.configuration, folder.tokenizer()
        extractor = folder.feature_extractor()
        made, width = extractor.num_mel_bins * extractor.stride, config.feature_projection_input_dim
        if made != width:
            raise OptionError(
                f"--seamless-path {path}: the model expects features {width} wide, its feature "
                f"extractor makes {made}"
            )
        origin = f"the tokenizer of {path}"
        self.dictionary = SeamlessDictionary(tokenizer, config.vocab_size, origin)
        self.pieces = SeamlessPieces(tokenizer)
        self.features = SeamlessFeatures(extractor, width)

    def configure(self, data_config: Any) -> None:
        """Have fairseq's data configuration say how this model's targets begin: with a tag."""
        data_config.config["prepend_tgt_lang_tag"] = True
        data_config.config["prepend_bos_and_append_tgt_lang_tag"] = False
