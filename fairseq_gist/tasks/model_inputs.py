"""Speech-to-text on the vocabulary and features that a model brings along, where one is named."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, Iterator, List, Optional, Tuple

from fairseq.tasks.speech_to_text import SpeechToTextTask

from fairseq_gist.architectures import Architecture, all_architectures, of_settings
from fairseq_gist.architectures.inputs import Inputs
from fairseq_gist.data.folder import check_train_subsets, check_vocabulary, read_configuration
from fairseq_gist.data.inference import lengths_of
from fairseq_gist.errors import DataError, OptionError
from fairseq_gist.host.boundary import in_one_line, one_line_errors
from fairseq_gist.sound.stored import filterbanks_at

__all__ = ["ModelInputsTask"]


class ModelInputsTask(SpeechToTextTask):
    """The stock task, which reads audio and text as a model's own options say, if they are given.

    Attributes:
        inputs: of the model that is named; None where the data folder says it all.
    """

    def __init__(self, args: Any, tgt_dict: Any, inputs: Optional[Inputs] = None) -> None:
        super().__init__(args, tgt_dict)
        self.inputs = inputs
        if inputs is not None:
            # every target begins with a tag: the manifests' languages are checked for theirs
            self.data_cfg.config["prepend_tgt_lang_tag"] = True
            self.data_cfg.config["prepend_bos_and_append_tgt_lang_tag"] = False

    @classmethod
    def setup_task(cls, args: Any, **kwargs: Any) -> Any:
        """Set the task up with the vocabulary of the data, or of the model."""
        with one_line_errors():
            named = _named(args)
            settings = read_configuration(Path(args.data), args.config_yaml)
            check_train_subsets(getattr(args, "train_subset", None))
            if named is not None:
                inputs = named.inputs_from(args)
                return cls(args, inputs.dictionary, inputs)
            vocabulary = settings.get("vocab_filename")
            _check_vocabulary(Path(args.data), args.config_yaml, vocabulary)
        return super().setup_task(args, **kwargs)

    @property
    def prefix_size(self) -> int:
        """How many symbols begin a target without being a part of it: tags."""
        if self.inputs is not None:
            return self.inputs.prefix_size
        return 1 if self.data_cfg.prepend_tgt_lang_tag else 0

    def check_model(self, args: Any) -> None:
        """Raise OptionError unless the model is one for these data."""
        own, named = of_settings(args), _named(self.args)
        if own is not None and own.inputs is not None and named is None:
            raise OptionError(
                f"--arch {own.model_name}: the model's vocabulary and features are those of a "
                f"folder; name it with {own.inputs_flag}"
            )
        if named is not None and named is not own:
            raise OptionError(
                f"{named.inputs_flag} goes with --arch {named.model_name}, found "
                f"{getattr(args, 'arch', None)}"
            )

    def build_criterion(self, args: Any) -> Any:
        """Return the stock task's, whose loss has to leave out all that begins a target."""
        size = getattr(args, "ignore_prefix_size", None)
        if self.prefix_size and size is None:
            name = getattr(args, "_name", None) or getattr(args, "criterion", None)
            with one_line_errors():
                raise OptionError(
                    f"--criterion {name} would have the model learn what begins a target without "
                    "being its choice; take gist_label_smoothed_cross_entropy with "
                    f"--ignore-prefix-size {self.prefix_size}"
                )
        with self._own_prefix("--ignore-prefix-size", size or 0):
            return super().build_criterion(args)

    def build_generator(self, models: Any, args: Any, *others: Any, **kwargs: Any) -> Any:
        """Return the stock task's, which has to be given all that begins a target."""
        with self._own_prefix("--prefix-size", args.prefix_size):
            generator = super().build_generator(models, args, *others, **kwargs)
        if self.inputs is not None:
            indices = map(self.inputs.dictionary.index, self.inputs.unspoken)
            generator.symbols_to_strip_from_output.update(indices)
        return generator

    @contextlib.contextmanager
    def _own_prefix(self, option: str, size: int) -> Iterator[None]:
        """Check an option about prefixes in the place of the stock task, which knows tags alone."""
        expected = self.prefix_size
        with one_line_errors():
            if expected and size != expected:
                begins = (
                    "every target begins with the tag of its language, which the model doesn't"
                    if self.inputs is None
                    else f"a target of this model begins with {expected} symbols that it doesn't"
                )
                raise OptionError(f"{option}: {begins} choose; expected {expected}, found {size}")
        if self.inputs is None:
            yield
            return
        self.data_cfg.config["prepend_tgt_lang_tag"] = False
        try:
            yield
        finally:
            self.data_cfg.config["prepend_tgt_lang_tag"] = True

    def build_tokenizer(self, args: Any) -> Any:
        """Return the stock task's; what the model's own needs is done by :meth:`build_bpe`."""
        return super().build_tokenizer(args) if self.inputs is None else None

    def build_bpe(self, args: Any) -> Any:
        """Return the model's tokenizer, or the stock task's."""
        if self.inputs is not None:
            return self.inputs.pieces
        try:
            return super().build_bpe(args)
        except (OSError, RuntimeError) as error:
            config = Path(self.args.data) / self.args.config_yaml
            named = dict(self.data_cfg.bpe_tokenizer or {})
            file = named.get("sentencepiece_model", named.get("bpe"))
            with one_line_errors():
                raise DataError(
                    f"{config}: its subword model {file} can't be read ({in_one_line(error)}); "
                    "copy it from where the model was trained, or name another folder of data"
                ) from error

    def get_interactive_tokens_and_lengths(
        self, lines: List[str], encode_fn: Any
    ) -> Tuple[List[str], List[int]]:
        """Return the audio files that ``lines`` name, and the frames of each, 0 if unreadable."""
        if self.inputs is not None:
            return lines, lengths_of(lines, self.inputs.length)
        if self.data_cfg.use_audio_input:
            found: Tuple[List[str], List[int]]
            found = super().get_interactive_tokens_and_lengths(lines, encode_fn)
            return found
        return lines, lengths_of(lines, lambda path: len(filterbanks_at(path)))


def _named(args: Any) -> Optional[Architecture]:
    """Return the architecture whose own inputs the options name.

    Raises:
        OptionError: when they name those of several.
    """
    named = [one for one in all_architectures().values() if one.brings_inputs(args)]
    if len(named) > 1:
        flags = " and ".join(one.inputs_flag for one in named)
        raise OptionError(f"{flags} exclude each other: data are read for one model")
    return named[0] if named else None


def _check_vocabulary(data: Path, config_yaml: str, named: Optional[Any]) -> None:
    """Check the vocabulary of the data; where there is none, the model may have been forgotten.

    Raises:
        OptionError: for data that name no vocabulary and have none of the usual name.
        DataError: for one that is missing or damaged.
    """
    if named is None and not (data / "dict.txt").is_file():
        flags = [one.inputs_flag for one in all_architectures().values() if one.inputs]
        raise OptionError(
            f"{data / config_yaml} names no vocabulary, and there is no dict.txt; for a model "
            f"that brings its own give its folder with {' or '.join(flags)}"
        )
    check_vocabulary(data, config_yaml, named)
