"""A folder with a Whisper model as Hugging Face's ``save_pretrained`` writes it."""

from __future__ import annotations

from typing import Any

from fairseq_gist.architectures.pretrained.folder import PretrainedFolder
from fairseq_gist.architectures.whisper import ARCHITECTURE
from fairseq_gist.files import read_json

__all__ = ["WhisperFolder"]

_ENGLISH_SYMBOLS = 51864
"""Vocabulary of the models that know English alone; multilingual ones have more."""


class WhisperFolder(PretrainedFolder):
    """A multilingual Whisper, with what belongs to it."""

    name = "Whisper"
    option = "--whisper-path"
    extra = "whisper"
    kind = str(ARCHITECTURE.folder_type)
    classes = "Whisper"
    model_class = "ForConditionalGeneration"
    tokenizer_files = ("tokenizer.json", "vocab.json")
    hint = "give --whisper-path a local copy of a multilingual model, such as openai/whisper-base"

    def check_settings(self, settings: Any) -> None:
        """Raise OptionError for another model, or one that knows English alone."""
        super().check_settings(settings)
        file = self.path / "generation_config.json"
        generation = read_json(file, "settings of generation") if file.is_file() else {}
        says = generation.get("is_multilingual") if isinstance(generation, dict) else None
        if says is False or settings.get("vocab_size") == _ENGLISH_SYMBOLS:
            self.refuse(
                "this is a model of English alone (as those called '.en' are), which has no "
                f"language to be asked for; {self.hint}"
            )
