"""Names of files that nothing else has."""

from typing import Set

__all__ = ["unused_name"]


def unused_name(name: str, taken: Set[str], number: int = 2) -> str:
    """Return ``name-NUMBER``, or with the next number that makes a new name; it is taken then.

    Args:
        name: that several things have.
        taken: every name that something else has, of those without a number too.
        number: the first to try.
    """
    while f"{name}-{number}" in taken:
        number += 1
    taken.add(f"{name}-{number}")
    return f"{name}-{number}"
