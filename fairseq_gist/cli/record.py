"""``fairseq-gist record``."""

from __future__ import annotations

import argparse
import dataclasses
import logging
from typing import Any, Tuple

from fairseq_gist.cli.architecture_options import add_architecture_options, options_of
from fairseq_gist.cli.dataclass_options import add_options, options_from
from fairseq_gist.cli.trust import add_trust_option
from fairseq_gist.errors import OptionError
from fairseq_gist.files.outputs import STATISTICS, add_force_option, check_output
from fairseq_gist.host.checkpoints import model_settings, read_checkpoint
from fairseq_gist.languages.rows import KEYS_IN_WORDS, LANGUAGE_KEYS
from fairseq_gist.loading.checkpoint_models import architecture_in, model_from
from fairseq_gist.loading.tasks import task_of
from fairseq_gist.recording.metric import METRICS
from fairseq_gist.recording.options import RecordingOptions, recording_problems
from fairseq_gist.tasks.registration import register

__all__ = ["EXAMPLE", "add_arguments", "measuring_context", "opened", "run"]

EXAMPLE = """example:
  fairseq-gist record checkpoints/checkpoint_best.pt DATA --subset multiway -o statistics.npz
  fairseq-gist plan gradient --statistics statistics.npz --size-budget 2.0 -o plan.json

Dropout is off; every language gets one probe a chunk, on the same utterances where the data is
multi-way aligned, or on what is translated alike where languages differ in what is spoken."""

logger = logging.getLogger(__name__)

MINIMUM_CHUNKS = 2
"""Of one there is no telling how noisy it is."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("checkpoint", help="a checkpoint, stock or differentiated")
    parser.add_argument("data", help="folder of the manifests")
    parser.add_argument(
        "--config-yaml", default="config_st.yaml", help="data configuration (default: %(default)s)"
    )
    parser.add_argument(
        "--language-key",
        choices=LANGUAGE_KEYS,
        help=f"what the language of a row is: {KEYS_IN_WORDS} (default: what the checkpoint says, "
        "or tgt)",
    )
    parser.add_argument(
        "--languages",
        metavar="XX,YY",
        help="the model's languages (default: what the checkpoint says, or the vocabulary's tags)",
    )
    parser.add_argument(
        "--subset", default="multiway", help="the held-out data (default: %(default)s)"
    )
    parser.add_argument(
        "--max-tokens", type=int, default=20000, help="frames a batch (default: %(default)s)"
    )
    parser.add_argument(
        "--neurons",
        action="store_true",
        help="record the single neurons of the feed-forward blocks among the units, too, for "
        "'plan gdps'",
    )
    add_options(parser, RecordingOptions)
    parser.add_argument(
        "--metric",
        choices=METRICS,
        default=METRICS[0],
        help="in which metric gradients are compared: 'plain'; 'adam', every product of two "
        "entries divided by the root of their mean square, as Adam divides its steps; 'fisher', "
        "multiplied by that mean square; 'inverse-fisher', divided by it; the mean squares are "
        "those of the checkpoint's optimizer (default: %(default)s)",
    )
    parser.add_argument("--cpu", action="store_true", help="don't use a GPU")
    parser.add_argument(
        "-o", "--output", required=True, metavar="FILE", help="the statistics, an .npz file"
    )
    add_architecture_options(parser, "what the checkpoint was trained from")
    add_force_option(parser)
    add_trust_option(parser)


def run(args: argparse.Namespace) -> None:
    """Measure gradients per language and write the statistics."""
    options = recording_options(args)
    check_output(args.output, kind=STATISTICS, inputs=[args.checkpoint], force=args.force)
    context, task, optimizer = opened(args)
    from fairseq_gist.recording.measuring import measure

    statistics = measure(
        context,
        task,
        args.subset,
        options,
        neurons=args.neurons,
        metric=args.metric,
        optimizer=optimizer,
        provenance={"checkpoint": args.checkpoint},
    )
    statistics.save(args.output)
    logger.info(
        f"{args.output}: {len(statistics.units)} units, {len(statistics.languages)} languages, "
        f"{len(statistics.probe_chunks)} probes"
    )


def recording_options(args: argparse.Namespace) -> RecordingOptions:
    """Return how gradients are recorded; raises OptionError with all that is wrong with it."""
    options = options_from(args, RecordingOptions)
    problems = recording_problems(options, MINIMUM_CHUNKS)
    if problems:
        raise OptionError("; ".join(problems))
    return options


def opened(args: argparse.Namespace) -> Tuple[Any, Any, Any]:
    """Return what measures with the checkpoint's model, its task, and its optimizer's state.

    Raises:
        GistError: when it is no checkpoint, or isn't for the data.
    """
    content = read_checkpoint(args.checkpoint, args.trust_checkpoint)
    register()
    from fairseq_gist.surgery.plan_buffer import plan_in_state

    settings = model_settings(content, args.checkpoint)
    architecture = architecture_in(settings, args.checkpoint)
    own = options_of(architecture, args, settings, args.checkpoint)
    task = task_of(
        args.data,
        args.config_yaml,
        language_key=args.language_key,
        languages=args.languages,
        **({} if own is None else dataclasses.asdict(own)),
    )
    plan = plan_in_state(content["model"])
    if plan is not None and args.metric != METRICS[0]:
        raise OptionError("is for models that share everything; this one is split", "metric")
    task.model_languages.adopt(settings, () if plan is None else plan.languages)
    model = model_from(content, args.checkpoint, task.languages, task)
    return measuring_context(args, model, task), task, content.get("last_optimizer_state")


def measuring_context(args: argparse.Namespace, model: Any, task: Any) -> Any:
    """Return what measures with ``model``, as ``--max-tokens`` and ``--cpu`` say."""
    import torch
    from fairseq.utils import move_to_cuda

    from fairseq_gist.host.context import MeasuringContext

    context = MeasuringContext(model, _criterion(task), max_tokens=args.max_tokens)
    if args.cpu or not torch.cuda.is_available():
        return context
    return dataclasses.replace(context, model=model.cuda(), to_device=move_to_cuda)


def _criterion(task: Any) -> Any:
    from fairseq_gist.criterions.gist_label_smoothed_cross_entropy import (
        GistLabelSmoothedCrossEntropy,
    )

    return GistLabelSmoothedCrossEntropy(
        task, sentence_avg=False, label_smoothing=0.1, ignore_prefix_size=task.prefix_size
    )
