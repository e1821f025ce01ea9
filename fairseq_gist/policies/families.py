"""Sharing among relatives: what people do who go by linguistics and not by gradients."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Dict, List, Optional

from fairseq_gist.errors import OptionError
from fairseq_gist.languages.families import families_of
from fairseq_gist.policies.base import Policy, option
from fairseq_gist.policies.situation import Situation
from fairseq_gist.sharing.plan import SharingPlan

__all__ = ["Families", "groups_in"]

_OPTION = "language_groups"


def groups_in(text: str) -> List[List[str]]:
    """Return the groups that ``de+nl,es+fr`` says.

    Raises:
        OptionError: when a group is empty or a language is there twice.
    """
    groups = [group.split("+") for group in text.split(",")]
    named = Counter(language for group in groups for language in group)
    if "" in named:
        raise OptionError(f"expected groups such as de+nl,es+fr+it, found '{text}'", _OPTION)
    twice = [language for language, times in named.items() if times > 1]
    if twice:
        raise OptionError(f"'{twice[0]}' is in two groups", _OPTION)
    return groups


class Families(Policy):
    """Every unit has a copy for each family of languages, or for each of the groups that are given.

    A language that is in none of the groups has one of its own.
    """

    name = "families"
    summary = "split all units among families of languages, or among the groups given"

    @dataclass(frozen=True)
    class Options:
        """Who belongs together."""

        language_groups: Optional[str] = option(
            None,
            "which languages have copies together, such as de+nl,es+fr+it; those that aren't named "
            "have their own; without it, languages of one family",
            metavar="XX+YY,ZZ",
            check=groups_in,
        )

    def check(self, situation: Situation) -> None:
        """Raise OptionError where all languages would be in one group, or one isn't there."""
        self._groups(situation)

    def decide(self, situation: Situation) -> SharingPlan:
        """Return the plan; raises as :meth:`check` does."""
        return self.plan(situation, dict.fromkeys(situation.chosen(), self._groups(situation)))

    def _groups(self, situation: Situation) -> List[List[str]]:
        languages = list(situation.languages)
        if self.options.language_groups is None:
            families = families_of(languages)
            by_family: Dict[str, List[str]] = {}
            for language in languages:
                by_family.setdefault(families.get(language, language), []).append(language)
            groups = list(by_family.values())
        else:
            groups = groups_in(self.options.language_groups)
            named = {language for group in groups for language in group}
            unknown = named - set(languages)
            if unknown:
                raise OptionError(
                    f"expected some of {', '.join(languages)}, found '{min(unknown)}'", _OPTION
                )
            groups += [[language] for language in languages if language not in named]
        if len(groups) == 1:
            raise OptionError(
                f"all of {', '.join(languages)} are in one group, and nothing is split", _OPTION
            )
        return groups
