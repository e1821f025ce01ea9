"""A folder with a model as ``save_pretrained`` of Hugging Face's transformers writes it."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any, ClassVar, Iterator, NoReturn, Tuple

from fairseq_gist.errors import OptionError
from fairseq_gist.files import read_json
from fairseq_gist.host.transformers import require_transformers

__all__ = ["PretrainedFolder"]


class PretrainedFolder:
    """The parts of one, each read when it is asked for, never from the network.

    Args:
        path: of the folder.

    Attributes:
        name: of the model, for errors.
        option: that names the folder.
        extra: of this package that installs what the model needs.
        kind: ``model_type`` of its configuration.
        classes: beginning of the names of its classes in transformers.
        model_class: the rest of the model's name there.
        tokenizer_files: of which one has to be there.
        hint: what to do about a wrong folder.

    Raises:
        OptionError: when it holds no such model, or ``transformers`` can't be imported.
    """

    name: ClassVar[str]
    option: ClassVar[str]
    extra: ClassVar[str]
    kind: ClassVar[str]
    classes: ClassVar[str]
    model_class: ClassVar[str]
    tokenizer_files: ClassVar[Tuple[str, ...]]
    hint: ClassVar[str]

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self._settings = self._read_settings()
        self._transformers = self.transformers()

    @classmethod
    def transformers(cls) -> Any:
        """Return the package ``transformers``.

        Raises:
            OptionError: with the command that helps, where the model's class can't be imported.
        """
        return require_transformers(cls.name, cls.classes + cls.model_class, cls.extra)

    @classmethod
    def configuration_from(cls, text: str) -> Any:
        """Return the configuration that a checkpoint keeps as JSON among its model's settings."""
        kind = getattr(cls.transformers(), f"{cls.classes}Config")
        return kind.from_dict(json.loads(text))

    @classmethod
    def model_from(cls, text: str) -> Any:
        """Return a model of that configuration without its weights."""
        return getattr(cls.transformers(), cls.classes + cls.model_class)(
            cls.configuration_from(text)
        )

    @property
    def configuration(self) -> Any:
        """The model's configuration."""
        return self.configuration_from(json.dumps(self._settings))

    def tokenizer(self) -> Any:
        """Return the tokenizer.

        Raises:
            OptionError: when the folder has none that can be read.
        """
        if not any((self.path / name).is_file() for name in self.tokenizer_files):
            # transformers would make one that knows nothing
            self.refuse(
                f"its tokenizer can't be read: found neither {' nor '.join(self.tokenizer_files)}"
            )
        # it works on single sentences, and would warn about fairseq's forked worker processes
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        return self._read("Tokenizer", "tokenizer")

    def feature_extractor(self) -> Any:
        """Return what makes features from sound.

        Raises:
            OptionError: when the folder has none that can be read.
        """
        return self._read("FeatureExtractor", "feature extractor")

    def model(self) -> Any:
        """Return the model with its weights, in fp32.

        Raises:
            OptionError: when weights are missing or don't fit the configuration.
        """
        kind = getattr(self._transformers, self.classes + self.model_class)
        try:
            with self._quiet():
                model, found = kind.from_pretrained(
                    str(self.path), local_files_only=True, dtype="float32", output_loading_info=True
                )
        except Exception as error:  # a file that was cut off is a SafetensorError, and of no kind
            self.refuse(f"its weights can't be read: {_first_line(error)}", error)
        missing = sorted(found["missing_keys"])
        if missing:
            self.refuse(
                f"its weights lack '{missing[0]}' ({len(missing)} are missing); {self.hint}"
            )
        return model

    def refuse(self, reason: str, cause: Any = None) -> NoReturn:
        """Raise OptionError about the folder."""
        raise OptionError(f"{self.option} {self.path}: {reason}") from cause

    def check_settings(self, settings: Any) -> None:
        """Raise OptionError unless a configuration is one of such a model."""
        kind = settings.get("model_type") if isinstance(settings, dict) else None
        if kind != self.kind:
            self.refuse(f"expected a model of type '{self.kind}', found '{kind}'; {self.hint}")

    def _read_settings(self) -> Any:
        file = self.path / "config.json"
        if not file.is_file():
            if (self.path / "adapter_config.json").is_file():
                self.refuse(
                    "it is an adapter (PEFT) for a model, not one itself; merge it into its model "
                    "(merge_and_unload, then save_pretrained) and name that folder"
                )
            found = "a folder without config.json" if self.path.is_dir() else "no folder"
            self.refuse(f"found {found}; {self.hint}")
        settings = read_json(file, "the configuration of a model")
        self.check_settings(settings)
        return settings

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

    def _read(self, part: str, what: str) -> Any:
        kind = getattr(self._transformers, self.classes + part)
        try:
            return kind.from_pretrained(str(self.path), local_files_only=True)
        except (OSError, ValueError, TypeError, KeyError) as error:
            self.refuse(f"its {what} can't be read: {_first_line(error)}", error)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
