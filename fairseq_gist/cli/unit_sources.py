"""Where ``fairseq-gist plan`` learns a model's units: statistics, a checkpoint, an architecture."""

from __future__ import annotations

import argparse
import re
from typing import Any, List, NamedTuple, Optional, Sequence

from fairseq_gist.architectures import of_arch, recognise
from fairseq_gist.cli.architecture_options import (
    add_architecture_options,
    architecture_flags,
    options_of,
)
from fairseq_gist.cli.trust import add_trust_option
from fairseq_gist.errors import OptionError
from fairseq_gist.gradients.shape import shape_of_statistics
from fairseq_gist.gradients.statistics import GradientStatistics
from fairseq_gist.languages.codes import same_code
from fairseq_gist.languages.rows import TARGET
from fairseq_gist.sharing.plan import SharingPlan
from fairseq_gist.sharing.shape import ModelShape

__all__ = ["UnitSource", "add_source_arguments", "read_source"]


_NAME = re.compile(r"\S+")


class UnitSource(NamedTuple):
    """What is known of a model.

    Attributes:
        shape: of the model.
        statistics: its gradients, where they were recorded.
        within: the plan that it follows already.
    """

    shape: ModelShape
    statistics: Optional[GradientStatistics] = None
    within: Optional[SharingPlan] = None


def add_source_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the three sources."""
    group = parser.add_argument_group("the model: one of --statistics, --checkpoint and --arch")
    one = group.add_mutually_exclusive_group(required=True)
    one.add_argument("--statistics", metavar="FILE", help="gradient statistics (.npz) of its units")
    one.add_argument(
        "--checkpoint",
        metavar="FILE",
        help="a checkpoint (.pt); a differentiated one brings the plan that the new one refines",
    )
    one.add_argument(
        "--arch",
        metavar="NAME",
        help="an architecture, such as s2t_transformer_m; needs no files, or the folder of a model",
    )
    group.add_argument(
        "--dict-size",
        type=int,
        metavar="N",
        help="symbols in the vocabulary, for --arch of a model that brings none along",
    )
    group.add_argument(
        "--languages",
        metavar="XX,YY",
        help="for --arch, and for a --checkpoint that isn't differentiated",
    )
    add_architecture_options(parser, "none; for --arch")
    add_trust_option(group)


def read_source(args: argparse.Namespace) -> UnitSource:
    """Return the units of the model that the options name.

    Raises:
        OptionError: for options that are missing, or don't go together.
        GistError: when a file can't be read.
    """
    if args.arch is None and args.dict_size is not None:
        raise OptionError("--dict-size is for --arch only; the other sources know it")
    flags = architecture_flags(args) if args.arch is None else []
    if flags:
        raise OptionError(f"{flags[0]} is for --arch only; the other sources need no folder")
    if args.statistics is not None:
        if args.languages is not None:
            raise OptionError("--languages: the statistics are of languages already")
        return _from_statistics(args.statistics)
    languages = None if args.languages is None else _listed(args.languages)
    if args.checkpoint is not None:
        return _from_checkpoint(args.checkpoint, languages, args.trust_checkpoint)
    return _from_arch(args, languages)


def _from_statistics(path: str) -> UnitSource:
    statistics = GradientStatistics.load(path)
    return UnitSource(shape_of_statistics(statistics, recognise(statistics.units)), statistics)


def _from_checkpoint(path: str, languages: Optional[List[str]], trusted: bool) -> UnitSource:
    from fairseq_gist.host.checkpoints import model_settings, read_checkpoint
    from fairseq_gist.loading.checkpoint_models import model_from
    from fairseq_gist.surgery.plan_buffer import plan_in_state

    content = read_checkpoint(path, trusted)
    plan = plan_in_state(content["model"])
    if plan is not None and languages not in (None, list(plan.languages)):
        raise OptionError(
            f"--languages: {path} is differentiated among {', '.join(plan.languages)}; leave the "
            "option out"
        )
    if plan is not None:
        languages = list(plan.languages)
    settings = model_settings(content, path)
    named = getattr(settings, "languages", None)
    by_target = getattr(settings, "language_key", None) in (None, TARGET)
    if languages is None and named and not by_target:
        languages = _listed(named)
    if languages is None:
        raise OptionError(
            f"--languages: {path} isn't differentiated, so it doesn't say its languages; name "
            "them, such as --languages de,es"
        )
    return _from_model(model_from(content, path, languages), languages)


def _from_arch(args: argparse.Namespace, languages: Optional[List[str]]) -> UnitSource:
    from fairseq_gist.loading.arch_models import model_of_arch

    own = of_arch(args.arch)
    needs_size = own is None or own.inputs is None
    if languages is None or (needs_size and args.dict_size is None):
        size = "the size of the vocabulary (--dict-size) and " * needs_size
        raise OptionError(f"--arch needs {size}--languages")
    options = None if own is None else options_of(own, args, None, f"--arch {args.arch}")
    model = model_of_arch(args.arch, args.dict_size, languages, options=options)
    return _from_model(model, languages)


def _from_model(model: Any, languages: Sequence[str]) -> UnitSource:
    from fairseq_gist.surgery.plan_buffer import plan_of
    from fairseq_gist.surgery.shape import shape_of

    plan, shape = plan_of(model), shape_of(model, languages)
    return UnitSource(shape, None, None if plan is None else shape.completed(plan, plan))


def _listed(text: str) -> List[str]:
    languages = [word.strip() for word in text.split(",")]
    if not all(_NAME.fullmatch(one) for one in languages) or len(set(languages)) < len(languages):
        raise OptionError(
            f"--languages: expected names with commas between, each once, found '{text}'"
        )
    for place, one in enumerate(languages):
        same = [other for other in languages[:place] if same_code(one, other)]
        if same:
            raise OptionError(
                f"--languages: '{same[0]}' and '{one}' are one language; name it once"
            )
    if len(languages) < 2:
        raise OptionError(f"--languages: expected two or more, that may share, found '{text}'")
    return sorted(languages)
