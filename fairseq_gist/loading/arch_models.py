"""Building the model of an architecture where there is neither a checkpoint nor a vocabulary."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import asdict
from typing import Any, Dict, Optional, Sequence

from fairseq_gist.architectures import Architecture, of_arch
from fairseq_gist.architectures.base import PREFIX
from fairseq_gist.errors import OptionError
from fairseq_gist.languages.rows import LANGUAGE_TAG

__all__ = ["model_of_arch", "stand_in_task"]


def model_of_arch(
    arch: str,
    dict_size: Optional[int],
    languages: Sequence[str],
    *model_options: str,
    options: Any = None,
) -> Any:
    """Return a model as ``fairseq-train --arch`` would build it.

    Args:
        arch: fairseq's name of a size of one of the architectures, with or without ``gist_``
            before it.
        dict_size: symbols in the vocabulary, language tags and fairseq's own four included; None
            for a model that brings its own.
        languages: of the model.
        model_options: of fairseq-train's command line, such as ``--adapter-dim=512``.
        options: the architecture's dataclass, where it has one.

    Raises:
        OptionError: for another architecture, options that it lacks or can't use, or a vocabulary
            too small for the languages.
    """
    from fairseq_gist.tasks.registration import register

    register()
    from fairseq import options as fairseq_options
    from fairseq.models import ARCH_MODEL_REGISTRY

    name = arch if arch.startswith(PREFIX) else f"{PREFIX}{arch}"
    architecture = of_arch(name)
    if architecture is None or name not in ARCH_MODEL_REGISTRY:
        known = [one for one in ARCH_MODEL_REGISTRY if one.startswith(PREFIX) and of_arch(one)]
        raise OptionError(
            f"--arch: expected one of {', '.join(one[len(PREFIX) :] for one in known)}, with or "
            f"without '{PREFIX}' before it, found '{arch}'"
        )
    task = _task(architecture, dict_size, languages, options)
    command = ["no-data", "--task=gist_speech_to_text", f"--arch={name}", *model_options]
    settings = fairseq_options.parse_args_and_arch(fairseq_options.get_training_parser(), command)
    # what the task would take from the data's configuration
    for key, value in {**architecture.settings, **_as_dict(options)}.items():
        setattr(settings, key, value)
    return ARCH_MODEL_REGISTRY[name].build_model(settings, task)


def _task(
    architecture: Architecture, dict_size: Optional[int], languages: Sequence[str], options: Any
) -> Namespace:
    if architecture.inputs is not None:
        if not architecture.brings_inputs(options):
            raise OptionError(
                f"--arch {architecture.model_name} is built from a folder: name it with "
                f"{architecture.inputs_flag}"
            )
        if dict_size is not None:
            raise OptionError(
                f"--dict-size: the vocabulary is that of {architecture.inputs_flag}; leave it out"
            )
        dictionary = architecture.inputs_from(options).dictionary
        return Namespace(target_dictionary=dictionary, languages=sorted(languages))
    if dict_size is None:
        raise OptionError("--arch needs the size of the vocabulary: add --dict-size")
    task = stand_in_task(dict_size, languages)
    if len(task.target_dictionary) > dict_size:
        raise OptionError(
            f"--dict-size: a vocabulary with the tags of {len(languages)} languages has "
            f"{len(task.target_dictionary)} symbols at least, found {dict_size}"
        )
    return task


def _as_dict(options: Any) -> Dict[str, Any]:
    return {} if options is None else asdict(options)


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
