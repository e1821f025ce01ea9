"""All the ways to decide what languages share, one a module; a new module is found by itself."""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass, fields
from types import ModuleType
from typing import Any, Dict, Iterator, List, Mapping, Type, get_type_hints

from fairseq_gist.discovery import brought_to
from fairseq_gist.errors import OptionError
from fairseq_gist.policies.base import Policy
from fairseq_gist.policies.situation import Situation
from fairseq_gist.sharing.plan import SharingPlan

__all__ = [
    "PolicyOption",
    "decide",
    "find_policies",
    "policy_named",
    "policy_options",
    "policy_with",
]


@dataclass(frozen=True)
class PolicyOption:
    """An option that one or more policies have.

    Attributes:
        name: of the field; the flag has hyphens.
        kind: type of its values.
        metadata: of the field, see :func:`fairseq_gist.policies.base.option`.
        defaults: of the policies that read it, by their names.
    """

    name: str
    kind: Type[Any]
    metadata: Mapping[str, Any]
    defaults: Dict[str, Any]

    @property
    def default(self) -> Any:
        """What it is unless given; None where policies differ, each having its own."""
        values = list(self.defaults.values())
        return values[0] if all(value == values[0] for value in values) else None

    @property
    def help(self) -> str:
        """What it is, what is taken where it isn't given, and for which policies."""
        return f"{self.metadata['help']} ({self._default_in_words()})"

    @property
    def readers(self) -> str:
        """The policies that read it, in words."""
        return ", ".join(self.defaults)

    def _default_in_words(self) -> str:
        readers: Dict[str, List[str]] = {}
        for name, value in self.defaults.items():
            readers.setdefault("none" if value is None else str(value), []).append(name)
        return "default: " + "; ".join(
            f"{value}, for {', '.join(names)}" for value, names in readers.items()
        )


def find_policies() -> Dict[str, Type[Policy]]:
    """Return every policy that a module of this package defines or a package brings, by name.

    Raises:
        TypeError: when two have the same name.
    """
    found: Dict[str, Type[Policy]] = {}
    for module in _modules():
        for value in list(vars(module).values()):
            is_own = isinstance(value, type) and value.__module__ == module.__name__
            if not is_own or not issubclass(value, Policy) or "name" not in vars(value):
                continue
            if value.name in found:
                raise TypeError(f"{value} and {found[value.name]} are both called '{value.name}'")
            found[value.name] = value
    return {**found, **brought_to(__name__, "POLICY", Policy, found, _fits)}


def policy_named(name: str) -> Type[Policy]:
    """Return the policy of that name.

    Raises:
        OptionError: when there is none.
    """
    known = find_policies()
    if name not in known:
        raise OptionError(f"expected one of the policies {', '.join(known)}, found '{name}'")
    return known[name]


def policy_options() -> Dict[str, PolicyOption]:
    """Return the options of all the policies, by name.

    Raises:
        TypeError: when two policies have options of one name that aren't the same.
    """
    return _options_of(find_policies())


def _options_of(policies: Mapping[str, Type[Policy]]) -> Dict[str, PolicyOption]:
    found: Dict[str, PolicyOption] = {}
    for name, policy in policies.items():
        kinds = get_type_hints(policy.Options)
        for own in fields(policy.Options):
            option = PolicyOption(own.name, _without_none(kinds[own.name]), own.metadata, {})
            known = found.setdefault(own.name, option)
            if (known.kind, known.metadata["help"]) != (option.kind, option.metadata["help"]):
                raise TypeError(
                    f"option '{own.name}' is another one for '{name}' than for {known.readers}"
                )
            known.defaults[name] = own.default
    return found


def _fits(one: Type[Policy], known: Mapping[str, Type[Policy]]) -> None:
    """Raise TypeError where a policy has an option of a name that is another one for others."""
    _options_of({**known, one.name: one})


def decide(name: str, situation: Situation, **options: Any) -> SharingPlan:
    """Return the plan of the policy ``name``.

    Args:
        name: of the policy.
        situation: to decide in.
        options: of the policy, by the names of its fields.

    Raises:
        OptionError: for an unknown policy, or an option that it doesn't read or that can't be.
        GistError: when it can't be decided, see the policy.
    """
    return policy_with(name, options).decide(situation)


def policy_with(name: str, given: Mapping[str, Any]) -> Policy:
    """Return the policy ``name`` with the options that are given, and its defaults for the others.

    Raises:
        OptionError: for an unknown policy, or an option that it doesn't read or that can't be.
    """
    policy, known = policy_named(name), policy_options()
    for one in given:
        if one not in known:
            raise OptionError(f"no policy has an option '{one}'")
        if name not in known[one].defaults:
            raise OptionError(f"is for {known[one].readers}; policy '{name}' doesn't read it", one)
    return policy.with_options(**given)


def _modules() -> Iterator[ModuleType]:
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda module: module.name):
        yield importlib.import_module(f"{__name__}.{module.name}")


def _without_none(kind: Type[Any]) -> Type[Any]:
    """Return X for Optional[X]."""
    kinds: List[Type[Any]] = [one for one in getattr(kind, "__args__", ()) if one is not type(None)]
    return kinds[0] if kinds else kind
