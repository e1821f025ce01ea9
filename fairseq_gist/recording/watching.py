"""Having the modules of units hand on their gradients, as long as that is wanted."""

from __future__ import annotations

from typing import Dict, Iterable

from torch import nn

from fairseq_gist.architectures import architecture_of
from fairseq_gist.nn.grouped import GroupedModule
from fairseq_gist.nn.routing import Routing
from fairseq_gist.nn.watching import watch
from fairseq_gist.nn.wrapping import Handle
from fairseq_gist.recording.options import RecordingOptions
from fairseq_gist.surgery.units import Unit, find_units, module_at, no_units, select_units
from fairseq_gist.surgery.workbench import use_module_calls

__all__ = ["recording", "units_to_record"]


def units_to_record(model: nn.Module, options: RecordingOptions, neurons: bool) -> Dict[str, Unit]:
    """Return the units that ``options`` choose, or the usual ones.

    Args:
        model: whose units they are.
        options: with ``units``, or without.
        neurons: whether the usual ones are the blocks whose neurons are recorded.

    Raises:
        OptionError: when there are none.
    """
    return select_units(find_units(model), options.units, no_units(model), neurons)


def recording(model: nn.Module, units: Iterable[Unit], routing: Routing) -> Handle:
    """Have every module of ``units`` hand its gradients to ``routing.sink`` while there is one.

    Returns:
        What ends it and gives every module its own forward back, for ``with``.

    Raises:
        SurgeryError: when other code has replaced a module's forward; none is watched then.
    """
    handle, architecture = Handle(), architecture_of(model)
    try:
        for unit in units:
            for path in unit.paths:
                module = module_at(model, path)
                use_module_calls(model, path)
                if not isinstance(module, GroupedModule):
                    batch_dim = architecture.batch_dim(path)
                    handle.extend(watch(module, routing, unit.name, path, batch_dim))
    except BaseException:
        handle.remove()
        raise
    return handle
