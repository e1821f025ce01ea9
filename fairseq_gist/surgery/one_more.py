"""A state dict for a model with one more language: its copies, and rows for a larger vocabulary."""

from __future__ import annotations

from typing import MutableMapping, NamedTuple, Optional, Sequence, Tuple

import torch
from torch import Tensor, nn

from fairseq_gist.architectures import Architecture, recognise
from fairseq_gist.errors import CheckpointError
from fairseq_gist.sharing.division import SHARED
from fairseq_gist.sharing.low_rank import BASE, whole_of
from fairseq_gist.sharing.one_more import parents_of
from fairseq_gist.sharing.plan import SharingPlan
from fairseq_gist.surgery.operations.split import COPY, Split
from fairseq_gist.surgery.plan_buffer import PLAN_KEY, encode_plan
from fairseq_gist.surgery.units import find_units, no_units, select_units

__all__ = ["NewRows", "add_copies", "grow_vocabulary", "units_to_own"]


_OF_CTC = "encoder.ctc_proj"
"""What fairseq's models have with ``--ctc-weight``."""


class NewRows(NamedTuple):
    """What the rows of new symbols, which come behind those so far, begin as.

    Attributes:
        before: how many symbols there were.
        origins: the row so far that each new one begins as; None for the mean, `[new symbols]`.
        averaged: rows so far that this is the mean of.
    """

    before: int
    origins: Sequence[Optional[int]]
    averaged: Sequence[int]


def units_to_own(model: nn.Module, pattern: Optional[str]) -> Tuple[str, ...]:
    """Return the units of which one more language gets copies of its own.

    Those that are split by default, and what has a row for each symbol of the vocabulary: rows of
    new symbols are trained with nobody else's then. Of a projection with low-rank differences it is
    the difference, of divided neurons those that groups own; the rest is for all languages.

    Args:
        model: without the language.
        pattern: regular expression for whole names, in the place of that.

    Raises:
        OptionError: when the pattern is no regular expression, or matches nothing.
    """
    units = find_units(model)
    chosen = set(select_units(units, pattern, no_units(model)))
    if pattern is None:
        chosen.update(name for name in units if _is_of_vocabulary(name, model.architecture))
    for_all = (f".{BASE}", f".{SHARED}")
    return tuple(name for name in units if name in chosen and not name.endswith(for_all))


def add_copies(
    state: MutableMapping[str, Tensor],
    model: nn.Module,
    plans: Tuple[SharingPlan, SharingPlan],
    language: str,
    relative: str,
) -> None:
    """Give ``state`` the copies of a plan with one more language, and the plan.

    Args:
        state: of ``model``.
        model: that follows the plan without the language.
        plans: without it, and with it.
        language: that is new.
        relative: the language whose copies it begins with.
    """
    before, after = plans
    units = find_units(model)
    for name, groups in after.units.items():
        so_far = before.units.get(name, (before.languages,))
        parents = parents_of(so_far, groups, language, relative)
        if parents != tuple(range(len(so_far))):  # groups are in the order of their languages
            group_of = after.group_of(name)
            Split(name, units[name].paths, after.languages, group_of, parents).expand(state, model)
    state[PLAN_KEY] = encode_plan(after)


def grow_vocabulary(state: MutableMapping[str, Tensor], new: NewRows) -> None:
    """Give everything in ``state`` that has a row for each symbol the rows of the new ones.

    Raises:
        CheckpointError: when the vocabulary so far wasn't the model's.
    """
    architecture = recognise(state)
    for key in [key for key in state if _is_entry_of_vocabulary(key, architecture)]:
        tensor = state[key]
        if key.endswith(".down"):  # of a low-rank difference: it reads features
            continue
        if tensor.size(0) != new.before:
            raise CheckpointError(
                f"the vocabulary so far has {new.before} symbols, and '{key}' of the checkpoint "
                f"{tensor.size(0)}: it is another model's"
            )
        mean = tensor[list(new.averaged)].float().mean(0).to(tensor.dtype)
        rows = [mean if origin is None else tensor[origin] for origin in new.origins]
        state[key] = torch.cat([tensor, torch.stack(rows)]) if rows else tensor


def _is_entry_of_vocabulary(key: str, architecture: Architecture) -> bool:
    if not architecture.is_parameter(key):
        return False
    match = COPY.match(key)
    return _is_of_vocabulary(match.group("path") if match else key.rpartition(".")[0], architecture)


def _is_of_vocabulary(path: str, architecture: Architecture) -> bool:
    tied = [one for one, owner in architecture.ties.items() if owner == architecture.embedding]
    return whole_of(path) in (architecture.embedding, *tied, _OF_CTC)
