"""What a Whisper model brings along: vocabulary, subwords, features and prompts."""

from __future__ import annotations

from typing import Any, Sequence

from fairseq_gist.architectures.inputs import Inputs
from fairseq_gist.architectures.whisper import AUTO, PROMPTS, WhisperOptions
from fairseq_gist.architectures.whisper.dictionary import (
    NO_TIMESTAMPS,
    PROMPT_SIZE,
    TRANSCRIBE,
    TRANSLATE,
    WhisperDictionary,
    WhisperPieces,
)
from fairseq_gist.architectures.whisper.features import WhisperFeatures
from fairseq_gist.architectures.whisper.folder import WhisperFolder
from fairseq_gist.errors import DataError, OptionError
from fairseq_gist.languages.rows import LANGUAGE_TAG, languages_of_vocabulary

__all__ = ["WhisperInputs"]

_ENGLISH = "en"


class WhisperInputs(Inputs):
    """Vocabulary, subwords, features and prompts of the model in one folder.

    Attributes:
        dictionary: fairseq's view of the vocabulary.
        pieces: from text to its symbols and back.

    Raises:
        OptionError: when the folder holds no multilingual Whisper, or its parts don't fit together.
    """

    prefix_size = PROMPT_SIZE

    def __init__(self, options: WhisperOptions) -> None:
        path = str(options.whisper_path)
        self._prompt = options.whisper_prompt or AUTO
        if self._prompt not in PROMPTS:
            raise OptionError(
                f"--whisper-prompt: expected {' or '.join(PROMPTS)}, found '{self._prompt}'"
            )
        folder = WhisperFolder(path)
        config, tokenizer = folder.configuration, folder.tokenizer()
        extractor = folder.feature_extractor()
        wanted = config.num_mel_bins, 2 * config.max_source_positions
        made = extractor.feature_size, extractor.nb_max_frames
        if made != wanted:
            raise OptionError(
                f"--whisper-path {path}: the model expects {wanted[1]} frames of {wanted[0]} bins, "
                f"its feature extractor makes {made[1]} of {made[0]}"
            )
        origin = f"the tokenizer of {path}"
        self.dictionary = WhisperDictionary(tokenizer, config.vocab_size, origin)
        self.pieces, self.unspoken = WhisperPieces(tokenizer), self.dictionary.unspoken
        self._languages = languages_of_vocabulary(self.dictionary.symbols)
        self._features = WhisperFeatures(extractor)

    def features(self, path: str, transforms: Any = None) -> Any:
        """Return the features at ``path``, `[frames, bins]`; see :class:`WhisperFeatures`."""
        return self._features(path, transforms)

    def length(self, path: str) -> int:
        """Return how many frames of a hundredth of a second the audio at ``path`` has."""
        return self._features.length(path)

    def prefix(self, source: str, target: str) -> Sequence[str]:
        """Return language, task and "no timestamps"; the start of the transcript goes before.

        Into English Whisper translates what it is told to hear. For any other target it knows no
        task; asked to transcribe in a language it writes that one.

        Raises:
            DataError: for a language without a tag, or where the spoken one isn't said.
        """
        if self._prompt != AUTO or target != _ENGLISH or source == _ENGLISH:
            return LANGUAGE_TAG.format(target), TRANSCRIBE, NO_TIMESTAMPS
        if source not in self._languages:
            found = (
                f"src_lang '{source}' is none"
                if source
                else "nothing says what is spoken (src_lang), to be one"
            )
            names = ", ".join(self._languages[:3])
            raise DataError(
                f"{found} of the {len(self._languages)} languages that Whisper hears, {names}, "
                f"..., {self._languages[-1]}; name the spoken language so, or leave it open with "
                "--whisper-prompt target"
            )
        return LANGUAGE_TAG.format(source), TRANSLATE, NO_TIMESTAMPS
