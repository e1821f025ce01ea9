"""How the languages are grouped on one unit."""

from __future__ import annotations

from typing import Any, Iterable, Set, Tuple

from fairseq_gist.errors import PlanError

__all__ = ["Partition", "canonical"]

Partition = Tuple[Tuple[str, ...], ...]
"""Groups of languages: one group is fully shared, one language a group fully language-specific."""


def canonical(unit: str, groups: Any, languages: Tuple[str, ...]) -> Partition:
    """Return the groups sorted inside and among themselves, after checking them.

    Args:
        unit: whose groups they are, for errors.
        groups: of languages, in any order.
        languages: all that there are, each to be in exactly one group.

    Raises:
        PlanError: when they are no groups, or not of these languages.
    """
    if isinstance(groups, str) or not isinstance(groups, Iterable):
        raise PlanError(f"unit '{unit}': expected a list of groups, found {groups!r}")
    known, listed = set(languages), []
    for group in groups:
        if isinstance(group, str) or not isinstance(group, Iterable):
            raise PlanError(f"unit '{unit}': expected a list of languages, found {group!r}")
        listed.append(tuple(sorted(str(language) for language in group)))
    seen: Set[str] = set()
    for language in (language for group in listed for language in group):
        if language not in known:
            raise PlanError(
                f"unit '{unit}': unknown language '{language}'; the plan's languages are "
                f"{', '.join(languages)}"
            )
        if language in seen:
            raise PlanError(f"unit '{unit}': language '{language}' is listed twice")
        seen.add(language)
    missing = [language for language in languages if language not in seen]
    if missing:
        raise PlanError(f"unit '{unit}': no group has language '{missing[0]}'; every one needs it")
    if any(not group for group in listed):
        raise PlanError(f"unit '{unit}': a group is empty")
    return tuple(sorted(listed))
