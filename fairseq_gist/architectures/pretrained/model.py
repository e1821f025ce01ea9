"""What a model of transformers' modules does like every model here."""

from __future__ import annotations

from typing import Any, ClassVar, Sequence, Type

from fairseq.models import FairseqEncoderDecoderModel
from torch import Tensor

from fairseq_gist.architectures.model_arguments import add_model_args
from fairseq_gist.architectures.pretrained.folder import PretrainedFolder
from fairseq_gist.architectures.routed.model import RoutedModel
from fairseq_gist.architectures.routed.options import embedded
from fairseq_gist.errors import OptionError
from fairseq_gist.languages.rows import TARGET, languages_of_vocabulary

__all__ = ["PretrainedModel", "given"]


class PretrainedModel(RoutedModel, FairseqEncoderDecoderModel):
    """Built from a folder, and again from what its checkpoints say of it.

    Attributes:
        folder_class: reads the folder.
        setting: of a checkpoint's model, its configuration in JSON.
    """

    folder_class: ClassVar[Type[PretrainedFolder]]
    setting: ClassVar[str]

    @staticmethod
    def add_args(parser: Any) -> None:
        """Add adapters and activation checkpointing; the rest is said by the folder."""
        add_model_args(parser)

    @classmethod
    def build_model(cls, args: Any, task: Any) -> PretrainedModel:
        """Build the model of a checkpoint, or one with the weights of the folder.

        Raises:
            OptionError: when there is neither, or the folder holds no such model.
        """
        known = getattr(args, cls.setting, None)
        if known:
            model = cls.folder_class.model_from(known)
        else:
            path = given(str(cls.architecture.inputs_option), args, task)
            if not path:
                raise OptionError(
                    f"--arch {cls.architecture.model_name} is built from a folder: name it with "
                    f"{cls.folder_class.option}"
                )
            model = cls.folder_class(path).model()
            setattr(args, cls.setting, model.config.to_json_string())
        cls.note(args, task, model)
        languages = getattr(task, "languages", None)
        if languages is None:
            languages = languages_of_vocabulary(task.target_dictionary.symbols)
        key = getattr(task, "language_key", TARGET)
        built: PretrainedModel = embedded(
            cls.around(model, task.target_dictionary, languages, key, args), args
        )
        return built

    @classmethod
    def note(cls, args: Any, task: Any, model: Any) -> None:
        """Have the settings say what else a checkpoint has to know of the model."""

    @classmethod
    def around(
        cls,
        model: Any,
        dictionary: Any,
        languages: Sequence[str],
        language_key: str = TARGET,
        args: Any = None,
    ) -> PretrainedModel:
        """Return a model with the modules of transformers' ``model``, which is of no use then.

        Args:
            model: of transformers, on any device.
            dictionary: target vocabulary.
            languages: of the model.
            language_key: what a row's language is.
            args: options of the model; None for none.
        """
        raise NotImplementedError

    def get_normalized_probs(self, net_output: Any, log_probs: bool, sample: Any = None) -> Tensor:
        """Return (log) probabilities, `[rows, tokens, symbols]`."""
        probabilities: Tensor = self.get_normalized_probs_scriptable(net_output, log_probs, sample)
        probabilities.batch_first = True
        return probabilities


def given(name: str, args: Any, task: Any) -> Any:
    """Return an option of the command if it was given, or else what settings of a model say."""
    own = getattr(getattr(task, "args", None), name, None)
    return getattr(args, name, None) if own is None else own
