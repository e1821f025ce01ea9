"""What can be said against a differentiation before training begins."""

from __future__ import annotations

import logging
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Collection, Dict, List, Mapping, Optional, Sequence, Tuple, Type

from torch import nn

from fairseq_gist.errors import DataError, OptionError
from fairseq_gist.files.outputs import STATISTICS, check_output
from fairseq_gist.policies import policy_options
from fairseq_gist.policies.base import Policy
from fairseq_gist.recording.options import RecordingOptions
from fairseq_gist.sharing.budget import parse_budget
from fairseq_gist.sharing.plan import SharingPlan
from fairseq_gist.surgery.plan_buffer import plan_of
from fairseq_gist.surgery.shape import shape_of
from fairseq_gist.surgery.units import Unit, count_parameters, find_units, module_at
from fairseq_gist.training.options import DifferentiationOptions, Moment, records

__all__ = [
    "check_budgets",
    "check_copies_can_be_trained_alone",
    "check_criterion",
    "check_encoder_is_trained",
    "check_languages",
    "check_not_again",
    "check_recorded",
    "check_statistics_files",
    "check_trained",
    "statistics_file",
    "units_split_by",
    "warn_of_changed_options",
    "warn_of_idle_options",
    "warn_of_late",
    "warn_of_unread_options",
]

logger = logging.getLogger(__name__)


def check_criterion(options: Any, *, multiway: bool) -> None:
    """Raise OptionError for a criterion that would end the first update in a traceback.

    Args:
        options: the criterion's.
        multiway: whether a batch is utterances with all their translations.
    """
    name = str(getattr(options, "_name", None))
    if not name.endswith("_with_rdrop"):
        return
    if multiway:
        raise OptionError(
            f"--criterion {name} passes every row twice and can't with --multiway-batches, where "
            "rows share one encoding; leave one of the two out"
        )
    prefix = getattr(options, "ignore_prefix_size", 0)
    if prefix and getattr(options, "rdrop_alpha", 0) > 0:
        raise OptionError(
            f"--criterion {name}: fairseq's own compares the tokens that --ignore-prefix-size "
            f"{prefix} leaves out with those that it keeps; it works for targets without a "
            "language tag (--language-key src) and --ignore-prefix-size 0 only"
        )


def check_trained(model: nn.Module, units: Mapping[str, Unit]) -> None:
    """Raise OptionError where one of ``units`` is frozen: it has no gradients."""
    frozen = [name for name, unit in units.items() if _is_frozen(model, unit)]
    if frozen:
        raise OptionError(
            f"--differentiate-at: '{frozen[0]}' is frozen (--train-only) and has no gradients, "
            f"as {len(frozen)} of {len(units)} units; choose units that are trained (--units)"
        )


def check_copies_can_be_trained_alone(moments: Sequence[Moment], policy: Type[Policy]) -> None:
    """Raise OptionError where ``--train-only copies`` leaves nothing to train, or to record."""
    if not policy.splits:
        raise OptionError(f"--train-only copies: policy '{policy.name}' makes none")
    if len(moments) > 1 and policy.needs_statistics:
        raise OptionError(
            f"--train-only copies: after the split at {moments[0].update} all else is frozen and "
            f"has no gradients to decide by at {moments[1].update}; name one update"
        )


def check_encoder_is_trained(
    model: nn.Module, units: Mapping[str, Unit], moments: Sequence[Moment], window: int
) -> None:
    """Raise OptionError where the encoder is still frozen while its gradients are recorded.

    Args:
        model: whose encoder may have ``encoder_freezing_updates``.
        units: that are recorded.
        moments: of differentiation.
        window: updates before each from which gradients are taken; 0 where they are measured then.
    """
    frozen = int(getattr(getattr(model, "encoder", None), "encoder_freezing_updates", 0) or 0)
    own = [name for name, unit in units.items() if unit.paths[0].startswith("encoder.")]
    early = [moment.update for moment in moments if max(0, moment.update - window) < frozen]
    if own and early:
        raise OptionError(
            f"--differentiate-at {early[0]}: --encoder-freezing-updates {frozen} keeps the encoder "
            f"without gradients until update {frozen}, and gradients of {len(own)} of its units "
            f"are recorded from update {max(0, early[0] - window)} on, '{own[0]}' the first; "
            "differentiate later, or choose units of the decoder (--units)"
        )


def check_languages(dataset: Any, subset: str, languages: Sequence[str]) -> None:
    """Raise DataError where ``dataset`` has no row of one of the model's languages."""
    there = {languages[index] for index in dataset.language_indices}
    missing = [language for language in languages if language not in there]
    if missing:
        raise DataError(
            f"--differentiate-at: subset '{subset}' has no row of {', '.join(missing)}, and "
            "nothing can be decided without gradients of every language of the model; give it "
            "data, or leave the language out (--languages, or the vocabulary's tags)"
        )


def check_recorded(
    there: Collection[int], languages: Sequence[str], subset: str, updates: Tuple[int, int]
) -> None:
    """Raise DataError where the updates whose gradients will be recorded lack a language.

    Args:
        there: indices of the languages that their batches will have.
        languages: of the model.
        subset: of the training data.
        updates: the first and the last of them.
    """
    missing = [name for index, name in enumerate(languages) if index not in there]
    if missing:
        first, last = updates
        raise DataError(
            f"--differentiate-at {last}: subset '{subset}' has too few rows of "
            f"{', '.join(missing)}: none will be in a batch of updates {first} to {last}, whose "
            "gradients are recorded; make --gradient-window longer, sample these languages more "
            "often (--sampling-temperature), differentiate at another update, or measure on "
            "held-out data (--gradients-from)"
        )


def warn_of_idle_options(options: DifferentiationOptions) -> None:
    """Say which options of differentiation do nothing, as none was asked for."""
    given = _given(options, [field.name for field in fields(DifferentiationOptions)])
    if given:
        logger.warning(f"without --differentiate-at {', '.join(given)} does nothing")


def warn_of_unread_options(options: DifferentiationOptions) -> None:
    """Say which options do nothing, as the policy that decides doesn't read them."""
    by = options.differentiate_by
    unread = [name for name, option in policy_options().items() if by not in option.defaults]
    if not records(options):
        unread += _OF_GRADIENTS
    given = _given(options, unread)
    if given:
        logger.warning(f"{', '.join(given)} does nothing: policy '{by}' doesn't read it")


_OF_GRADIENTS = (
    *(field.name for field in fields(RecordingOptions) if field.name != "units"),
    "gradients_from",
    "gradient_window",
    "save_gradient_statistics",
)


def _given(options: DifferentiationOptions, names: Sequence[str]) -> List[str]:
    """Return the flags, of these, that differ from their defaults: others can't be told apart."""
    defaults = {field.name: field.default for field in fields(DifferentiationOptions)}
    return [
        "--" + name.replace("_", "-")
        for name in names
        if name not in ("differentiate_at", "sharing_plan")
        and getattr(options, name, defaults[name]) != defaults[name]
    ]


def warn_of_changed_options(model: nn.Module, policy: Policy) -> None:
    """Say which options of the policy are others than those by which the model was split."""
    plan = plan_of(model)
    if plan is None or plan.provenance.get("policy") != policy.name:
        return
    made = plan.provenance
    for name, value in asdict(policy.options).items():
        if name in made and made[name] != value:
            logger.warning(
                f"--{name.replace('_', '-')} {value} does nothing: the model was split by "
                f"{made[name]}, before this checkpoint was written"
            )


def _is_frozen(model: nn.Module, unit: Unit) -> bool:
    modules = [module_at(model, path) for path in unit.paths]
    return not all(p.requires_grad for module in modules for p in module.parameters())


def units_split_by(model: nn.Module, plan: SharingPlan) -> Dict[str, Unit]:
    """Return the units of ``model`` that ``plan`` splits, or splits further."""
    before = plan_of(model)
    now = {} if before is None else before.units
    one = (plan.languages,)
    return {
        name: unit
        for name, unit in find_units(model).items()
        if plan.units.get(name, one) not in (one, now.get(name, one))
    }


def check_budgets(model: nn.Module, policies: Sequence[Policy]) -> None:
    """Check the sizes that a model may have, one after the other.

    Args:
        model: as it begins.
        policies: one for each differentiation; those without a budget don't matter.

    Raises:
        OptionError: when the model is larger than the first already, or they fall.
    """
    found = [getattr(policy.options, "size_budget", None) for policy in policies]
    budgets = [budget for budget in found if budget is not None]
    if not budgets:
        return
    shared = shape_of(model).shared_parameters
    limits = [parse_budget(budget, shared) for budget in budgets]
    size = count_parameters(model)
    if size > limits[0]:
        raise OptionError(
            f"--size-budget: {budgets[0]} is {limits[0]:,} parameters, but by --sharing-plan or "
            f"--adapter-dim the model has {size:,} already; a differentiation can only split "
            "further"
        )
    if limits != sorted(limits):
        raise OptionError(
            f"--size-budget: {', '.join(budgets)} falls, but a later differentiation can only "
            "split further"
        )


def statistics_file(path: str, moment: Moment, moments: Sequence[Moment]) -> Path:
    """Return where the statistics of a moment are saved: a file each where there are several."""
    file = Path(path)
    return file.with_name(f"{file.stem}-{moment.update}{file.suffix}") if len(moments) > 1 else file


def check_statistics_files(path: Optional[str], moments: Sequence[Moment]) -> None:
    """Make the folder of the files in which statistics will be saved.

    Raises:
        OptionError: when there can be no such file, or something else has its name.
    """
    if path is None:
        return
    option = "--save-gradient-statistics"
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OptionError(f"{option} {path}: {error}") from None
    for moment in moments:
        file = statistics_file(path, moment, moments)
        check_output(file, option, kind=STATISTICS, force=None)


def check_not_again(plan: SharingPlan, moments: Sequence[Moment], update_num: int) -> None:
    """Refuse to differentiate after an update after which the model was differentiated before.

    That is what a run with the same options comes to whose updates count anew. A model that is
    differentiated after another update may be meant to be split further, which is said.

    Args:
        plan: that the model follows.
        moments: of the run.
        update_num: updates it has made.

    Raises:
        OptionError: for one of these moments.
    """
    before = [step.update for step in plan.steps if step.update > update_num]
    later = [moment.update for moment in moments if moment.update > update_num]
    if not before or not later:
        return
    anew = (
        f"the checkpoint's model was differentiated after update {before[-1]} already (plan "
        f"{plan.signature}), and updates count anew from {update_num}, as with --reset-optimizer, "
        "--finetune-from-model, or a checkpoint without optimizer state"
    )
    again = sorted(set(before) & set(later))
    if again:
        raise OptionError(
            f"--differentiate-at {again[0]}: {anew}; leave the option out to train the model on, "
            "or name another update to split it further"
        )
    logger.warning(f"--differentiate-at {later[0]}: {anew}. It will be split further then")


def warn_of_late(moments: Sequence[Moment], last: Optional[int]) -> None:
    """Warn of differentiations that are after the last update."""
    late = [moment.update for moment in moments if last and moment.update > last]
    if late:
        logger.warning(
            f"--differentiate-at {late[0]} is after the last update (--max-update {last}): "
            "the model will not be split then"
        )
