"""The card of an exported model: what is known of it, and what its owner has to fill in."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import yaml

from fairseq_gist.architectures.base import PREFIX
from fairseq_gist.architectures.exporting import Export
from fairseq_gist.errors import DataError
from fairseq_gist.evaluation.scores_file import read_all_scores
from fairseq_gist.files.signed import signed
from fairseq_gist.languages.codes import readings
from fairseq_gist.languages.rows import PAIR, SOURCE, TARGET
from fairseq_gist.sharing.description import describe_groups
from fairseq_gist.sharing.plan import SharingPlan

__all__ = ["score_table", "write_card"]

_TO_FILL_IN = "**To be filled in:**"
_BEGINNINGS = ("load_pretrained_encoder_from", "whisper_path", "seamless_path")
_IS_OF = {TARGET: "target", SOURCE: "source", PAIR: "source and target"}


def write_card(export: Export, form: str, plan: Optional[SharingPlan], scores: List[str]) -> str:
    """Return the card, in Markdown with the settings that Hugging Face reads in front.

    Args:
        export: the model, on its way out.
        form: that it is written in.
        plan: of the checkpoint; None where it was never split.
        scores: lines of :func:`score_table`; none where no scores were given.
    """
    settings = export.settings
    key = getattr(settings, "language_key", None)
    key = key if isinstance(key, str) and key in _IS_OF else TARGET
    front: Dict[str, Any] = {
        "language": _codes(export.language, key),
        "tags": ["speech-translation", "fairseq-gist"],
    }
    if form == "huggingface":
        front.update(library_name="transformers", pipeline_tag="automatic-speech-recognition")
    facts = [
        ("language", f"{export.language}, of the {_IS_OF[key]}"),
        ("architecture", _plain(str(getattr(settings, "arch", "")))),
        *_facts(export),
    ]
    lines = [
        "---",
        yaml.safe_dump(front, sort_keys=True, allow_unicode=True).rstrip(),
        "# license: to be filled in",
        "---",
        "",
        f"# {Path(export.output).name}",
        "",
        f"A model of speech translation for `{export.language}`, taken by `fairseq-gist export` "
        "out of one of several languages.",
        "",
        "| | |",
        "|---|---|",
        *(f"| {name} | {_cell(value)} |" for name, value in facts if value),
        "",
        "## What it shared",
        "",
        *_sharing(export, plan),
        "",
        "## Scores",
        "",
        *(scores or [f"{_TO_FILL_IN} no scores were given."]),
        "",
        "## Data",
        "",
        f"{_TO_FILL_IN} what it was trained on, whose speech that is, under which licences.",
        "",
        "## Licence",
        "",
        f"{_TO_FILL_IN} the licence of this model, here and as `license:` in front.",
    ]
    return signed("\n".join(lines) + "\n")


def score_table(path: Path, language: str) -> List[str]:
    """Return a table of what a scores file says of a language.

    Raises:
        DataError: when it is no scores file, or has no scores of the language.
    """
    rows = ["| system | subset | metric | score |", "|---|---|---|---:|"]
    for run in read_all_scores(path):
        for scored in run.scores.by_metric.values():
            if language in scored.scores:
                cells = (run.name, run.subset, scored.metric.title)
                score = f"{scored.scores[language]:.2f}"
                rows.append(f"| {' | '.join(map(_cell, cells))} | {score} |")
    if len(rows) == 2:
        raise DataError(f"--scores {path}: expected scores of '{language}', found none")
    return rows


def _facts(export: Export) -> List[Tuple[str, str]]:
    from fairseq_gist.surgery.state import parameters_in_state

    history = export.content.get("optimizer_history")
    last = history[-1] if isinstance(history, list) and history else {}
    updates = last.get("num_updates") if isinstance(last, dict) else None
    named = [getattr(export.settings, name, None) for name in _BEGINNINGS]
    named.append(getattr(export.options, "whisper_path", None))
    named.append(getattr(export.options, "seamless_path", None))
    group = (export.content.get("cfg") or {}).get("checkpoint")
    if isinstance(group, dict):
        named.append(group.get("finetune_from_model"))
    # names, not places: nobody else has these folders
    began = list(dict.fromkeys(Path(str(one)).name for one in named if one))
    return [
        ("parameters", f"{parameters_in_state(export.state):,}"),
        ("trained from", ", ".join(began)),
        ("updates", f"{updates:,}" if isinstance(updates, int) else ""),
        ("checkpoint", Path(export.checkpoint).name),
    ]


def _sharing(export: Export, plan: Optional[SharingPlan]) -> List[str]:
    from fairseq_gist.surgery.state import parameters_in_state

    if plan is None:
        return ["The model was never split: all of its languages share all of it."]
    split = [groups for groups in plan.units.values() if len(groups) > 1]
    total = parameters_in_state(export.content["model"])
    counts = sorted({len(groups) for groups in split})
    words = [
        f"A model of {', '.join(plan.languages)} with {total:,} parameters. {len(split)} of its "
        f"{len(plan.units)} units are split (plan {plan.signature})"
    ]
    if counts:
        words[0] += f", among {' or '.join(map(str, counts))} groups of languages"
    words[0] += "."
    partitions = Counter(map(describe_groups, split))
    most = sorted(partitions.items(), key=lambda one: (-one[1], one[0]))[:5]
    if most:
        words += ["", "| most frequent groups | units |", "|---|---:|"]
        words += [f"| {_cell(said)} | {count} |" for said, count in most]
    return words


def _codes(language: str, key: str) -> List[str]:
    if key != PAIR:
        return [language]
    pairs = [one for one in readings(language) if len(one) == 2]
    return list(pairs[0]) if pairs else [language]


def _plain(arch: str) -> str:
    return arch[len(PREFIX) :] if arch.startswith(PREFIX) else arch


def _cell(value: str) -> str:
    return value.replace("|", "\\|").replace("\n", " ")
