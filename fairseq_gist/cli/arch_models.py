"""Building the model of an architecture where there is neither a checkpoint nor a vocabulary."""

from __future__ import annotations

from argparse import Namespace
from typing import Any, Sequence

from fairseq_gist.errors import OptionError
from fairseq_gist.languages.rows import LANGUAGE_TAG

__all__ = ["model_of_arch", "stand_in_task"]

_PREFIX = "gist_"


def model_of_arch(arch: str, dict_size: int, languages: Sequence[str], *model_options: str) -> Any:
    """Return a freshly initialised model, as ``fairseq-train --arch`` would build it.

    Args:
        arch: fairseq's name of a size of ``s2t_transformer``, or ``s2t_conformer``, with or without
            ``gist_`` before it.
        dict_size: symbols in the vocabulary, language tags and fairseq's own four included.
        languages: of the model.
        model_options: of fairseq-train's command line, such as ``--adapter-dim=512``.

    Raises:
        OptionError: for another architecture, or a vocabulary too small for the languages.
    """
    from fairseq_gist.registration import register

    register()
    from fairseq import options
    from fairseq.models import ARCH_MODEL_REGISTRY

    from fairseq_gist.architectures.routed.model import RoutedModel

    name = arch if arch.startswith(_PREFIX) else f"{_PREFIX}{arch}"
    models = {a: m for a, m in ARCH_MODEL_REGISTRY.items() if issubclass(m, RoutedModel)}
    if name not in models:
        raise OptionError(
            f"--arch: expected one of {', '.join(a[len(_PREFIX) :] for a in models)}, with or "
            f"without '{_PREFIX}' before it, found '{arch}'"
        )
    task = stand_in_task(dict_size, languages)
    if len(task.target_dictionary) > dict_size:
        raise OptionError(
            f"--dict-size: a vocabulary with the tags of {len(languages)} languages has "
            f"{len(task.target_dictionary)} symbols at least, found {dict_size}"
        )
    command = ["no-data", "--task=gist_speech_to_text", f"--arch={name}", *model_options]
    settings = options.parse_args_and_arch(options.get_training_parser(), command)
    # what the task would take from the data's configuration
    settings.input_feat_per_channel, settings.input_channels = 80, 1
    return models[name].build_model(settings, task)


def stand_in_task(dict_size: int, languages: Sequence[str]) -> Namespace:
    """Return what stands in for a task: a dictionary of ``dict_size`` symbols, and the languages.

    The dictionary is larger where that is too small for the languages' tags.
    """
    from fairseq.data import Dictionary

    dictionary = Dictionary()
    for language in languages:
        dictionary.add_symbol(LANGUAGE_TAG.format(language))
    while len(dictionary) < dict_size:
        dictionary.add_symbol(f"symbol{len(dictionary)}")
    return Namespace(target_dictionary=dictionary, languages=sorted(languages))
