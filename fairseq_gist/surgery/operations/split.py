"""Giving every group of languages a copy of a unit; the function stays the same.

The first group of those that had one copy keeps its parameters, so whatever refers to them goes on;
the others get exact copies.
"""

from __future__ import annotations

import re
from typing import Dict, List, Mapping, MutableMapping, Optional, Set, Tuple

from torch import Tensor, nn
from torch.nn import Parameter

from fairseq_gist.architectures import architecture_of
from fairseq_gist.errors import CheckpointError
from fairseq_gist.nn.grouped import GroupedModule
from fairseq_gist.nn.leaves import leaf_of
from fairseq_gist.nn.wrapping import copy_unwrapped
from fairseq_gist.surgery.lineage import Lineage
from fairseq_gist.surgery.operations.base import Change, Operation
from fairseq_gist.surgery.workbench import Workbench

__all__ = ["COPY", "OPERATION", "Split"]

COPY = re.compile(r"^(?P<path>.+)\.copies\.(?P<group>\d+)\.(?P<name>[^.]+)$")
"""Entries of a state dict that belong to a group's copy."""


class Split(Operation):
    """Splits one unit, or splits it further.

    Args:
        unit: its name.
        paths: of its modules.
        languages: of the plan.
        group_of: the group of each language, `[languages]`.
        parents: the group so far of each group, `[groups]`.
    """

    name, order = "split", 10

    def __init__(
        self,
        unit: str,
        paths: Tuple[str, ...],
        languages: Tuple[str, ...],
        group_of: Tuple[int, ...],
        parents: Tuple[int, ...],
    ) -> None:
        self.units, self.paths, self.languages = (unit,), paths, languages
        self.group_of, self.parents = group_of, parents

    @classmethod
    def between(cls, change: Change) -> List[Split]:
        """Return a split for every unit that no other operation has taken on, in their order."""
        languages = change.after.languages
        found = []
        for unit in change.after.units:
            if unit not in change.units:
                continue
            before = _group_of(change.groups_before(unit), languages)
            after = change.after.group_of(unit)
            parents = tuple(before[after.index(group)] for group in range(max(after) + 1))
            found.append(cls(unit, change.paths_of(unit), languages, after, parents))
        return found

    def build(self, bench: Workbench) -> None:
        """Build the grouped modules of the unit."""
        tied: Dict[Tuple[int, int], Parameter] = {}
        built: Dict[int, nn.Module] = {}
        for path in self.paths:
            old = bench.module(path)
            if id(old) not in built:  # one module under two names stays one
                copies = self._copies(old, tied, bench.lineage)
                built[id(old)] = self._grouped(copies, path, bench)
            bench.put(path, built[id(old)])

    def _copies(
        self, old: nn.Module, tied: Dict[Tuple[int, int], Parameter], lineage: Lineage
    ) -> List[nn.Module]:
        copies: List[nn.Module] = []
        taken: Set[int] = set()
        for group, parent_group in enumerate(self.parents):
            parent = old.copies[parent_group] if isinstance(old, GroupedModule) else old
            child = copy_unwrapped(parent) if id(parent) in taken else parent
            taken.add(id(parent))
            copies.append(child)
            _tie(parent, child, group, tied, lineage)
        return copies

    def _grouped(self, copies: List[nn.Module], path: str, bench: Workbench) -> nn.Module:
        architecture = architecture_of(bench.model)
        leaf = leaf_of(copies[0])
        kind = GroupedModule if leaf is None or leaf.grouped is None else leaf.grouped
        return kind(
            copies,
            self.group_of,
            bench.routing,
            self.units[0],
            path,
            architecture.batch_dim(path),
            architecture.is_source_reader(path),
            architecture.has_common_input(path),
        )

    def undo(self, bench: Workbench) -> None:
        """Have all languages share the first group's copy."""
        built: Dict[int, nn.Module] = {}
        for path in self.paths:
            grouped = bench.module(path)
            bench.put(path, built.setdefault(id(grouped), grouped.copies[0]))

    def expand(self, state: MutableMapping[str, Tensor], model: nn.Module) -> None:
        """Give every group what its parent has in ``state``, the same tensors."""
        for path in self.paths:
            _expand(state, path, self.parents)

    def extract(self, state: MutableMapping[str, Tensor], language: str) -> None:
        """Keep the copy of the group of ``language``."""
        self._check_copies(state)
        group = self.group_of[self.languages.index(language)]
        for key in list(state):
            match = COPY.match(key)
            if match is None or match.group("path") not in self.paths:
                continue
            tensor = state.pop(key)
            if int(match.group("group")) == group:
                state[f"{match.group('path')}.{match.group('name')}"] = tensor

    def _check_copies(self, state: Mapping[str, Tensor]) -> None:
        """Raise CheckpointError unless every group has a copy of the unit, and all have the same.

        A module that is tied to the unit's may lie in a state dict under one name alone.
        """
        copies: Dict[str, Dict[int, Set[str]]] = {}
        for match in filter(None, map(COPY.match, state)):
            found = copies.setdefault(match.group("path"), {})
            found.setdefault(int(match.group("group")), set()).add(match.group("name"))
        groups = set(self.group_of)
        for path in self.paths:
            there = copies.get(path, {})
            names = set().union(*there.values()) if there else set()
            lacking = sorted(group for group in groups if there.get(group, set()) != names)
            if lacking or (not there and path == self.paths[0]):
                raise CheckpointError(
                    f"the checkpoint's plan splits '{path}' among {len(groups)} groups, and of "
                    f"group {lacking[0] if lacking else 0} it has no whole copy: it is damaged"
                )


OPERATION = Split


def _group_of(groups: Tuple[Tuple[str, ...], ...], languages: Tuple[str, ...]) -> Tuple[int, ...]:
    return tuple(
        next(index for index, group in enumerate(groups) if language in group)
        for language in languages
    )


def _tie(
    parent: nn.Module,
    child: nn.Module,
    group: int,
    tied: Dict[Tuple[int, int], Parameter],
    lineage: Lineage,
) -> None:
    """Note where the child's parameters come from; re-tie those that its unit's modules share."""
    for name, original in parent.named_parameters(recurse=False):
        key = (group, id(original))
        if key in tied:
            setattr(child, name, tied[key])
            continue
        parameter: Optional[Parameter] = getattr(child, name)
        tied[key] = parameter
        if parameter is not original:
            lineage.add(parameter, original)


def _expand(state: MutableMapping[str, Tensor], path: str, parents: Tuple[int, ...]) -> None:
    copies: Dict[Tuple[int, str], str] = {}
    for key in [key for key in state if key.startswith(f"{path}.")]:
        match = COPY.match(key)
        if match and match.group("path") == path:
            copies[int(match.group("group")), match.group("name")] = key
        elif "." not in key[len(path) + 1 :]:
            copies[0, key[len(path) + 1 :]] = key
    if not copies:
        raise CheckpointError(
            f"the checkpoint has no parameters of '{path}', which the plan splits"
        )
    tensors = {where: state.pop(key) for where, key in copies.items()}
    for group, parent in enumerate(parents):
        for (origin, name), tensor in tensors.items():
            if origin == parent:
                state[f"{path}.copies.{group}.{name}"] = tensor
