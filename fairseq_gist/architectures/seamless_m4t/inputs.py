"""Speech-to-text on the data of a SeamlessM4T model where one is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any, List, Optional, Tuple

from fairseq.data.audio.data_cfg import S2TDataConfig
from fairseq.tasks.speech_to_text import SpeechToTextTask

from fairseq_gist.architectures.seamless_m4t.data import SeamlessData
from fairseq_gist.errors import OptionError
from fairseq_gist.host.boundary import one_line_errors

__all__ = ["SeamlessInputs"]

_ARCH = "gist_seamless_m4t"


class SeamlessInputs(SpeechToTextTask):
    """The stock task, which reads audio and text as ``--seamless-path`` says, if it is given."""

    def __init__(self, args: Any, tgt_dict: Any, seamless: Optional[SeamlessData] = None) -> None:
        super().__init__(args, tgt_dict)
        self.seamless = seamless
        if seamless is not None:
            seamless.configure(self.data_cfg)

    @classmethod
    def setup_task(cls, args: Any, **kwargs: Any) -> Any:
        """Set the task up with the vocabulary of the data, or of the model."""
        path = getattr(args, "seamless_path", None)
        if not path:
            with one_line_errors():
                _check_vocabulary(Path(args.data), args.config_yaml)
            return super().setup_task(args, **kwargs)
        with one_line_errors():
            seamless = SeamlessData(path)
        return cls(args, seamless.dictionary, seamless)

    @property
    def read_features(self) -> Any:
        """What reads features from a path; None where that is fairseq's business."""
        return None if self.seamless is None else self.seamless.features

    def check_model(self, args: Any) -> None:
        """Raise OptionError unless the model is one for these data."""
        is_seamless = getattr(args, "arch", None) == _ARCH or hasattr(args, "seamless_config")
        if is_seamless and self.seamless is None:
            raise OptionError(
                f"--arch {_ARCH}: the model's vocabulary and features are those of a folder; name "
                "it with --seamless-path"
            )
        if self.seamless is not None and not is_seamless:
            raise OptionError(
                f"--seamless-path goes with --arch {_ARCH}, found {getattr(args, 'arch', None)}"
            )

    def build_tokenizer(self, args: Any) -> Any:
        """Return the stock task's; what the model's own needs is done by :meth:`build_bpe`."""
        return super().build_tokenizer(args) if self.seamless is None else None

    def build_bpe(self, args: Any) -> Any:
        """Return the model's tokenizer, or the stock task's."""
        return super().build_bpe(args) if self.seamless is None else self.seamless.pieces

    def get_interactive_tokens_and_lengths(
        self, lines: List[str], encode_fn: Any
    ) -> Tuple[List[str], List[int]]:
        """Return the audio files that ``lines`` name, and their lengths in frames."""
        if self.seamless is None:
            found: Tuple[List[str], List[int]]
            found = super().get_interactive_tokens_and_lengths(lines, encode_fn)
            return found
        with one_line_errors():
            return lines, [self.seamless.features.length(line) for line in lines]


def _check_vocabulary(data: Path, config_yaml: str) -> None:
    """Raise OptionError for data that name no vocabulary and have none of the usual name."""
    if not (data / config_yaml).is_file():
        return
    config = S2TDataConfig(data / config_yaml)
    file = data / config.vocab_filename
    if "vocab_filename" not in config.config and not file.is_file():
        raise OptionError(
            f"{data / config_yaml} names no vocabulary, and there is no {file.name}; for the data "
            "of a SeamlessM4T give its folder with --seamless-path"
        )
