"""A model under surgery: what is built lies beside it until all of it is there."""

from __future__ import annotations

from typing import Dict, Iterator, Tuple

from torch import nn

from fairseq_gist.architectures import architecture_of
from fairseq_gist.architectures.base import load
from fairseq_gist.nn.grouped import GroupedModule
from fairseq_gist.nn.leaves import leaf_of
from fairseq_gist.nn.routing import Routing
from fairseq_gist.nn.source_once import read_source_once
from fairseq_gist.nn.wrapping import unwrap
from fairseq_gist.surgery.lineage import Lineage
from fairseq_gist.surgery.units import module_at, replace_module

__all__ = ["Workbench", "use_module_calls"]


class Workbench:
    """Takes new modules, and puts them all into the model at the end.

    Attributes:
        model: unchanged until :meth:`finish`.
        routing: of the model.
        lineage: where the parameters of new modules come from.
    """

    def __init__(self, model: nn.Module, routing: Routing) -> None:
        self.model, self.routing, self.lineage = model, routing, Lineage()
        self._built: Dict[str, nn.Module] = {}

    def module(self, path: str) -> nn.Module:
        """Return the module that will be at ``path``."""
        for start, rest in _splits(path):
            if start in self._built:
                built = self._built[start]
                return module_at(built, rest) if rest else built
        return module_at(self.model, path)

    def put(self, path: str, module: nn.Module) -> None:
        """Have ``module`` at ``path`` once this is finished; it may be part of a new one."""
        for start, rest in _splits(path):
            if rest and start in self._built:
                replace_module(self._built[start], rest, module)
                return
        self._built[path] = module

    def finish(self) -> None:
        """Put everything into the model, parameters in the order of those before."""
        for path, module in self._built.items():
            unwrap(module_at(self.model, path))
            for kept in module.modules():
                unwrap(kept)
            replace_module(self.model, path, module)
            use_module_calls(self.model, path)
            for name, below in module.named_modules():
                if isinstance(below, GroupedModule):
                    self.routing.note(f"{path}.{name}" if name else path)
            self._read_source_once(path, module)
        self._built.clear()

    def _read_source_once(self, path: str, module: nn.Module) -> None:
        """Have what reads the encoder's output do so once a source; what is grouped does anyway."""
        architecture = architecture_of(self.model)
        if not architecture.is_source_reader(path):
            return
        for name, below in module.named_modules():
            if leaf_of(below) is not None and "copies" not in name.split("."):
                read_source_once(below, self.routing, architecture.batch_dim(path))


def use_module_calls(model: nn.Module, path: str) -> None:
    """Switch off the shortcuts round the module at ``path`` that read weights past it."""
    bypasses = architecture_of(model).bypasses
    if bypasses is not None:
        load(bypasses)(model, path)


def _splits(path: str) -> Iterator[Tuple[str, str]]:
    """Yield ``path`` cut in two at each of its dots, the longest beginning first."""
    parts = path.split(".")
    for depth in range(len(parts), 0, -1):
        yield ".".join(parts[:depth]), ".".join(parts[depth:])
