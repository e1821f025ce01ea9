"""The one place where the forward of a module is replaced.

A module may have several wrappers, each of a kind. They lie in a fixed order whatever order they
came in, and each can be taken off again; a module without any is as it was. Names, parameters and
class of the module stay the same, so checkpoints and every other user of it see nothing.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import operator
import types
from typing import Any, Callable, ClassVar, Iterable, Iterator, List, Optional, Type, TypeVar

from torch import nn

from fairseq_gist.errors import SurgeryError

__all__ = [
    "Forward",
    "Handle",
    "Wrapper",
    "copy_unwrapped",
    "replaced_by_others",
    "unwrap",
    "wrap",
    "wrapper_of",
]

Forward = Callable[..., Any]
_Kind = TypeVar("_Kind", bound="Wrapper")

_STATE = "gist_wrapping"


class Wrapper:
    """Something that is done round the forward of a module.

    Attributes:
        level: where it lies among the other wrappers of a module, 0 inside all of them.
    """

    level: ClassVar[int]

    def around(self, module: nn.Module, forward: Forward) -> Forward:
        """Return what is called in the place of ``forward``, that of ``module`` so far.

        It has to survive a deep copy of the module: a ``functools.partial`` of a function of a file
        does, a function inside a function would go on with the module it was made for.
        """
        raise NotImplementedError


class _Wrapping:
    """What was put round one module.

    Attributes:
        beneath: a forward that other code had put in before; None for that of the class.
        wrappers: those there are, the innermost first.
        forward: what they make together.
    """

    def __init__(self, beneath: Optional[Forward]) -> None:
        self.beneath = beneath
        self.wrappers: List[Wrapper] = []
        self.forward: Optional[Forward] = beneath


class Handle:
    """Takes wrappers off again, at the end of a ``with`` or when told to."""

    def __init__(self, wrapped: Iterable[Any] = ()) -> None:
        self._wrapped = list(wrapped)

    def remove(self) -> None:
        """Take them off; those that are gone already are no matter."""
        for module, wrapper in self._wrapped:
            _take_off(module, functools.partial(operator.is_, wrapper))
        self._wrapped.clear()

    def extend(self, other: Handle) -> None:
        """Take off what ``other`` would, too."""
        self._wrapped += other._wrapped

    def __enter__(self) -> Handle:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()


def wrap(module: nn.Module, wrapper: Wrapper) -> Handle:
    """Put ``wrapper`` round ``module``, in the place of one of the same class."""
    state = _state_of(module)
    if state is None:
        state = _Wrapping(vars(module).get("forward"))
        vars(module)[_STATE] = state
    others = [one for one in state.wrappers if type(one) is not type(wrapper)]
    state.wrappers = sorted([*others, wrapper], key=lambda one: one.level)
    _compose(module, state)
    return Handle([(module, wrapper)])


def unwrap(module: nn.Module, kind: Type[Wrapper] = Wrapper) -> None:
    """Take the wrappers of ``kind``, default all of them, off ``module``."""
    _take_off(module, lambda one: isinstance(one, kind))


def wrapper_of(module: nn.Module, kind: Type[_Kind]) -> Optional[_Kind]:
    """Return the wrapper of that class which ``module`` has, None where it has none."""
    state = vars(module).get(_STATE)
    found = [] if state is None else [one for one in state.wrappers if type(one) is kind]
    return found[0] if found else None


def replaced_by_others(module: nn.Module) -> Optional[Forward]:
    """Return the forward that code from elsewhere has given to this very module, if any has."""
    state = _state_of(module)
    return vars(module).get("forward") if state is None else state.beneath


def copy_unwrapped(module: nn.Module) -> Any:
    """Return a deep copy of ``module`` without wrappers."""
    with _bare(module):
        return copy.deepcopy(module)


@contextlib.contextmanager
def _bare(module: nn.Module) -> Iterator[None]:
    """Have ``module`` as it is without wrappers, inside the block."""
    state = _state_of(module)
    if state is None:
        yield
        return
    kept = dict(vars(module))
    del vars(module)[_STATE], vars(module)["forward"]
    if state.beneath is not None:
        vars(module)["forward"] = state.beneath
    try:
        yield
    finally:
        vars(module).update(kept)


def _state_of(module: nn.Module) -> Optional[_Wrapping]:
    """Return what was put round ``module``; None also where other code has gone over it since."""
    state: Optional[_Wrapping] = vars(module).get(_STATE)
    if state is not None and vars(module).get("forward") is not state.forward:
        return None
    return state


def _take_off(module: nn.Module, goes: Callable[[Wrapper], bool]) -> None:
    found = vars(module).get(_STATE)
    if found is None or not any(map(goes, found.wrappers)):
        return
    state = _state_of(module)
    if state is None:
        raise SurgeryError(
            f"the forward of {type(module).__name__} was replaced by "
            f"{vars(module).get('forward')!r} since, so what lies beneath can't be taken away"
        )
    state.wrappers = [one for one in state.wrappers if not goes(one)]
    _compose(module, state)


def _compose(module: nn.Module, state: _Wrapping) -> None:
    vars(module).pop("forward", None)
    forward = state.beneath or types.MethodType(type(module).forward, module)
    for wrapper in state.wrappers:
        forward = wrapper.around(module, forward)
    if not state.wrappers:
        del vars(module)[_STATE]
        if state.beneath is not None:
            vars(module)["forward"] = state.beneath
        return
    state.forward = vars(module)["forward"] = forward
