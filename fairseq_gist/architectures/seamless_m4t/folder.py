"""A folder with a SeamlessM4T model as Hugging Face's ``save_pretrained`` writes it."""

from __future__ import annotations

from typing import Any

from fairseq_gist.architectures.pretrained.folder import PretrainedFolder
from fairseq_gist.architectures.seamless_m4t import ARCHITECTURE

__all__ = ["SeamlessFolder"]


class SeamlessFolder(PretrainedFolder):
    """The speech-to-text model of SeamlessM4T's first version, with what belongs to it."""

    name = "SeamlessM4T"
    option = "--seamless-path"
    extra = "seamless"
    kind = str(ARCHITECTURE.folder_type)
    classes = "SeamlessM4T"
    model_class = "ForSpeechToText"
    tokenizer_files = ("tokenizer.json", "sentencepiece.bpe.model")
    hint = "give --seamless-path a local copy of facebook/hf-seamless-m4t-medium"

    def check_settings(self, settings: Any) -> None:
        """Raise OptionError for another model, the second version among them."""
        kind = settings.get("model_type") if isinstance(settings, dict) else None
        if kind == f"{self.kind}_v2":
            self.refuse(
                f"this is a model of SeamlessM4T's second version ('{kind}'), whose speech encoder "
                f"is another; {self.hint}, which is of the first"
            )
        super().check_settings(settings)
