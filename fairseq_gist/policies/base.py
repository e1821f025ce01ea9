"""What a policy is: a class with a name, options, and a decision.

A policy is one module of this package; front ends, the options of training and the documentation's
tests find it there. ``docs/policies.md`` shows a whole one.
"""

from __future__ import annotations

import abc
from dataclasses import dataclass, field, fields
from typing import Any, Callable, ClassVar, Iterable, Iterator, Mapping, Optional, Tuple

from fairseq_gist.errors import OptionError
from fairseq_gist.policies.situation import Situation
from fairseq_gist.sharing.budget import check_budget
from fairseq_gist.sharing.division import Division
from fairseq_gist.sharing.plan import SharingPlan

__all__ = ["PlanSeed", "Policy", "SizeBudget", "option", "problems", "size_budget_option"]


def option(
    default: Any,
    help: str,  # noqa: A002 - as argparse calls it
    choices: Iterable[str] = (),
    metavar: Optional[str] = None,
    check: Optional[Callable[[Any], object]] = None,
    only_with: Optional[Tuple[str, str]] = None,
) -> Any:
    """Return the field of an option; its name is the option's in every front end.

    Args:
        default: stated here and nowhere else.
        help: for a reader who doesn't know the policy; the front ends add its name and the default.
        choices: all the words that can be given.
        metavar: what stands for the value in the help.
        check: raises OptionError, without the option's name, for a value that can't be.
        only_with: another option of the policy, and the word that it has to have for this one to
            mean anything.
    """
    about = {
        "help": help,
        "choices": tuple(choices),
        "metavar": metavar,
        "check": check,
        "only_with": only_with,
    }
    return field(default=default, metadata=about)


def _is_read(options: Any, own: Any) -> bool:
    """Return whether a field of a dataclass of options means anything beside the others."""
    needed = own.metadata.get("only_with")
    return needed is None or getattr(options, needed[0], needed[1]) == needed[1]


def problems(options: Any) -> Iterator[OptionError]:
    """Yield what is wrong with the values of a dataclass whose fields are made by :func:`option`.

    Fields made otherwise, and those that are None, are left alone.
    """
    for own in fields(options):
        value, choices = getattr(options, own.name), own.metadata.get("choices", ())
        if value is None:
            continue
        if value != own.default and not _is_read(options, own):
            other, word = own.metadata["only_with"]
            yield OptionError(f"is for --{other.replace('_', '-')} {word}", own.name)
        elif choices and value not in choices:
            yield OptionError(f"expected one of {', '.join(choices)}, found '{value}'", own.name)
        elif own.metadata.get("check") is not None:
            try:
                own.metadata["check"](value)
            except OptionError as error:
                message = str(error)
                prefix = str(OptionError("", own.name))
                yield OptionError(message[len(prefix) * message.startswith(prefix) :], own.name)


def size_budget_option(default: Optional[str]) -> Any:
    """Return the field ``size_budget`` with another default than that of :class:`SizeBudget`."""
    return option(
        default,
        "size that the model may have, in multiples of the shared model (2.5) or in parameters "
        "(190.6M)",
        metavar="SIZE",
        check=check_budget,
    )


@dataclass(frozen=True)
class SizeBudget:
    """The option of policies that fill a budget."""

    size_budget: str = size_budget_option("2.0")


@dataclass(frozen=True)
class PlanSeed:
    """The option of policies that leave something to chance."""

    plan_seed: int = option(1, "seed of what the policy leaves to chance", metavar="N")


class Policy(abc.ABC):
    """A way to decide what languages share.

    Attributes:
        name: on the command line.
        summary: what it shares, in half a line.
        needs_statistics: whether it decides from gradients.
        needs_neurons: whether it does so from those of single neurons.
        goes_on: whether it can split a model further that it has split before.
        splits: whether it ever splits anything; training with one that doesn't records gradients
            for people to look at.
        options: as given.

    Raises:
        OptionError: when an option is out of its range.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    needs_statistics: ClassVar[bool] = False
    needs_neurons: ClassVar[bool] = False
    goes_on: ClassVar[bool] = False
    splits: ClassVar[bool] = True

    @dataclass(frozen=True)
    class Options:
        """What a user may choose: a dataclass with a field, made by ``option``, for each."""

    def __init__(self, options: Optional[Any] = None) -> None:
        self.options: Any = self.Options() if options is None else options
        for problem in problems(self.options):
            raise problem

    @classmethod
    def with_options(cls, **given: Any) -> Policy:
        """Return the policy with these options, and its defaults for the others."""
        return cls(cls.Options(**given))

    def check(self, situation: Situation) -> None:  # noqa: B027 - most need nothing
        """Find what can be found before there are gradients.

        Raises:
            OptionError: when the options can't work for a model of this shape.
        """

    @abc.abstractmethod
    def decide(self, situation: Situation) -> SharingPlan:
        """Return the plan, made by :meth:`plan`.

        Raises:
            GistError: when it can't be decided.
        """

    def plan(
        self,
        situation: Situation,
        units: Mapping[str, Iterable[Iterable[str]]],
        facts: Optional[Mapping[str, Any]] = None,
        divisions: Optional[Mapping[str, Division]] = None,
        blocks: Optional[Mapping[str, Mapping[str, Any]]] = None,
        low_rank: Optional[Mapping[str, int]] = None,
    ) -> SharingPlan:
        """Return the plan in which ``units`` are grouped so, and all others as they are so far.

        Args:
            situation: that was decided in.
            units: that were decided on -> their groups of languages.
            facts: to be noted in the provenance, beside name and options.
            divisions: of blocks that weren't divided so far.
            blocks: what was found on blocks, see :class:`~fairseq_gist.sharing.plan.SharingPlan`.
            low_rank: ranks of projections that had no differences so far.

        Raises:
            PlanError: when the plan would join what is separated so far, or is none.
            StatisticsError: when a unit is split whose size isn't known.
        """
        plan = situation.plan(units, divisions, low_rank)
        plan.check_refines(situation.so_far)
        chosen = {
            own.name: getattr(self.options, own.name)
            for own in fields(self.options)
            if getattr(self.options, own.name) is not None and _is_read(self.options, own)
        }
        provenance: Mapping[str, Any] = {"policy": self.name, **chosen, **(facts or {})}
        if self.needs_statistics and situation.statistics is not None:
            provenance = {**provenance, "statistics": dict(situation.statistics.provenance)}
        return plan.replaced(provenance=provenance, blocks=blocks or {})
