"""A folder with a SeamlessM4T model as Hugging Face's ``save_pretrained`` writes it."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any, Iterator

from fairseq_gist.errors import OptionError
from fairseq_gist.files import read_json
from fairseq_gist.host.packages import require_transformers

__all__ = ["SeamlessFolder", "configuration_from", "seamless_transformers"]

_TYPE = "seamless_m4t"
_TOKENIZER_FILES = ("tokenizer.json", "sentencepiece.bpe.model")
_HINT = "give --seamless-path a local copy of facebook/hf-seamless-m4t-medium"


class SeamlessFolder:
    """The parts of a checkpoint folder, each read when it is asked for, never from the network.

    Args:
        path: of the folder.

    Raises:
        OptionError: when it holds no SeamlessM4T, or ``transformers`` can't be imported.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self._settings = _settings_of(self.path)
        self._transformers = seamless_transformers()

    @property
    def configuration(self) -> Any:
        """The model's configuration, transformers' ``SeamlessM4TConfig``."""
        return self._transformers.SeamlessM4TConfig.from_dict(self._settings)

    def tokenizer(self) -> Any:
        """Return the tokenizer.

        Raises:
            OptionError: when the folder has none that can be read.
        """
        if not any((self.path / name).is_file() for name in _TOKENIZER_FILES):
            # transformers would make one that knows nothing
            raise OptionError(
                f"--seamless-path {self.path}: its tokenizer can't be read: found neither "
                f"{' nor '.join(_TOKENIZER_FILES)}"
            )
        # it works on single sentences, and would warn about fairseq's forked worker processes
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        return self._read(self._transformers.SeamlessM4TTokenizer, "tokenizer")

    def feature_extractor(self) -> Any:
        """Return what makes features from sound.

        Raises:
            OptionError: when the folder has none that can be read.
        """
        return self._read(self._transformers.SeamlessM4TFeatureExtractor, "feature extractor")

    def model(self) -> Any:
        """Return the speech-to-text model with its weights, in fp32.

        Raises:
            OptionError: when weights are missing or don't fit the configuration.
        """
        kind = self._transformers.SeamlessM4TForSpeechToText
        try:
            with self._quiet():
                model, found = kind.from_pretrained(
                    str(self.path), local_files_only=True, dtype="float32", output_loading_info=True
                )
        except (OSError, ValueError, RuntimeError) as error:
            raise OptionError(
                f"--seamless-path {self.path}: its weights can't be read: {_first_line(error)}"
            ) from error
        missing = sorted(found["missing_keys"])
        if missing:
            raise OptionError(
                f"--seamless-path {self.path}: its weights lack '{missing[0]}' "
                f"({len(missing)} are missing); {_HINT}"
            )
        return model

    @contextlib.contextmanager
    def _quiet(self) -> Iterator[None]:
        """Keep transformers from listing the weights of other models in the folder."""
        logging = self._transformers.utils.logging
        before, shows_progress = logging.get_verbosity(), logging.is_progress_bar_enabled()
        logging.set_verbosity_error()
        logging.disable_progress_bar()
        try:
            yield
        finally:
            logging.set_verbosity(before)
            if shows_progress:
                logging.enable_progress_bar()

    def _read(self, kind: Any, what: str) -> Any:
        try:
            return kind.from_pretrained(str(self.path), local_files_only=True)
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise OptionError(
                f"--seamless-path {self.path}: its {what} can't be read: {_first_line(error)}"
            ) from error


def seamless_transformers() -> Any:
    """Return the package ``transformers``.

    Raises:
        OptionError: with the command that helps, where its SeamlessM4T can't be imported.
    """
    return require_transformers("SeamlessM4T", "SeamlessM4TForSpeechToText", "seamless")


def configuration_from(text: str) -> Any:
    """Return the configuration that a checkpoint keeps as JSON among its model's settings."""
    return seamless_transformers().SeamlessM4TConfig.from_dict(json.loads(text))


def _settings_of(path: Path) -> Any:
    file = path / "config.json"
    if not file.is_file():
        found = "a folder without config.json" if path.is_dir() else "no folder"
        raise OptionError(f"--seamless-path {path}: found {found}; {_HINT}")
    settings = read_json(file, "the configuration of a model")
    kind = settings.get("model_type") if isinstance(settings, dict) else None
    if kind == f"{_TYPE}_v2":
        raise OptionError(
            f"--seamless-path {path}: this is a model of SeamlessM4T's second version "
            f"('{kind}'), whose speech encoder is another; {_HINT}, which is of the first"
        )
    if kind != _TYPE:
        raise OptionError(
            f"--seamless-path {path}: expected a model of type '{_TYPE}', found '{kind}'; {_HINT}"
        )
    return settings


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
