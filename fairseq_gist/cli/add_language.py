"""``fairseq-gist add-language``."""

from __future__ import annotations

import argparse
import logging
import math
from typing import Any

from fairseq_gist.cli.dataclass_options import add_options
from fairseq_gist.cli.record import measuring_context, recording_options
from fairseq_gist.cli.trust import add_trust_option
from fairseq_gist.errors import DataError
from fairseq_gist.files.outputs import CHECKPOINT, add_force_option, check_output
from fairseq_gist.host.checkpoints import read_checkpoint, write_checkpoint
from fairseq_gist.recording.options import RecordingOptions

__all__ = ["EXAMPLE", "add_arguments", "run"]

EXAMPLE = """examples:
  fairseq-gist prepare ROOT --out DATA --vocabulary OLD/spm_unigram10000_st --grow-vocabulary
  fairseq-gist add-language checkpoint_best.pt DATA --language uk --own-copies -o with-uk.pt
  fairseq-train DATA --task gist_speech_to_text --finetune-from-model with-uk.pt \\
      --train-only language:uk ...

OLD is the folder of the data that the checkpoint was trained with. The new language begins with
what another one has: --like it or, without that, the one in whose place its gradient is smallest:
least has to change there. The copies of the others stay as they are."""

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("checkpoint", help="a checkpoint, stock or differentiated")
    parser.add_argument(
        "data", help="folder of data whose vocabulary is the model's and has the new language, too"
    )
    parser.add_argument("--language", required=True, metavar="XX", help="the new one")
    parser.add_argument(
        "--like",
        metavar="YY",
        help="the relative that it begins as: with the row of its tag, and its copy of whatever is "
        "split (default: the one in whose place the new one's gradient on --subset is smallest)",
    )
    parser.add_argument(
        "--own-copies",
        action="store_true",
        help="give it copies of its own of --units and of the vocabulary's embedding, so that it "
        "can be trained alone (default: it joins the relative's groups, but where every language "
        "is alone, as with adapters)",
    )
    parser.add_argument(
        "--config-yaml", default="config_st.yaml", help="data configuration (default: %(default)s)"
    )
    parser.add_argument(
        "--data-before",
        metavar="DIR",
        help="folder of the data that the checkpoint was trained with, of which the vocabulary is "
        "read (default: where the checkpoint says, or beside it)",
    )
    parser.add_argument(
        "--subset",
        default="multiway",
        help="data by which the nearest is found, with rows of all languages, the same utterances "
        "where possible (default: %(default)s)",
    )
    parser.add_argument(
        "--max-tokens", type=int, default=20000, help="frames a batch (default: %(default)s)"
    )
    parser.add_argument("--cpu", action="store_true", help="don't use a GPU")
    add_options(parser, RecordingOptions)
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="where to write")
    add_force_option(parser)
    add_trust_option(parser)


def run(args: argparse.Namespace) -> None:
    """Write a checkpoint whose model knows one more language."""
    options = recording_options(args)
    check_output(args.output, kind=CHECKPOINT, inputs=[args.checkpoint], force=args.force)
    content = read_checkpoint(args.checkpoint, args.trust_checkpoint)
    from fairseq_gist.loading.one_more import Learner, Places
    from fairseq_gist.tasks.registration import register

    register()
    places = Places(args.checkpoint, args.data, args.config_yaml, args.data_before)
    learner = Learner(content, places, args.language)
    if args.like is not None:
        learner.check_relative(args.like)
    own = learner.units_to_own(options.units) if args.own_copies else ()
    relative = args.like or _nearest(learner, args, options)
    _, grown = learner.grown(relative, own)
    write_checkpoint(grown, args.output)
    copies = f"copies of its own of {len(own)} units" if own else "no copies of its own"
    count = learner.new_symbols
    new = (
        f"new symbols in the vocabulary, its tag among them: {count}" if count else "no new symbols"
    )
    logger.info(f"{args.output}: '{args.language}' begins as '{relative}', with {copies}; {new}")


def _nearest(learner: Any, args: argparse.Namespace, options: RecordingOptions) -> str:
    """Return the language in whose place the new one's gradient is the smallest.

    Cosines with that language's own gradient wouldn't do: trained on, that is close to noise.
    """
    from fairseq_gist.recording.measuring import measure

    squares = {}
    for relative in learner.languages:
        model, _ = learner.grown(relative)
        context = measuring_context(args, model, learner.task)
        try:
            statistics = measure(context, learner.task, args.subset, options)
        except DataError as error:
            raise DataError(
                f"{error}; name what '{args.language}' begins as with --like, or data by which "
                "that is found"
            ) from error
        whole = statistics.merged({"model": statistics.units}).products(debiased=True)[0]
        place = statistics.languages.index(args.language)
        squares[relative] = float(whole[place, place])
    ordered = sorted(squares, key=lambda relative: squares[relative])
    shown = (f"{relative} {math.sqrt(max(squares[relative], 0.0)):.3f}" for relative in ordered)
    logger.info(
        f"'{args.language}' in the place of each: norm of its gradient on '{args.subset}', noise "
        f"left out: {', '.join(shown)}"
    )
    return ordered[0]
