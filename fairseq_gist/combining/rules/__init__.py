"""Rules that put the gradients of the languages together, one a file of this package.

A file has a class ``RULE``, a :class:`~fairseq_gist.combining.rules.base.Rule`.
"""

from __future__ import annotations

from typing import Dict, Type

from fairseq_gist.combining.rules.base import Rule
from fairseq_gist.discovery import found_in
from fairseq_gist.errors import OptionError

__all__ = ["Rule", "all_rules", "rule_named"]


def all_rules() -> Dict[str, Type[Rule]]:
    """Return the rules by their names."""
    return {rule.name: rule for rule in found_in(__name__, "RULE", Rule).values()}


def rule_named(name: str) -> Type[Rule]:
    """Return the rule of that name.

    Raises:
        OptionError: when there is none.
    """
    known = all_rules()
    if name not in known:
        raise OptionError(f"--gradient-surgery: expected {', '.join(known)}, found '{name}'")
    return known[name]
