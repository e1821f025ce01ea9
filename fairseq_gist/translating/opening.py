"""Whatever can translate: a checkpoint of fairseq, or a folder that transformers wrote."""

from __future__ import annotations

import dataclasses
import tempfile
from argparse import Namespace
from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Union

import torch

from fairseq_gist.architectures import Architecture, all_architectures
from fairseq_gist.data.model_languages import ModelLanguages
from fairseq_gist.errors import CheckpointError, OptionError
from fairseq_gist.files import read_object
from fairseq_gist.host.boundary import as_errors
from fairseq_gist.host.checkpoints import check_numbers, model_settings, read_checkpoint
from fairseq_gist.host.quiet import quiet_fairseq
from fairseq_gist.languages.rows import TARGET, languages_of_vocabulary
from fairseq_gist.loading.checkpoint_models import architecture_in, model_from
from fairseq_gist.loading.data_folders import CONFIG, data_folder, refuse_data, said_of_task
from fairseq_gist.loading.tasks import task_of
from fairseq_gist.sound.filterbank import BINS
from fairseq_gist.surgery.plan_buffer import plan_in_state
from fairseq_gist.tasks.registration import register
from fairseq_gist.translating.translator import Translator

__all__ = ["load"]

_LONGEST = 6000
"""Frames that fairseq's models take where nothing says otherwise."""


def load(
    path: Union[str, Path],
    *,
    data: Optional[Union[str, Path]] = None,
    config_yaml: Optional[str] = None,
    device: Optional[Any] = None,
    trust: bool = False,
    **options: Any,
) -> Translator:
    """Load a model to translate with.

    Args:
        path: of a checkpoint (differentiated, averaged, exported or of stock fairseq), or of a
            folder with a Whisper or SeamlessM4T of transformers.
        data: folder with vocabulary and configuration of the data that a checkpoint was trained
            on; None for the checkpoint's own folder if they are there, or where it says.
        config_yaml: the configuration; None for what the checkpoint says.
        device: of torch; None for a GPU if there is one.
        trust: whether a checkpoint may run what it names.
        options: of the model's architecture, such as ``whisper_path`` for a checkpoint of one.

    Raises:
        CheckpointError: when it is none that can be read, or its vocabulary isn't there.
        OptionError: for an option of another kind of model.
    """
    given = {name: value for name, value in options.items() if value is not None}
    place = _device(device)
    path = Path(path)
    with quiet_fairseq(), as_errors():
        register()
        if (path / "config.json").is_file():
            return _from_folder(path, given, place)
        if path.is_dir() or path.suffix == ".safetensors":
            found = "one without config.json" if path.is_dir() else "a file of one"
            raise CheckpointError(
                f"{path}: expected a checkpoint, or the folder of a Whisper or SeamlessM4T as "
                f"transformers saves it, found {found}"
            )
        content = read_checkpoint(str(path), trust)
        check_numbers(content["model"], str(path))
        settings = model_settings(content, str(path))
        architecture = architecture_in(settings, str(path))
        own = _own_options(architecture, settings, given, str(path))
        if architecture.inputs is None:
            config = config_yaml or str(said_of_task(content, settings, "config_yaml") or CONFIG)
            folder = data_folder(path, data, config, content, settings)
            task = task_of(folder, config, **own)
        else:
            refuse_data(str(path), data, config_yaml)
            task = _task_of_inputs(own)
        plan = plan_in_state(content["model"])
        task.model_languages.adopt(settings, () if plan is None else plan.languages)
        model = model_from(content, str(path), task.languages, task)
        if architecture.inputs is None:
            _check_features(task, str(path))
            longest = _longest(content, settings)
        else:
            longest = int(model.encoder.max_positions())
    return Translator(task, model.to(place), longest, path.name)


def _device(device: Optional[Any]) -> torch.device:
    """Return where the model goes.

    Raises:
        OptionError: when that isn't here.
    """
    try:
        place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        torch.zeros(1, device=place)
    except (RuntimeError, AssertionError, TypeError) as error:
        reason = str(error).splitlines()[0][:200]
        raise OptionError(
            f"expected a device of torch that is here, such as cpu or cuda:0, found {device!r} "
            f"({reason})",
            "device",
        ) from error
    return place


def _from_folder(path: Path, given: Dict[str, Any], place: torch.device) -> Translator:
    kind = read_object(path / "config.json", "the configuration of a model").get("model_type")
    known = {one.folder_type: one for one in all_architectures().values() if one.folder_type}
    architecture = known.get(str(kind))
    if architecture is None:
        raise CheckpointError(
            f"{path}: it holds a model of type '{kind}'; of transformers' models "
            f"{' and '.join(map(str, known))} translate here"
        )
    named = {**given, str(architecture.inputs_option): str(path)}
    own = _own_options(architecture, Namespace(), named, str(path))
    task = _task_of_inputs(own)
    symbols = task.target_dictionary.symbols
    every = ",".join(languages_of_vocabulary(symbols))
    task.model_languages = ModelLanguages(TARGET, every, symbols, lambda key: [], True)
    from fairseq.models import MODEL_REGISTRY

    kind_of_model = MODEL_REGISTRY[architecture.model_name]
    model = kind_of_model.build_model(Namespace(**own), task)
    longest = int(model.encoder.max_positions())
    return Translator(task, model.to(place), longest, path.name)


def _own_options(
    architecture: Architecture, settings: Any, given: Mapping[str, Any], path: str
) -> Dict[str, Any]:
    """Return the options of an architecture: what was given, or else what a checkpoint says."""
    own = architecture.options_from(settings)
    said = {} if own is None else dataclasses.asdict(own)
    for name in given:
        if name not in said:
            raise OptionError(f"{path} is no model with such an option; leave it out", name)
    return {**said, **given}


def _task_of_inputs(options: Mapping[str, Any]) -> Any:
    """Return the task of a model that brings vocabulary and features along: no data are needed."""
    with tempfile.TemporaryDirectory(prefix="gist-") as folder:
        (Path(folder) / CONFIG).write_text("{}\n", encoding="utf-8")
        return task_of(folder, CONFIG, **options)


def _longest(content: Mapping[str, Any], settings: Any) -> int:
    said = said_of_task(content, settings, "max_source_positions")
    return said if isinstance(said, int) and said > 0 else _LONGEST


def _check_features(task: Any, path: str) -> None:
    """Raise CheckpointError for a model that hears something else than is made of recordings."""
    config = task.data_cfg
    bins = config.input_feat_per_channel * config.input_channels
    if not config.use_audio_input and bins != BINS:
        raise CheckpointError(
            f"{path} hears features of {bins} numbers a frame; recordings become filterbanks of "
            f"{BINS}, which 'fairseq-gist prepare' and fairseq's recipes train on"
        )
