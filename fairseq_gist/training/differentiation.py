"""The act of differentiation: statistics, plan, surgery, optimizer state carried over."""

from __future__ import annotations

import functools
import logging
from typing import Callable, Dict, Optional

from torch import Tensor, nn

from fairseq_gist.architectures import architecture_of
from fairseq_gist.data.upcoming import UpcomingBatches
from fairseq_gist.errors import OptionError, StorageError
from fairseq_gist.gradients.statistics import GradientStatistics
from fairseq_gist.host import trainer as host
from fairseq_gist.host.optimizer import has_loss_scale
from fairseq_gist.host.protocols import Task, Trainer
from fairseq_gist.nn.routing import Routing
from fairseq_gist.policies import policy_named
from fairseq_gist.policies.situation import Situation
from fairseq_gist.recording.held_out import HeldOut
from fairseq_gist.recording.measuring import measure
from fairseq_gist.recording.watching import units_to_record
from fairseq_gist.recording.window import RecordingWindow
from fairseq_gist.sharing.description import describe_plan
from fairseq_gist.sharing.plan import SharingPlan
from fairseq_gist.surgery.apply import apply_plan
from fairseq_gist.surgery.optimizer import carry_over
from fairseq_gist.surgery.plan_buffer import plan_of, store_plan
from fairseq_gist.surgery.shape import shape_of
from fairseq_gist.surgery.trainable import train_copies
from fairseq_gist.surgery.units import Unit
from fairseq_gist.training.checks import (
    check_budgets,
    check_copies_can_be_trained_alone,
    check_encoder_is_trained,
    check_languages,
    check_not_again,
    check_recorded,
    check_statistics_files,
    check_trained,
    statistics_file,
    units_split_by,
    warn_of_changed_options,
    warn_of_late,
    warn_of_unread_options,
)
from fairseq_gist.training.options import (
    DifferentiationOptions,
    Moment,
    moments,
    policy_at,
    records,
)
from fairseq_gist.training.similarity_log import SimilarityLog

__all__ = ["Differentiation"]

logger = logging.getLogger(__name__)

MOSTLY_NOISE = 0.25
"""Share of gradients that can't be told from noise from which on a user is warned."""


class Differentiation:
    """Follows one training run and differentiates its model at the moments asked for.

    Args:
        options: as given on the command line.
        trainer: fairseq's.
        task: its task.
        routing: of its model.

    Raises:
        OptionError: for options that can't work together, before training begins.
    """

    def __init__(
        self, options: DifferentiationOptions, trainer: Trainer, task: Task, routing: Routing
    ) -> None:
        self.options, self.trainer, self.task, self.routing = options, trainer, task, routing
        self.moments = moments(options)
        self._records = records(options)
        self._policy = policy_named(options.differentiate_by)
        self._log = SimilarityLog()
        self._has_begun = False
        self.window = RecordingWindow(
            trainer,
            routing,
            options.gradient_window,
            options,
            neurons=self._policy.needs_neurons,
        )
        if len(routing.languages) < 2:
            raise OptionError(
                "--differentiate-at: the model has fewer than two languages; it finds them by the "
                "tags in the vocabulary, or by --languages, or where it is the source that differs "
                "by --language-key src"
            )
        if self._trains_copies_only:
            check_copies_can_be_trained_alone(self.moments, self._policy)
        if self._records:
            check_trained(self.model, self._units())
            window = options.gradient_window if options.gradients_from == "train" else 0
            check_encoder_is_trained(self.model, self._units(), self.moments, window)
        for moment in self.moments:
            policy_at(options, moment).check(self._situation(None))
        host.check_trainer(trainer, divides=self._policy.needs_neurons)
        check_budgets(self.model, [policy_at(options, moment) for moment in self.moments])
        if self._records and options.gradients_from != "train":
            held_out = HeldOut.read(task.reader(), options.gradients_from)
            context = host.measuring_context(trainer)
            held_out.check(
                options.gradients_from,
                routing.languages,
                options.gradient_chunks,
                context.max_tokens,
                context.max_sentences,
            )
        check_statistics_files(options.save_gradient_statistics, self.moments)
        warn_of_late(self.moments, trainer.cfg.optimization.max_update)
        warn_of_unread_options(options)
        if not self._records:  # what is wrong with its plan is told now
            plan = self._decide(self.moments[0], None)
            check_trained(self.model, units_split_by(self.model, plan))

    @property
    def model(self) -> nn.Module:
        """The bare model, without fairseq's distributed wrapper."""
        model: nn.Module = self.trainer.get_model()
        return model

    @property
    def _trains_copies_only(self) -> bool:
        return bool(getattr(self.model, "trains_copies_only", False))

    def before_backward(
        self, update_num: int, count_tokens: Callable[[], Tensor], is_dummy: bool
    ) -> None:
        """Prepare to record a batch.

        Args:
            update_num: updates made so far.
            count_tokens: returns the batch's target tokens, `[languages]`.
            is_dummy: whether the batch is there to keep processes in step only.

        Raises:
            OptionError: when a checkpoint has brought the run past its moments without a split.
            DataError: when the training data lack a language whose gradients will be needed.
        """
        if not self._has_begun:
            self._has_begun = True
            self._check_not_missed(update_num)
            self._check_all_are_trained(update_num)
        moment = next((m for m in self.moments if m.update > update_num), None)
        if moment is None or self.options.gradients_from != "train" or not self._records:
            return
        self.window.prepare(self.model, update_num, moment.update)
        if not is_dummy:
            self.window.open(count_tokens)

    def after_backward(self) -> None:
        """Stop recording until the next batch."""
        self.window.close()

    def after_update(self, update_num: int) -> None:
        """Differentiate if ``update_num`` updates, this one included, are one of the moments."""
        moment = next((m for m in self.moments if m.update == update_num), None)
        due = moment is not None and self._records
        statistics = self._gather(update_num) if due else None
        if statistics is not None:
            self._log.update(statistics)
        self._log.write()
        if moment is None:
            return
        if statistics is not None:
            self._warn_of_noise(statistics)
            self._save(statistics, moment)
        if not self._policy.splits:
            name = self._policy.name
            logger.info(f"update {update_num}: statistics recorded; nothing is split by '{name}'")
            return
        before = plan_of(self.model)
        plan = shape_of(self.model).completed(self._decide(moment, statistics), before)
        plan = plan.replaced(update=update_num, history=[] if before is None else before.steps)
        text = host.same_on_all_processes(self.trainer, plan.to_json())
        self._become(SharingPlan.from_json(text))
        table = describe_plan(plan, architecture_of(self.model))
        logger.info(f"update {update_num}: differentiated\n{table}")

    def _decide(self, moment: Moment, statistics: Optional[GradientStatistics]) -> SharingPlan:
        policy = policy_at(self.options, moment)
        return policy.decide(self._situation(statistics))

    def _situation(self, statistics: Optional[GradientStatistics]) -> Situation:
        """Return what a policy decides on: the model as it is now, and its gradients."""
        before = plan_of(self.model)
        shape = shape_of(self.model, self.routing.languages)
        within = None if before is None else shape.completed(before, before)
        return Situation(shape, statistics, within, self.options.units)

    def _gather(self, update_num: int) -> GradientStatistics:
        source = self.options.gradients_from
        if source == "train":
            return self.window.finish(self.model, update_num)
        return measure(
            host.measuring_context(self.trainer),
            self.task,
            source,
            self.options,
            neurons=self._policy.needs_neurons,
            provenance={"update": update_num},
        )

    def _warn_of_noise(self, statistics: GradientStatistics) -> None:
        noise = 1.0 - float(statistics.is_signal().mean())
        if noise > MOSTLY_NOISE:
            advice = (
                "; near the end of training the gradients of training batches mostly are: measure "
                "on held-out data instead (--gradients-from multiway), or record longer "
                "(--gradient-window)"
                if self.options.gradients_from == "train"
                else "; use more data"
            )
            logger.warning(
                f"{noise:.0%} of the gradients (units x languages) can't be told from noise: their "
                f"chunks agree no better than chance, and the plan owes much to it{advice}"
            )

    def _become(self, plan: SharingPlan) -> None:
        before = host.optimizer_state(self.trainer)
        lineage = apply_plan(self.model, plan, self.routing)
        if self._trains_copies_only:
            train_copies(self.model)
        if plan_of(self.model) is None:  # nothing was split, but it was decided so
            store_plan(self.model, plan)
        host.rebuild_optimizer(self.trainer, before, functools.partial(carry_over, lineage))

    def _units(self) -> Dict[str, Unit]:
        return units_to_record(self.model, self.options, self._policy.needs_neurons)

    def _check_all_are_trained(self, update_num: int) -> None:
        """Raise DataError where a split will need a language that training, or its window, lacks.

        Where the optimizer may drop an update, later ones have other batches than is foreseen.
        """
        later = [moment.update for moment in self.moments if moment.update > update_num]
        if not later or not self._records or self.options.gradients_from != "train":
            return
        subset = self.trainer.cfg.dataset.train_subset
        dataset = self.task.dataset(subset)
        check_languages(dataset, subset, self.routing.languages)
        iterator = self.task.dataset_to_epoch_iter.get(dataset)
        upcoming = iterator and UpcomingBatches.of(iterator, self.trainer.cfg)
        if upcoming is None or has_loss_scale(self.trainer.optimizer):
            return
        begun = self.window.is_under_way
        for before, moment in zip([update_num, *later], later):
            if begun:  # what it will have is in the checkpoint, too
                begun = False
                continue
            first = self.window.first_update(before, moment)
            there = upcoming.languages(
                first, moment, now=update_num, epoch=iterator.epoch, consumed=iterator.n
            )
            check_recorded(there, self.routing.languages, subset, (first, moment))

    def _check_not_missed(self, update_num: int) -> None:
        missed = [moment.update for moment in self.moments if moment.update <= update_num]
        splits = self._policy.splits
        plan = plan_of(self.model)
        if missed and splits and (plan is None or plan.is_default):
            raise OptionError(
                f"--differentiate-at {missed[-1]}: the checkpoint, of update {update_num}, was "
                "never split; name a later update, or start from an earlier checkpoint"
            )
        if splits and plan is not None:
            check_not_again(plan, self.moments, update_num)
        if missed and splits:
            warn_of_changed_options(
                self.model, policy_at(self.options, self.moments[len(missed) - 1])
            )

    def _save(self, statistics: GradientStatistics, moment: Moment) -> None:
        path: Optional[str] = self.options.save_gradient_statistics
        if path is None or not host.processes_of(self.trainer).is_first:
            return
        target = statistics_file(path, moment, self.moments)
        try:
            statistics.save(target)
        except (OSError, StorageError) as error:  # days of training are worth more than this file
            logger.warning(f"--save-gradient-statistics {target} wasn't written: {error}")
        else:
            logger.info(f"wrote the gradient statistics to {target}")
