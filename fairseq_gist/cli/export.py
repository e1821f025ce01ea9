"""``fairseq-gist export``."""

from __future__ import annotations

import argparse
import logging
from dataclasses import MISSING, fields, replace
from pathlib import Path
from typing import Any, List, Mapping, Optional, Sequence, Set, Tuple

from fairseq_gist.architectures import Architecture, all_architectures
from fairseq_gist.architectures.base import load
from fairseq_gist.architectures.exporting import Export
from fairseq_gist.cli.architecture_options import (
    add_architecture_options,
    architecture_flags,
    options_of,
)
from fairseq_gist.cli.model_card import score_table, write_card
from fairseq_gist.cli.trust import add_trust_option
from fairseq_gist.errors import CheckpointError, GistError, OptionError
from fairseq_gist.files.outputs import add_force_option
from fairseq_gist.host.checkpoints import check_numbers, model_settings, read_checkpoint
from fairseq_gist.languages.codes import is_code
from fairseq_gist.loading.data_folders import data_folder, refuse_data

__all__ = ["EXAMPLE", "add_arguments", "run"]

EXAMPLE = """example:
  fairseq-gist export checkpoints/checkpoint_best.pt --language de -o german.pt
  fairseq-generate DATA --task speech_to_text --path german.pt ...

The result is a stock s2t_transformer or s2t_conformer with the parameters that the language uses,
which fairseq loads without this plugin. An s2t_transformer can be a folder of transformers instead,
a Speech2TextForConditionalGeneration with its processor:

  fairseq-gist export checkpoints/checkpoint_best.pt --language de --format huggingface -o german

Of a gist_seamless_m4t or gist_whisper it is such a folder always, with the tokenizer and feature
extractor of the folder it was trained from:

  fairseq-gist export checkpoints/checkpoint_best.pt --language aeb -o seamless-aeb"""

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("checkpoint", help="a differentiated checkpoint")
    parser.add_argument("--language", required=True, metavar="XX", help="whose model to write")
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="FILE",
        help="the exported checkpoint, or a new folder for a model of transformers",
    )
    known = dict.fromkeys(form for one in all_architectures().values() for form in one.exporters)
    parser.add_argument(
        "--format",
        choices=list(known),
        help="'fairseq', a checkpoint of the stock model; 'huggingface', a folder that "
        "transformers loads, processor included (default: fairseq for fairseq's models, "
        "huggingface for those of transformers)",
    )
    parser.add_argument(
        "--scores",
        metavar="FILE",
        help="scores that 'fairseq-gist score -o' wrote, for the model's card",
    )
    data = parser.add_argument_group("fairseq's model as a folder of transformers")
    data.add_argument(
        "--data",
        metavar="DIR",
        help="folder with the vocabulary and the data configuration that the model was trained "
        "with (default: what the checkpoint says)",
    )
    data.add_argument(
        "--config-yaml",
        metavar="FILE",
        help="data configuration, in that folder (default: what the checkpoint says)",
    )
    add_architecture_options(parser, "what the checkpoint was trained from")
    add_force_option(parser)
    add_trust_option(parser)


def run(args: argparse.Namespace) -> None:
    """Write the stock model that one language has inside a checkpoint."""
    from fairseq_gist.loading.checkpoint_models import architecture_in, languages_said
    from fairseq_gist.surgery.plan_buffer import plan_in_state
    from fairseq_gist.surgery.state import export_state

    content = read_checkpoint(args.checkpoint, args.trust_checkpoint)
    settings = model_settings(content, args.checkpoint)
    architecture = architecture_in(settings, args.checkpoint)
    options = options_of(architecture, args, settings, args.checkpoint)
    form = _form(architecture, args.format, args.checkpoint)
    unread = [flag for flag in architecture_flags(args) if flag != architecture.inputs_flag]
    if unread:
        raise OptionError(f"{unread[0]}: what is exported can't have it; leave it out")
    scores = score_table(Path(args.scores), args.language) if args.scores else []
    check_numbers(content["model"], args.checkpoint)
    data, config = _data_of(args, architecture, content, settings)
    plan = plan_in_state(content["model"])
    if plan is None:
        known = languages_said(settings) or _tagged(architecture, data, config)
        _check_language(args.language, known, args.checkpoint)
        logger.info(f"{args.checkpoint} was never split: its model is that of every language")
    try:
        state = export_state(content["model"], args.language)
    except CheckpointError as error:
        raise CheckpointError(f"{args.checkpoint}: {error}") from error
    export = Export(
        language=args.language,
        state=state,
        content=content,
        settings=settings,
        options=options,
        output=args.output,
        checkpoint=args.checkpoint,
        added=_added_by_task(),
        data=data,
        config_yaml=config,
        force=args.force,
    )
    export = replace(export, card=write_card(export, form, plan, scores))
    exporter = architecture.exporters[form]
    logger.info(f"{args.output}: the model of '{args.language}', {load(exporter)(export)}")


def _form(architecture: Architecture, form: Optional[str], path: str) -> str:
    """Return the form that was asked for, or the usual one.

    Raises:
        CheckpointError: when the architecture can't be written so, or at all.
    """
    exporters = architecture.exporters
    if not exporters:
        raise CheckpointError(
            f"{path}: a {architecture.model_name} can't be exported; translate with it as it is "
            '(fairseq-generate --user-dir "$(fairseq-gist user-dir)" --task gist_speech_to_text)'
        )
    form = form or next(iter(exporters))
    if form not in exporters:
        raise CheckpointError(
            f"{path}: --format {form}: a {architecture.model_name} can be exported as "
            f"{', '.join(exporters)}"
        )
    return form


def _data_of(
    args: argparse.Namespace, architecture: Architecture, content: Mapping[str, Any], settings: Any
) -> Tuple[Optional[str], str]:
    """Return the folder of data, if it is anywhere, and the name of the configuration in it.

    Raises:
        OptionError: for a folder that the model has no use for.
    """
    if architecture.inputs is not None:
        refuse_data(args.checkpoint, args.data, args.config_yaml)
    config = args.config_yaml or getattr(settings, "config_yaml", None) or "config.yaml"
    try:
        found = data_folder(Path(args.checkpoint), args.data, config, content, settings)
    except OptionError:  # it may not be needed
        return getattr(settings, "data", None), config
    return str(found), config


def _tagged(architecture: Architecture, data: Optional[str], config: str) -> List[str]:
    """Return the languages with tags in a model's vocabulary; none where it isn't at hand."""
    from fairseq_gist.loading.grown_vocabulary import read_vocabulary

    if architecture.inputs is not None or data is None:
        return []
    try:
        return list(read_vocabulary(Path(data), config).tagged)
    except GistError:
        return []


def _check_language(language: str, known: Sequence[str], path: str) -> None:
    """Raise CheckpointError for a language that a model without a plan can't have."""
    if known and language not in known:
        raise CheckpointError(f"{path} has no language '{language}'; it has {', '.join(known)}")
    if not known and not is_code(language):
        raise CheckpointError(
            f"--language: '{language}' is no code of a language; {path} was never split, and "
            "doesn't say which it has"
        )


def _added_by_task() -> Set[str]:
    """Return the options that our task has and stock fairseq's hasn't, nor fairseq-train."""
    from fairseq_gist.tasks.registration import register

    register()
    from fairseq.tasks.speech_to_text import SpeechToTextTask

    from fairseq_gist.tasks.configuration import GistSpeechToTextConfig

    stock = argparse.ArgumentParser(add_help=False)
    SpeechToTextTask.add_args(stock)
    kept = vars(stock.parse_args(["no-data"]))
    return {
        one.name
        for one in fields(GistSpeechToTextConfig)
        if one.name not in kept and not _is_of_fairseq(one)
    }


def _is_of_fairseq(field: Any) -> bool:
    """Return whether an option is one of fairseq-train's own, which the task only reads."""
    return field.default is not MISSING and str(field.default).startswith("${")
