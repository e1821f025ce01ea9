"""``fairseq-gist apply``."""

from __future__ import annotations

import argparse
import logging
from typing import Optional

from fairseq_gist.cli.trust import add_trust_option
from fairseq_gist.errors import OptionError, PlanError
from fairseq_gist.files.outputs import CHECKPOINT, add_force_option, check_output
from fairseq_gist.host.checkpoints import (
    read_checkpoint,
    with_model_settings,
    without_optimizer,
    write_checkpoint,
)
from fairseq_gist.languages.rows import KEYS_IN_WORDS, LANGUAGE_KEYS, PAIR, TARGET
from fairseq_gist.sharing.plan import SharingPlan

__all__ = ["EXAMPLE", "add_arguments", "run"]

EXAMPLE = """example:
  fairseq-gist apply checkpoints/checkpoint_best.pt plan.json -o split.pt
  fairseq-train DATA --task gist_speech_to_text --finetune-from-model split.pt ...

Every group of languages gets its own copy of what it doesn't share; the translations stay the
same. Optimizer state is left out of the result."""

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("checkpoint", help="a checkpoint, stock or differentiated")
    parser.add_argument("plan", help="the sharing plan (JSON)")
    parser.add_argument(
        "--language-key",
        choices=LANGUAGE_KEYS,
        help=f"what the plan means by the language of a row: {KEYS_IN_WORDS} (default: what the "
        "checkpoint says, or tgt)",
    )
    parser.add_argument(
        "-o", "--output", required=True, metavar="FILE", help="the rewritten checkpoint"
    )
    add_force_option(parser)
    add_trust_option(parser)


def run(args: argparse.Namespace) -> None:
    """Rewrite a checkpoint into the model a plan describes."""
    from fairseq_gist.loading.checkpoint_models import gist_settings, model_from
    from fairseq_gist.surgery.adapters import with_adapters
    from fairseq_gist.surgery.apply import apply_plan
    from fairseq_gist.surgery.plan_buffer import plan_in_state
    from fairseq_gist.surgery.units import count_parameters

    inputs = [args.checkpoint, args.plan]
    check_output(args.output, kind=CHECKPOINT, inputs=inputs, force=args.force)
    plan = SharingPlan.load(args.plan)
    content = read_checkpoint(args.checkpoint, args.trust_checkpoint)
    before = plan_in_state(content["model"])
    settings = gist_settings(content, args.checkpoint)
    _check_languages(plan, settings, args.checkpoint)
    key = _key(args.language_key, plan, settings, args.checkpoint)
    languages = plan.languages if before is None else before.languages
    model = model_from(content, args.checkpoint, languages)
    plan = with_adapters(model, plan)
    apply_plan(model, plan, model.routing)
    if key != TARGET:
        settings.language_key = key
    settings.languages = ",".join(plan.languages)  # of which a vocabulary may have more
    result = with_model_settings(without_optimizer(content), settings)
    write_checkpoint({**result, "model": model.state_dict()}, args.output)
    logger.info(f"{args.output}: {count_parameters(model):,} parameters, {plan!r}")


def _key(option: Optional[str], plan: SharingPlan, settings: argparse.Namespace, path: str) -> str:
    """Return what a row's language is.

    Raises:
        OptionError: when the option contradicts the checkpoint, or the plan.
    """
    said = getattr(settings, "language_key", None)
    if option and said and option != said:
        raise OptionError(f"--language-key: the model of {path} has key '{said}', found '{option}'")
    key = str(option or said or TARGET)
    single = [one for one in plan.languages if "-" not in one.strip("-")]
    if key == PAIR and single:
        raise OptionError(
            f"--language-key pair: the plan's languages should be pairs, such as en-de, found "
            f"'{single[0]}'"
        )
    return key


def _check_languages(plan: SharingPlan, settings: argparse.Namespace, path: str) -> None:
    """Raise PlanError where a checkpoint says its languages, and the plan is for others."""
    from fairseq_gist.loading.checkpoint_models import languages_said

    known = languages_said(settings)
    if known and list(plan.languages) != known:
        raise PlanError(
            f"the plan is for languages {', '.join(plan.languages)}, and the model of {path} has "
            f"{', '.join(known)}"
        )
