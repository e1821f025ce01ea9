"""``fairseq-gist prepare``: turn published data into fairseq speech-to-text data."""

from __future__ import annotations

import argparse
import logging
import os
from pathlib import Path
from typing import Any, Mapping

from fairseq_gist.cli.dataclass_options import add_options, options_from
from fairseq_gist.errors import OptionError

__all__ = ["EXAMPLE", "add_arguments", "run"]

logger = logging.getLogger(__name__)

EXAMPLE = """\
example:
  fairseq-gist prepare runs/cldr --vocab-size 600
  fairseq-train runs/cldr/fairseq --config-yaml config_st.yaml --task speech_to_text \\
      --train-subset train --valid-subset dev ...

  fairseq-gist prepare runs/into-english --target en --vocab-size 300
  fairseq-gist prepare cv-corpus-4 --layout covost --languages de,zh-CN
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the subcommand."""
    from fairseq_gist.preparing.options import Options

    parser.add_argument(
        "root",
        type=Path,
        metavar="ROOT",
        help="folder of the data, laid out as --layout says",
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="where the data go (default: ROOT/fairseq)"
    )
    add_options(parser, Options)
    parser.add_argument(
        "--check",
        action="store_true",
        help="only say all that is wrong with the data, a line each, audio included; write nothing",
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=os.cpu_count() or 1,
        help="processes that work at a time (default: every core, %(default)s)",
    )


def run(args: argparse.Namespace) -> int:
    """Prepare the data and say what they are, or what is wrong with them: then 1."""
    if args.workers < 1:
        raise OptionError(f"--workers: expected 1 or more, found {args.workers}")
    from fairseq_gist.preparing.options import Options
    from fairseq_gist.preparing.preparation import check, prepare

    options = options_from(args, Options)
    if args.check:
        problems = check(args.root, options, args.workers)
        for problem in problems:
            print(problem)
        logger.info("%s: %d problems; nothing was written", args.root, len(problems))
        return 1 if problems else 0
    out = args.out or args.root / "fairseq"
    record = prepare(args.root, out, options, args.workers)
    _report_all(record, out)
    has_tags = "target" not in record["options"] or record["options"].get("target_tag", False)
    prefix = " --ignore-prefix-size 1" if has_tags else ""
    logger.info("%s: ready for fairseq-train --config-yaml config_st.yaml%s", out, prefix)
    return 0


def _report_all(record: Mapping[str, Any], out: Path) -> None:
    from fairseq_gist.preparing.preparation import FAULTY

    for split, counts in record["counts"].items():
        _report(split, counts)
    for split, counts in record.get("asr", {}).get("counts", {}).items():
        _report(f"{split}_asr", counts)
    for split, found in record["multiway"].items():
        _report_multiway(split, found)
    for split, languages in record.get("absent", {}).items():
        logger.warning("%s: there is nothing of it in %s", split, ", ".join(languages))
    for split, languages in record.get("untranscribed", {}).items():
        logger.warning(
            "%s: no transcripts in the data of %s, so src_text is empty there",
            split,
            ", ".join(languages),
        )
    for language, found in record.get("ceilings", {}).items():
        _report_ceiling(language, found)
    if not record["multiway_utterances"]:
        logger.warning(
            "multiway: no utterance of %s has all languages", ", ".join(record["multiway"])
        )
    if record.get("faulty"):
        logger.warning(
            "%d problems: what is faulty was left out, see %s", record["faulty"], out / FAULTY
        )


def _report(subset: str, counts: Mapping[str, int]) -> None:
    from fairseq_gist.preparing.tsv import dropped_for

    dropped = ", ".join(dropped_for(counts))
    logger.info("%s: %d rows; dropped: %s", subset, counts["rows"], dropped or "none")


def _report_ceiling(language: str, found: Mapping[str, Any]) -> None:
    why = []
    if found["lacking"]:
        why.append(f"{found['lacking']} have characters that it lacks")
    if found["changed"] > found["lacking"]:
        why.append("one that is trained with --vocab-normalization identity keeps text")
    logger.warning(
        "%s: the vocabulary changes %d of %d references (a perfect translation has chrF %.2f); %s",
        language,
        found["changed"],
        found["lines"],
        found["chrf"],
        "; ".join(why),
    )


def _report_multiway(split: str, found: Mapping[str, Any]) -> None:
    logger.info(
        "multiway: %d utterances of %s in all languages, of %d",
        found["matched"],
        split,
        found["candidates"],
    )
    for language, reasons in found["unmatched"].items():
        logger.info(
            "  not in %s: %s",
            language,
            ", ".join(f"{reason.replace('_', ' ')} {count}" for reason, count in reasons.items()),
        )
