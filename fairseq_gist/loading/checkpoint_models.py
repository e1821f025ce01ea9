"""Building the model of a checkpoint, ready to be differentiated."""

from __future__ import annotations

import logging
from argparse import Namespace
from typing import Any, Dict, List, Optional, Sequence

from fairseq_gist.architectures import Architecture, all_architectures, of_settings
from fairseq_gist.architectures.base import PREFIX
from fairseq_gist.errors import CheckpointError, DataError, GistError, shortened
from fairseq_gist.host.checkpoints import is_unset, model_settings
from fairseq_gist.loading.arch_models import stand_in_task

__all__ = ["architecture_in", "gist_settings", "languages_said", "model_from"]

logger = logging.getLogger(__name__)


def architecture_in(settings: Namespace, path: str) -> Architecture:
    """Return the architecture of a checkpoint's model.

    Args:
        settings: of the model.
        path: of the checkpoint, for errors.

    Raises:
        CheckpointError: when it is one that has no counterpart here.
    """
    found = of_settings(settings)
    if found is None:
        arch = getattr(settings, "arch", None) or getattr(settings, "_name", "")
        known = [
            one.name if one.is_stock else one.model_name for one in all_architectures().values()
        ]
        raise CheckpointError(
            f"{path} is of architecture '{arch}'; those that can be differentiated are "
            f"{', '.join(known)} and their sizes"
        )
    return found


def gist_settings(content: Dict[str, Any], path: str) -> Namespace:
    """Return the arguments of the checkpoint's model, as those of our architecture.

    Raises:
        CheckpointError: when it is of an architecture that has no counterpart here.
    """
    settings = model_settings(content, path)
    name = architecture_in(settings, path).model_name
    arch = str(getattr(settings, "arch", None) or name)
    settings.arch = arch if arch.startswith(PREFIX) else f"{PREFIX}{arch}"
    settings._name = name  # noqa: SLF001
    return settings


def languages_said(settings: Namespace) -> List[str]:
    """Return the languages that a checkpoint's settings name, in order; none where it has none."""
    named = getattr(settings, "languages", None)
    return sorted(one for one in named.split(",") if one) if isinstance(named, str) else []


def model_from(
    content: Dict[str, Any],
    path: str,
    languages: Sequence[str],
    task: Optional[Any] = None,
) -> Any:
    """Return the checkpoint's model with its parameters, as our architecture.

    Args:
        content: of the checkpoint.
        path: of the checkpoint, for errors.
        languages: of the model.
        task: whose vocabulary the model has; without one the model gets a vocabulary of the right
            size, which is enough to rewrite it but not to translate.

    Raises:
        CheckpointError: when parameters and architecture don't belong together.
    """
    from fairseq_gist.tasks.registration import register

    register()
    from fairseq.models import MODEL_REGISTRY

    settings, state = gist_settings(content, path), dict(content["model"])
    architecture = architecture_in(settings, path)
    settings.load_pretrained_encoder_from = None
    symbols = _symbols(state, architecture, path)
    if task is None:
        task = stand_in_task(symbols, languages)
    elif architecture.inputs is None and len(task.target_dictionary) != symbols:
        raise DataError(
            f"{task.args.data}: its vocabulary has {len(task.target_dictionary)} symbols, and the "
            f"model of {path} {symbols}; name the folder of the data that it was trained on"
        )
    # fairseq's task sets these on the options when it builds a model, so most checkpoints have them
    data = getattr(task, "data_cfg", None)
    for name, usual in architecture.settings.items():
        if getattr(settings, name, None) is None:
            setattr(settings, name, getattr(data, name, usual))
    try:
        model = MODEL_REGISTRY[settings._name].build_model(settings, task)  # noqa: SLF001
    except GistError:
        raise
    except Exception as error:  # settings may be anything, and building checks none of them
        raise CheckpointError(
            f"{path}: its settings make no {settings.arch}: {type(error).__name__}: "
            f"{shortened(error, 200)}"
        ) from error
    try:
        model.load_state_dict(state, strict=True)
    except GistError:
        raise
    except Exception as error:  # fairseq renames entries that it expects to be there
        raise CheckpointError(
            f"{path}: parameters don't fit the architecture: {type(error).__name__}: {error}"
        ) from error
    _set_what_is_unset(model)
    return model


def _symbols(state: Dict[str, Any], architecture: Architecture, path: str) -> int:
    """Return how many symbols a model knows.

    Raises:
        CheckpointError: when it embeds none.
    """
    embedding = architecture.embedding
    found = [key for key in state if key.endswith(f"{embedding}.weight")]
    found += [key for key in state if key.startswith(f"{embedding}.copies.0.")]
    if not found:
        raise CheckpointError(f"{path} has no '{embedding}'; is it a translation model?")
    return int(state[found[0]].size(0))


def _set_what_is_unset(model: Any) -> None:
    """Zero what a checkpoint has any number for, so that files don't differ by it."""
    for name, buffer in model.named_buffers():
        if is_unset(name):
            buffer.zero_()
