"""Low-rank adaptation as people do it by hand (Hu et al., ICLR 2022): the controls of a plan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from fairseq_gist.policies.base import Policy
from fairseq_gist.policies.copies import LowRankCopies, RankOption
from fairseq_gist.policies.situation import Situation
from fairseq_gist.sharing.plan import Partition, SharingPlan

__all__ = ["Lora", "LoraPerLanguage"]


class Lora(Policy):
    """One low-rank difference for all languages to every projection that is decided on.

    With ``--train-only copies`` that is LoRA of the whole model; nothing is decided.

    Attributes:
        is_apart: whether every language has a difference of its own.
    """

    name = "lora"
    summary = "one low-rank difference to every projection, for all languages"
    is_apart: ClassVar[bool] = False

    @dataclass(frozen=True)
    class Options(RankOption):
        """The rank."""

    def check(self, situation: Situation) -> None:
        """Raise OptionError where there is nothing to have differences to."""
        LowRankCopies(situation, self.options.rank).splittable(situation.chosen())

    def decide(self, situation: Situation) -> SharingPlan:
        """Return the plan; see :class:`LowRankCopies` for errors."""
        copies = LowRankCopies(situation, self.options.rank)
        languages = situation.languages
        apart: Partition = tuple((language,) for language in languages)
        groups: Partition = apart if self.is_apart else (languages,)
        chosen = copies.splittable(situation.chosen())
        new = [unit for unit in chosen if unit in situation.shape.projections]
        units, low_rank = copies.parts_of(dict.fromkeys(chosen, groups), new)
        return self.plan(situation, units, low_rank=low_rank)


class LoraPerLanguage(Lora):
    """A low-rank difference for each language to every projection that is decided on."""

    name = "lora-per-language"
    summary = "a low-rank difference to every projection for each language"
    is_apart = True
