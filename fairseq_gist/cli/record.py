"""``fairseq-gist record``."""

from __future__ import annotations

import argparse
import logging
from typing import Any, Optional

from fairseq_gist.errors import OptionError
from fairseq_gist.files import check_output
from fairseq_gist.host.checkpoints import model_settings, read_checkpoint
from fairseq_gist.languages.rows import LANGUAGE_KEYS

__all__ = ["EXAMPLE", "add_arguments", "run"]

EXAMPLE = """example:
  fairseq-gist record checkpoints/checkpoint_best.pt DATA --subset multiway -o statistics.npz
  fairseq-gist plan gradient --statistics statistics.npz --size-budget 2.0 -o plan.json

Dropout is off; every language gets one probe a chunk, on the same utterances where the data is
multi-way aligned, or on what is translated alike where languages differ in what is spoken."""

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("checkpoint", help="a checkpoint, stock or differentiated")
    parser.add_argument("data", help="folder of the manifests")
    parser.add_argument(
        "--config-yaml", default="config_st.yaml", help="data configuration (default %(default)s)"
    )
    parser.add_argument(
        "--language-key",
        choices=LANGUAGE_KEYS,
        help="what a row's language is (default: what the checkpoint says, or tgt)",
    )
    parser.add_argument(
        "--languages",
        metavar="XX,YY",
        help="the model's languages (default: what the checkpoint says, or the vocabulary's tags)",
    )
    parser.add_argument(
        "--seamless-path",
        metavar="DIR",
        help="folder of a SeamlessM4T checkpoint's vocabulary and features (default: the one that "
        "it was trained from)",
    )
    parser.add_argument("--subset", default="multiway", help="default %(default)s")
    parser.add_argument("--chunks", type=int, default=8, help="default %(default)s")
    parser.add_argument(
        "--max-tokens", type=int, default=20000, help="frames a batch (default %(default)s)"
    )
    parser.add_argument(
        "--units",
        metavar="REGEX",
        help="module paths (default: the decoder's; with --hidden-units the feed-forward blocks of "
        "the encoder, of a Conformer's two the second)",
    )
    parser.add_argument(
        "--hidden-units",
        action="store_true",
        help="record single hidden units of the feed-forward blocks among the units, too, for "
        "'plan gdps'",
    )
    parser.add_argument(
        "--sketch-dim",
        type=int,
        default=0,
        metavar="N",
        help="keep N numbers of every unit's gradient instead of all (default: all)",
    )
    parser.add_argument(
        "--statistics-device",
        default="cpu",
        metavar="{cpu,model}",
        help="where gradients are kept (default %(default)s)",
    )
    parser.add_argument("--cpu", action="store_true", help="don't use a GPU")
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="where to write")


def run(args: argparse.Namespace) -> None:
    """Measure gradients per language and write the statistics."""
    import torch

    from fairseq_gist.cli.checkpoint_models import model_from
    from fairseq_gist.registration import register
    from fairseq_gist.training.options import storage_problems

    if args.chunks < 2:
        raise OptionError(f"--chunks: at least 2 are needed to see noise, found {args.chunks}")
    problems = storage_problems(args.sketch_dim, args.statistics_device)
    if problems:
        raise OptionError("; ".join(problems))
    check_output(args.output)
    content = read_checkpoint(args.checkpoint)
    register()
    from fairseq import utils

    from fairseq_gist.host.trainer import MeasuringContext
    from fairseq_gist.recording.held_out import measure
    from fairseq_gist.recording.recorder import GradientRecorder
    from fairseq_gist.recording.watching import recording
    from fairseq_gist.surgery.plan_buffer import plan_in_state
    from fairseq_gist.surgery.shape import shape_of
    from fairseq_gist.surgery.units import find_units, no_units, select_units

    settings = model_settings(content, args.checkpoint)
    task = _task(args, args.seamless_path or getattr(settings, "seamless_path", None))
    plan = plan_in_state(content["model"])
    task.model_languages.adopt(settings, () if plan is None else plan.languages)
    task.check_subset(args.subset, args.chunks)
    model = model_from(content, args.checkpoint, task.languages, task)
    use_gpu = torch.cuda.is_available() and not args.cpu
    if use_gpu:
        model = model.cuda()
    units = select_units(find_units(model), args.units, no_units(model), args.hidden_units)
    recorder = GradientRecorder(
        model,
        units,
        task.languages,
        args.chunks,
        1,
        device=args.statistics_device,
        sketch_dim=args.sketch_dim,
        hidden_units=args.hidden_units,
    )
    logger.info(f"measuring gradients per language on '{args.subset}': {recorder}")
    context = MeasuringContext(
        model=model,
        criterion=_criterion(task),
        loss_scale=1.0,
        to_device=utils.move_to_cuda if use_gpu else lambda sample: sample,
        autocast=False,
        max_tokens=args.max_tokens,
        max_sentences=None,
    )
    with recording(model, units.values(), model.routing):
        measure(recorder, context, task, model.routing, args.subset)
    statistics = recorder.statistics(
        shape_of(model).shared_parameters,
        {"gradients_from": args.subset, "checkpoint": args.checkpoint, "chunks": args.chunks},
    )
    statistics.save(args.output)
    logger.info(
        f"{args.output}: {len(units)} units, {len(statistics.languages)} languages, "
        f"{len(statistics.probe_chunks)} probes"
    )


def _task(args: argparse.Namespace, seamless_path: Optional[str]) -> Any:
    from fairseq_gist.tasks.configuration import GistSpeechToTextConfig
    from fairseq_gist.tasks.gist_speech_to_text import GistSpeechToTextTask

    config = GistSpeechToTextConfig(
        data=args.data,
        config_yaml=args.config_yaml,
        seed=1,
        train_subset="train",
        language_key=args.language_key,
        languages=args.languages,
        seamless_path=seamless_path,
    )
    try:
        return GistSpeechToTextTask.setup_task(config)
    except FileNotFoundError as error:
        raise OptionError(f"{args.data}: {error}") from None


def _criterion(task: Any) -> Any:
    from fairseq_gist.criterions.gist_label_smoothed_cross_entropy import (
        GistLabelSmoothedCrossEntropy,
    )

    prefix = 1 if task.data_cfg.prepend_tgt_lang_tag else 0
    return GistLabelSmoothedCrossEntropy(
        task, sentence_avg=False, label_smoothing=0.1, ignore_prefix_size=prefix
    )
