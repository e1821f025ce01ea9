"""Training a part of a model: everything else is frozen."""

from __future__ import annotations

import re
from typing import Iterable, Iterator, List, Optional, Pattern, Set

from torch import nn
from torch.nn import Parameter

from fairseq_gist.architectures import architecture_of
from fairseq_gist.errors import OptionError
from fairseq_gist.nn.grouped import GroupedModule
from fairseq_gist.nn.low_rank import Difference
from fairseq_gist.surgery.units import used_parameters

__all__ = [
    "COPIES",
    "LANGUAGE",
    "keep_running_statistics",
    "owned_alone",
    "train_copies",
    "train_language",
    "train_only",
]

COPIES = "copies"
"""What ``--train-only`` calls all that groups of languages own."""

LANGUAGE = "language:"
"""Begins what ``--train-only`` calls all that one language owns by itself."""

_COPY = re.compile(r"\.copies(\.\d+)?(?=\.|$)")


def train_only(model: nn.Module, what: str) -> None:
    """Freeze all parameters but those at or below the modules that ``what`` names.

    A module that was split has the path of what it was split from, so its copies are trained or
    frozen together; copies made later are like what they are copied from. What is frozen already
    stays so, and what the model keeps without using it always is.

    Args:
        model: whose parameters are frozen.
        what: one of the ``parts()`` of the model's architecture, or a regular expression that a
            whole module path matches.

    Raises:
        OptionError: when that leaves nothing to train, or is no regular expression.
    """
    architecture = architecture_of(model)
    parts = architecture.parts()
    pattern = _pattern(parts.get(what, what), parts)
    chosen: Set[int] = set()
    paths: List[str] = []
    for path, module in model.named_modules(remove_duplicate=False):
        of_module = dict(used_parameters(architecture, path, module))
        if of_module:
            paths.append(path)
        if _is_at_or_below(pattern, path):
            chosen.update(id(parameter) for parameter in of_module.values())
    if not chosen:
        raise OptionError(_nothing(what, paths, parts))
    for parameter in model.parameters():
        if id(parameter) not in chosen:
            parameter.requires_grad_(False)


def train_copies(model: nn.Module) -> bool:
    """Freeze all but the copies, and the low-rank differences, that groups of languages own.

    Where there are none, as before the first split, nothing is frozen.

    Returns:
        Whether there are any.
    """
    owned: Set[int] = set()
    for module in model.modules():
        if isinstance(module, (Difference, GroupedModule)):
            owned.update(map(id, module.parameters()))
    if owned:
        for parameter in model.parameters():
            parameter.requires_grad_(id(parameter) in owned)
    return bool(owned)


def train_language(model: nn.Module, language: str) -> None:
    """Freeze all but what ``language`` owns by itself, through which no other is translated.

    Where it owns nothing, as before a checkpoint with a plan is loaded, nothing is frozen.

    Args:
        model: with a ``routing``.
        language: one of its languages.

    Raises:
        OptionError: for a language that the model lacks.
    """
    owned = set(map(id, owned_alone(model, language)))
    if owned:
        for parameter in model.parameters():
            parameter.requires_grad_(id(parameter) in owned)


def owned_alone(model: nn.Module, language: str) -> Iterator[Parameter]:
    """Yield the parameters of the copies and differences that ``language`` shares with no other.

    Raises:
        OptionError: for a language that the model lacks.
    """
    languages = model.routing.languages
    if language not in languages:
        raise OptionError(
            f"--train-only {LANGUAGE}{language}: the model has no language '{language}'; it has "
            f"{', '.join(languages) or 'none that it can tell apart'}"
        )
    index = languages.index(language)
    for module in model.modules():
        if isinstance(module, GroupedModule):
            group = module.group_of[index]
            if module.group_of.count(group) == 1:
                yield from module.copies[group].parameters()


def keep_running_statistics(model: nn.Module) -> None:
    """Have batch norms compute with their running statistics, and not change them, in training.

    These are all languages': rows of one alone would move them for the others.
    """
    for module in model.modules():
        inner: Optional[nn.Module] = module
        if isinstance(module, GroupedModule):
            inner = module.copies[0]
        if isinstance(inner, nn.modules.batchnorm._BatchNorm):  # noqa: SLF001
            module.eval()


def _names(parts: Iterable[str]) -> str:
    return ", ".join([*parts, COPIES, f"{LANGUAGE}XX"])


def _pattern(what: str, parts: Iterable[str]) -> Pattern[str]:
    try:
        return re.compile(what)
    except re.error as error:
        raise OptionError(
            f"--train-only: '{what}' is neither one of {_names(parts)} nor a regular "
            f"expression: {error}"
        ) from None


def _is_at_or_below(pattern: Pattern[str], path: str) -> bool:
    names = _COPY.sub("", path).split(".")
    return any(pattern.fullmatch(".".join(names[:depth])) for depth in range(1, len(names) + 1))


def _nothing(what: str, paths: List[str], parts: Iterable[str]) -> str:
    if what == "adapters":
        return "--train-only adapters: the model has none; add --adapter-dim"
    return (
        f"--train-only: '{what}' is neither one of {_names(parts)} nor the path of a module "
        f"with parameters; these go from '{paths[0]}' to '{paths[-1]}'"
    )
