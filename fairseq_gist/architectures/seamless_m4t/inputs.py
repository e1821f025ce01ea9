"""What a SeamlessM4T model brings along: vocabulary, subwords and features of its folder."""

from __future__ import annotations

from typing import Any

from fairseq_gist.architectures.inputs import Inputs
from fairseq_gist.architectures.seamless_m4t import SeamlessOptions
from fairseq_gist.architectures.seamless_m4t.dictionary import SeamlessDictionary, SeamlessPieces
from fairseq_gist.architectures.seamless_m4t.features import SeamlessFeatures
from fairseq_gist.architectures.seamless_m4t.folder import SeamlessFolder
from fairseq_gist.errors import OptionError

__all__ = ["SeamlessInputs"]


class SeamlessInputs(Inputs):
    """Vocabulary, subwords and features of the model in one folder.

    Attributes:
        dictionary: fairseq's view of the vocabulary.
        pieces: from text to its symbols and back.

    Raises:
        OptionError: when the folder holds no SeamlessM4T, or its parts don't fit together.
    """

    def __init__(self, options: SeamlessOptions) -> None:
        path = str(options.seamless_path)
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
        self._features = SeamlessFeatures(extractor, width)

    def features(self, path: str, transforms: Any = None) -> Any:
        """Return the features at ``path``, `[frames, width]`; see :class:`SeamlessFeatures`."""
        return self._features(path, transforms)

    def length(self, path: str) -> int:
        """Return how many frames of a hundredth of a second the audio at ``path`` has."""
        return self._features.length(path)

    def frames(self, rows: int, width: int) -> int:
        """Return how many frames of a hundredth of a second features `[rows, width]` are."""
        return self._features.frames(rows, width)

    def is_heard(self, path: str) -> bool:
        """Whether the audio at ``path`` is long enough for features of one frame."""
        return self._features.is_heard(path)
