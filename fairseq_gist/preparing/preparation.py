"""From the MuST-C layout to stock fairseq ``speech_to_text`` data.

What it writes is described in ``docs/data.md``. Audio that the languages share is stored once;
all rows of an utterance name the same place in the zip, and that is how they are recognised.
"""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Tuple

from fairseq_gist import __version__
from fairseq_gist.errors import DataError
from fairseq_gist.files import replacing
from fairseq_gist.preparing.ceiling import ceilings
from fairseq_gist.preparing.configuration import follow_move, write_configuration
from fairseq_gist.preparing.growing import grow_vocabulary
from fairseq_gist.preparing.inputs import fingerprint, tagged, understand
from fairseq_gist.preparing.making import Making
from fairseq_gist.preparing.options import UNSAID, Options
from fairseq_gist.preparing.survey import TRAIN, Survey, summary
from fairseq_gist.preparing.talk_features import (
    ZIPS,
    Span,
    Talk,
    check_audio,
    compute_features,
    write_zip,
)
from fairseq_gist.preparing.tsv import (
    ASR,
    TOO_LONG,
    TOO_SHORT,
    Dropped,
    Places,
    TsvWriter,
    target_texts,
    texts_by_language,
)
from fairseq_gist.preparing.vocabulary import Vocabulary, train_vocabulary

__all__ = ["FAULTY", "check", "prepare"]

logger = logging.getLogger(__name__)

_RECORD = "prepare.json"
FAULTY = "faulty.txt"
"""What was left out with ``--skip-bad``, a line each."""

_WRITES = (*ZIPS.values(), "*.tsv", "config_*.yaml", "spm_*", FAULTY)


def prepare(root: Path, out: Path, options: Options, workers: int) -> Dict[str, Any]:
    """Write fairseq data into ``out``, or finish them; gives what ``prepare.json`` says.

    Raises :class:`DataError` where the data are not as they should be, or ``out`` holds others.
    """
    layout, options, vocabulary = understand(root, options)
    if ":" in str(out.resolve()):
        raise DataError(f"{out.resolve()}: fairseq cannot read audio below a path with a colon")
    inputs = fingerprint(layout, options, vocabulary)
    make = Making(out, _RECORD, "prepared", "choose another --out or remove it", _WRITES)
    record = _finished(make, options, inputs)
    if record is not None:
        logger.info("%s: already prepared, nothing to do", out)
        return record
    survey = Survey.of(layout, options.languages, options.splits)
    survey.check(options.skip_bad)
    _begin(make, options, survey)
    unheard = compute_features(survey.talks(), make.work, workers, options.keep)
    problems = list(dict.fromkeys([*survey.faulty, *(problem for _, _, problem in unheard)]))
    if unheard and not options.skip_bad:
        raise DataError(summary(problems))
    for talk, span, _ in unheard:
        survey.leave_out(talk, span)
    places, dropped = _zip(out, survey, make.work, options)
    writer = TsvWriter(layout, survey, out, places, dropped, options.languages)
    counts = {split: writer.write(split) for split in options.splits}
    multiway = writer.write_multiway(options.multiway_from, options.tolerance)
    stems = {"st": _vocabulary(out, vocabulary, options)}
    if options.asr:
        transcripts = {
            split: writer.write_transcripts(split, options.tolerance) for split in options.splits
        }
        stems[ASR] = _train(out, f"train_{ASR}", options.asr_vocab_size, (), options, ASR)
    for task, stem in stems.items():
        has_tags = task != ASR and bool(tagged(options))
        write_configuration(out, task, stem, options.specaugment, has_tags)
    record = {
        "options": options.plain(),
        "inputs": inputs,
        "counts": counts,
        "multiway_utterances": sum(found["matched"] for found in multiway.values()),
        "multiway": multiway,
        "absent": survey.absent,
        "untranscribed": survey.untranscribed,
        "utterances_stored": sum(map(len, places.values())),
        "vocabulary": f"{stems['st']}.txt",
        "ceilings": _ceilings(out, stems["st"], options),
        "fairseq_gist": __version__,
    }
    if options.asr:
        record["asr"] = {"counts": transcripts, "vocabulary": f"{stems[ASR]}.txt"}
    if problems:
        record["faulty"] = len(problems)
        with replacing(out / FAULTY) as path:
            path.write_text("".join(f"{problem}\n" for problem in problems), encoding="utf-8")
    make.finish(record)
    return record


def check(root: Path, options: Options, workers: int) -> List[str]:
    """Return all that is wrong with the data, audio included; nothing is written.

    Raises:
        DataError: where it can't even be told which data there are.
    """
    layout, options, _ = understand(root, options)
    survey = Survey.of(layout, options.languages, options.splits)
    found = [*survey.broken, *survey.faulty, *check_audio(survey.talks(), workers)]
    return list(dict.fromkeys(found))


def _vocabulary(out: Path, existing: Optional[Vocabulary], options: Options) -> str:
    if existing is not None and options.grow_vocabulary:
        texts, size = target_texts(out / "train.tsv"), options.vocab_size
        kind, normalization = options.vocab_type, options.vocab_normalization
        return grow_vocabulary(existing, texts, out, size, kind, normalization, tagged(options))
    if existing is not None:
        return existing.copy(out)
    return _train(out, "train", options.vocab_size, tagged(options), options, "st")


def _train(
    out: Path, subset: str, size: int, languages: Tuple[str, ...], options: Options, task: str
) -> str:
    texts = target_texts(out / f"{subset}.tsv")
    normalization = options.vocab_normalization
    return train_vocabulary(texts, out, size, options.vocab_type, languages, task, normalization)


def _ceilings(out: Path, stem: str, options: Options) -> Dict[str, Dict[str, Any]]:
    """What the vocabulary changes of the references: of all splits but training, if there are."""
    splits = [split for split in options.splits if split != TRAIN] or [TRAIN]
    texts = texts_by_language(out / f"{split}.tsv" for split in splits)
    found = ceilings(out / f"{stem}.model", texts)
    return {language: ceiling._asdict() for language, ceiling in found.items()}


def _finished(make: Making, options: Options, inputs: str) -> Optional[Dict[str, Any]]:
    """What finished data of these options and inputs say, or None where there are some to make."""
    record = make.record({"options": dict, "inputs": str, "counts": dict, "multiway": dict})
    out = make.folder
    if record is not None:
        make.check_same({**UNSAID, **record["options"]}, {**UNSAID, **options.plain()})
        if record["inputs"] != inputs:
            raise DataError(
                f"{out}: prepared from other text or vocabulary; choose another --out or remove it"
            )
        follow_move(out)
        make.sweep()
        return record
    if not make.is_begun and any(out.glob("*.tsv")):
        raise DataError(f"{out}: holds TSV files made otherwise; choose another --out")
    return None


def _begin(make: Making, options: Options, survey: Survey) -> None:
    """Note what is going to be written, and remove what an unfinished run has written.

    Features of talks stay: each is known by its recording and the times cut out of it. So data
    that turned out to be faulty can be mended, or left out, and the command be given again.
    """
    before, out = make.unfinished() or {}, make.folder
    for name in before.get("files", []):
        if name == FAULTY or (Path(name).name == name and name.endswith(".tsv")):
            with contextlib.suppress(FileNotFoundError):
                (out / name).unlink()
    zips = [f".{name}.*" for name in ZIPS.values()]
    for pattern in (*zips, ".*.tsv", ".spm_*", ".config_*", ".prepare.json.*"):
        for path in out.glob(pattern):
            path.unlink()
    make.note({"files": [*(f"{name}.tsv" for name in _tables(options, survey)), FAULTY]})


def _tables(options: Options, survey: Survey) -> Iterator[str]:
    """Give the names of the manifests that may be written."""
    yield "multiway"
    for split in options.splits:
        yield split
        yield from (f"{split}_{language}" for language in survey.languages(split))
        if options.asr:
            yield f"{split}_{ASR}"


def _zip(out: Path, survey: Survey, work: Path, options: Options) -> Tuple[Places, Dropped]:
    """The zip with the utterances that stay; where each one is and how long, and what doesn't."""
    training = {talk.name for talk in survey.splits[TRAIN]}
    dropped, name = {}, ZIPS[options.keep]

    def keep(talk: Talk, span: Span, frames: int) -> bool:
        longest = options.max_frames if talk.name in training else frames
        if frames < options.min_frames:
            dropped[talk.name, span] = TOO_SHORT
        elif frames > longest:
            dropped[talk.name, span] = TOO_LONG
        return options.min_frames <= frames <= longest

    places = {
        talk.name: {
            span: (f"{name}:{offset}:{length}", frames)
            for span, (offset, length, frames) in kept.items()
        }
        for talk, kept in write_zip(out / name, survey.talks(), work, keep, options.keep)
    }
    return places, dropped
