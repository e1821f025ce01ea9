"""fairseq's speech-to-text task for models that differentiate."""

from __future__ import annotations

import contextlib
import copy
import logging
from typing import Any, ContextManager, Dict, Iterator, Optional

from fairseq.dataclass.utils import gen_parser_from_dataclass
from fairseq.logging import metrics
from fairseq.tasks import register_task

import fairseq_gist.criterions.gist_label_smoothed_cross_entropy  # noqa: F401
from fairseq_gist.architectures import all_architectures
from fairseq_gist.data.inference import for_models
from fairseq_gist.data.sampling import temperature_of
from fairseq_gist.errors import OptionError, SurgeryError
from fairseq_gist.host import trainer as host
from fairseq_gist.host.boundary import one_line_errors, show_own_errors_in_one_line
from fairseq_gist.host.checkpoints import allow_own_checkpoints
from fairseq_gist.host.distributed import end_together
from fairseq_gist.host.fairseq_reading import read_checkpoints_as_we_do
from fairseq_gist.host.install import install
from fairseq_gist.host.optimizer import observe, step_was_taken
from fairseq_gist.host.warned import leave_out_hydra_warnings
from fairseq_gist.nn.grouped import fill_idle_gradients
from fairseq_gist.recording.tokens import tokens_per_language
from fairseq_gist.sharing.plan import SharingPlan
from fairseq_gist.surgery.adapters import split_adapters, with_adapters
from fairseq_gist.surgery.apply import apply_plan
from fairseq_gist.surgery.plan_buffer import plan_of
from fairseq_gist.surgery.trainable import (
    COPIES,
    LANGUAGE,
    owned_alone,
    train_copies,
    train_language,
    train_only,
)
from fairseq_gist.surgery.units import count_parameters, count_trained
from fairseq_gist.tasks.configuration import GistSpeechToTextConfig
from fairseq_gist.tasks.loading import LoadingTask
from fairseq_gist.training.checks import check_criterion, warn_of_idle_options
from fairseq_gist.training.differentiation import Differentiation
from fairseq_gist.training.gradient_surgery import GradientSurgery, check_gradient_surgery
from fairseq_gist.training.options import moments

__all__ = ["GistSpeechToTextTask"]

logger = logging.getLogger(__name__)

# part of registering: fairseq-validate reads the checkpoint before it sets up any task, and the
# processes of a run find each other before
allow_own_checkpoints()
read_checkpoints_as_we_do()
end_together()
# and errors and warnings come before that as well
show_own_errors_in_one_line()
leave_out_hydra_warnings()


@register_task("gist_speech_to_text", dataclass=GistSpeechToTextConfig)
class GistSpeechToTextTask(LoadingTask):
    """A drop-in for ``speech_to_text`` whose batches say which language each row is."""

    averages_validation_subsets = True
    """Patience, best checkpoint and learning rate follow the mean over subsets: host/hooks.py."""

    def __init__(self, args: Any, tgt_dict: Any, inputs: Any = None) -> None:
        super().__init__(args, tgt_dict, inputs)
        self._differentiation: Optional[Differentiation] = None
        self._gradient_surgery: Optional[GradientSurgery] = None

    @classmethod
    def add_args(cls, parser: Any) -> None:
        """Add the configuration's options; the stock task's own are among them."""
        gen_parser_from_dataclass(parser, GistSpeechToTextConfig())

    @classmethod
    def setup_task(cls, args: Any, **kwargs: Any) -> GistSpeechToTextTask:
        """Check the options before anything is built or written."""
        with one_line_errors():
            install()
            moments(args)
            if args.homogeneous_batches and args.multiway_batches:
                raise OptionError("--homogeneous-batches and --multiway-batches exclude each other")
            if args.differentiate_at and (args.train_only or "").startswith(LANGUAGE):
                raise OptionError(
                    f"--train-only {args.train_only}: a language is trained alone as it is shared; "
                    "leave out --differentiate-at"
                )
            if args.max_target_tokens is not None and not args.multiway_batches:
                raise OptionError("--max-target-tokens is for --multiway-batches only")
            if args.max_target_tokens is not None and args.max_target_tokens < 1:
                raise OptionError(
                    f"--max-target-tokens: expected 1 or more, found {args.max_target_tokens}"
                )
            temperature_of(args.sampling_temperature, alpha=1.0)
            task: GistSpeechToTextTask = super().setup_task(args, **kwargs)
            if task.data_cfg.prepend_tgt_lang_tag:
                task.model_languages.check_tags()
        return task

    def build_model(self, args: Any, from_checkpoint: bool = False) -> Any:
        """Build the model; one to be trained as ``--sharing-plan`` and ``--train-only`` say."""
        if from_checkpoint and getattr(args, "load_pretrained_encoder_from", None):
            args = copy.copy(args)  # the checkpoint has the encoder; that file may be gone
            args.load_pretrained_encoder_from = None
        with one_line_errors():
            self.check_model(args)
            if from_checkpoint:
                self.model_languages.adopt(args)
            else:
                self.model_languages.note_in(args)
            model = super().build_model(args, from_checkpoint)
            if self.args.multiway_batches:
                self._routing(model)
            if not from_checkpoint:
                self._prepare_for_training(model)
            return model

    def build_criterion(self, args: Any) -> Any:
        """Build the criterion, if it can be had of what this task's batches are."""
        with one_line_errors():
            check_criterion(args, multiway=self.args.multiway_batches)
        return super().build_criterion(args)

    def _prepare_for_training(self, model: Any) -> None:
        if self.args.sharing_plan:
            routing = self._routing(model)
            plan = SharingPlan.load(self.args.sharing_plan)
            apply_plan(model, with_adapters(model, plan), routing)
        elif hasattr(model, "routing"):
            split_adapters(model, model.routing)
        if self.args.train_only == COPIES:
            self._routing(model)
            model.trains_copies_only = True
            train_copies(model)
        elif self._trained_language:
            self._routing(model)
            model.trains_language = self._trained_language
            train_language(model, self._trained_language)
        elif self.args.train_only:
            train_only(model, self.args.train_only)

    def _routing(self, model: Any) -> Any:
        routing = getattr(model, "routing", None)
        if routing is None:
            *names, last = (one.model_name for one in all_architectures().values())
            raise OptionError(
                f"{type(model).__name__} can't be differentiated; use --arch {', '.join(names)} or "
                f"{last}, or one of their sizes"
            )
        return routing

    def trainer_built(self, trainer: Any) -> None:
        """Take notice of the trainer (called by the hook)."""
        self._trainer = trainer
        with one_line_errors():
            host.check_same_plan(trainer, self._plan_signature())
        if self.args.gradient_surgery:
            with one_line_errors():
                routing = self._routing(trainer.get_model())
                processes = host.processes_of(trainer).count
                check_gradient_surgery(self.args, processes, routing)
                self._gradient_surgery = GradientSurgery(
                    self.args.gradient_surgery, routing, self.args.seed
                )
        if self.args.differentiate_at:
            with one_line_errors():
                host.check_distributed(trainer)
                self._differentiation = Differentiation(
                    self.args, trainer, self, self._routing(trainer.get_model())
                )
        else:
            warn_of_idle_options(self.args)

    def _plan_signature(self) -> str:
        plan = plan_of(self._trainer.get_model())
        return "none" if plan is None else plan.signature

    def _check_trainer_is_known(self) -> None:
        if self.args.differentiate_at:
            raise SurgeryError(
                "--differentiate-at: no trainer has made itself known to the task; other code has "
                "replaced fairseq.trainer.Trainer.__init__, or trains without this class"
            )

    def optimizer_built(self, optimizer: Any) -> None:
        """Follow an optimizer that the trainer has built (called by the hook)."""
        model = self._trainer.get_model()
        plan = plan_of(model)
        with one_line_errors():
            host.check_same_plan(self._trainer, self._plan_signature())
            if plan is not None and not plan.is_shared:
                host.check_distributed(self._trainer)
        if self.args.train_only == COPIES and plan is None and not self.args.differentiate_at:
            with one_line_errors():
                raise OptionError(
                    f"--train-only {COPIES}: the model has none; add --sharing-plan or "
                    "--differentiate-at, or start from a differentiated checkpoint"
                )
        if (
            self._trained_language
            and next(owned_alone(model, self._trained_language), None) is None
        ):
            with one_line_errors():
                raise OptionError(
                    f"--train-only {self.args.train_only}: the language owns nothing by itself; "
                    "start from a checkpoint of 'fairseq-gist add-language --own-copies', or add "
                    "--sharing-plan"
                )
        if self.args.train_only:
            logger.info(
                f"--train-only {self.args.train_only}: {count_trained(model):,} of "
                f"{count_parameters(model):,} parameters are trained"
            )
        followed = self._differentiation
        observe(optimizer, self._gradient_surgery if followed is None else followed.window)

    def checkpoint_begins(self) -> None:
        """Get ready for a checkpoint (called by the hook, in every process)."""
        if self._differentiation is not None:
            self._differentiation.window.gather()

    def train_step(
        self,
        sample: Dict[str, Any],
        model: Any,
        criterion: Any,
        optimizer: Any,
        update_num: int,
        ignore_grad: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Run forward and backward, gradients recorded where that is due."""
        sample = for_models(sample, [model])
        with self._followed(sample, criterion, update_num, ignore_grad):
            return super().train_step(
                sample, model, criterion, optimizer, update_num, ignore_grad, **kwargs
            )

    def _followed(
        self, sample: Dict[str, Any], criterion: Any, update_num: int, ignore_grad: bool
    ) -> ContextManager[None]:
        """Return what goes on around a forward and backward: surgery, recording, or nothing."""
        if self._gradient_surgery is not None:
            return self._operated(self._gradient_surgery, update_num, ignore_grad)
        if self._differentiation is not None:
            return self._recorded(self._differentiation, sample, criterion, update_num, ignore_grad)
        with one_line_errors():
            self._check_trainer_is_known()
        return contextlib.nullcontext()

    @contextlib.contextmanager
    def _operated(
        self, surgery: GradientSurgery, update_num: int, ignore_grad: bool
    ) -> Iterator[None]:
        with surgery.of_batch(self._trainer.get_model(), update_num, ignore_grad):
            yield
        if surgery.conflicts is not None:
            metrics.log_scalar("conflicts", surgery.conflicts, weight=1, round=3)

    @contextlib.contextmanager
    def _recorded(
        self,
        differentiation: Differentiation,
        sample: Dict[str, Any],
        criterion: Any,
        update_num: int,
        ignore_grad: bool,
    ) -> Iterator[None]:
        routing = differentiation.routing
        with one_line_errors():
            differentiation.before_backward(
                update_num,
                lambda: tokens_per_language(sample, self, criterion, routing),
                ignore_grad,
            )
        try:
            yield
        except Exception as error:
            if not isinstance(error, RuntimeError):
                # the trainer writes a checkpoint now, in this process alone
                differentiation.window.abandon()
            raise
        finally:
            differentiation.after_backward()

    def valid_step(self, sample: Dict[str, Any], model: Any, criterion: Any) -> Any:
        """Return the loss of a validation batch."""
        return super().valid_step(for_models(sample, [model]), model, criterion)

    def optimizer_step(self, optimizer: Any, model: Any, update_num: int) -> None:
        """Take a step, and differentiate after it if this is the moment."""
        fill_idle_gradients(model)
        super().optimizer_step(optimizer, model, update_num)
        if self._differentiation is not None and step_was_taken(optimizer):
            with one_line_errors():
                self._differentiation.after_update(update_num + 1)
