"""From the MuST-C layout to stock fairseq ``speech_to_text`` data.

What it writes is described in ``docs/data.md``. Audio that the languages share is stored once;
all rows of an utterance name the same place in the zip, and that is how they are recognised.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from fairseq_gist import __version__
from fairseq_gist.errors import DataError, OptionError
from fairseq_gist.preparing.alignment import TOLERANCE
from fairseq_gist.preparing.configuration import SPECAUGMENT, follow_move, write_configuration
from fairseq_gist.preparing.filterbank import BINS
from fairseq_gist.preparing.making import Making
from fairseq_gist.preparing.mustc import Layout
from fairseq_gist.preparing.survey import Survey
from fairseq_gist.preparing.talk_features import Span, Talk, compute_features, write_zip
from fairseq_gist.preparing.tsv import ASR, Places, TsvWriter, target_texts
from fairseq_gist.preparing.vocabulary import (
    VOCABULARY_TYPES,
    Vocabulary,
    train_vocabulary,
    vocabulary_stem,
)

__all__ = ["SPLITS", "Options", "prepare"]

logger = logging.getLogger(__name__)

SPLITS = ("train", "dev", "tst-COMMON")

_ZIP = f"fbank{BINS}.zip"
_RECORD = "prepare.json"
_CODE = re.compile(r"^[A-Za-z0-9]+(-[A-Za-z0-9]+)*$")
_SPLIT = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*$")


@dataclass(frozen=True)
class Options:
    """What the prepared data depend on."""

    languages: Tuple[str, ...] = ()
    """Target languages, or with ``target`` those that are spoken; none means all there are."""
    source: str = "en"
    target: Optional[str] = None
    """The language that many are translated into; None where one is spoken."""
    target_tag: bool = False
    """With ``target``: whether its tag is put before every translation."""
    splits: Tuple[str, ...] = SPLITS
    vocab_size: int = 10000
    vocab_type: str = "unigram"
    min_frames: int = 5
    """Shorter utterances are dropped from every split (10 ms a frame)."""
    max_frames: int = 3000
    """Longer utterances are dropped from training, never from other splits."""
    specaugment: str = "ld"
    multiway_from: Tuple[str, ...] = ("dev",)
    """The splits whose utterances with all languages make ``multiway.tsv``."""
    tolerance: float = TOLERANCE
    """Seconds by which offset and duration of one utterance may differ between languages."""
    vocabulary: Optional[str] = None
    """Path without extension of an existing vocabulary, instead of training one."""
    asr: bool = False
    """Whether to write speech recognition data of the source language too."""
    asr_vocab_size: int = 5000

    def validate(self) -> None:
        """Raise :class:`OptionError` with all that is wrong."""
        problems = []
        if self.vocab_type not in VOCABULARY_TYPES:
            problems.append(f"--vocab-type: expected one of {', '.join(VOCABULARY_TYPES)}")
        if self.specaugment not in SPECAUGMENT:
            problems.append(f"--specaugment: expected one of {', '.join(SPECAUGMENT)}")
        if self.vocab_size < 1:
            problems.append(f"--vocab-size: expected 1 or more, found {self.vocab_size}")
        if self.max_frames < self.min_frames:
            problems.append(
                f"--max-frames: expected {self.min_frames} or more, found {self.max_frames}"
            )
        if "train" not in self.splits:
            problems.append("--splits: train is needed for the vocabulary")
        if self.target_tag and not self.target:
            problems.append("--target-tag: only with --target; other data always have tags")
        problems += self._recognition_problems()
        if not 0 <= self.tolerance < float("inf"):
            problems.append(
                f"--multiway-tolerance: expected 0 or more seconds, found {self.tolerance}"
            )
        if not self.multiway_from:
            problems.append("--multiway-from: expected one split or more, found none")
        problems += [
            f"--multiway-from: {split!r} is not one of the splits {', '.join(self.splits)}"
            for split in self.multiway_from
            if split not in self.splits
        ]
        if problems:
            raise OptionError("; ".join(problems))

    def _recognition_problems(self) -> List[str]:
        problems = []
        if self.asr_vocab_size < 1:
            problems.append(f"--asr-vocab-size: expected 1 or more, found {self.asr_vocab_size}")
        recognition = vocabulary_stem(self.vocab_type, self.asr_vocab_size, ASR)
        if self.asr and self.vocabulary and Path(self.vocabulary).name == recognition:
            problems.append(
                f"--vocabulary: '{recognition}' is the name that --asr gives its own vocabulary, "
                "which would take its place; rename the files or change --asr-vocab-size"
            )
        return problems


def prepare(root: Path, out: Path, options: Options, workers: int) -> Dict[str, Any]:
    """Write fairseq data into ``out``, or finish them; gives what ``prepare.json`` says.

    Raises :class:`DataError` where the data are not as they should be, or ``out`` holds others.
    """
    options.validate()
    layout = Layout(root, options.source, options.target)
    options = _with_languages(layout, options)
    _check_names(layout, options)
    vocabulary = Vocabulary(Path(options.vocabulary)) if options.vocabulary else None
    if vocabulary is not None:
        vocabulary.check(_tagged(options))
    if ":" in str(out.resolve()):
        raise DataError(f"{out.resolve()}: fairseq cannot read audio below a path with a colon")
    inputs = _digest(layout, options, vocabulary)
    make = Making(out, _RECORD, "prepared", "choose another --out or remove it")
    record = _finished(make, options, inputs)
    if record is not None:
        logger.info("%s: already prepared, nothing to do", out)
        return record
    make.begin(_unchangeable(options, inputs))
    _sweep(out)
    survey = Survey.of(layout, options.languages, options.splits)
    compute_features(survey.talks(), make.work, workers)
    places = _zip(out, survey, make.work, options)
    writer = TsvWriter(layout, survey, out, places, options.languages)
    counts = {split: writer.write(split) for split in options.splits}
    multiway = writer.write_multiway(options.multiway_from, options.tolerance)
    stems = {"st": _vocabulary(out, vocabulary, options)}
    if options.asr:
        transcripts = {
            split: writer.write_transcripts(split, options.tolerance) for split in options.splits
        }
        stems[ASR] = _train(out, f"train_{ASR}", options.asr_vocab_size, (), options, ASR)
    for task, stem in stems.items():
        has_tags = task != ASR and bool(_tagged(options))
        write_configuration(out, task, stem, options.specaugment, has_tags)
    record = {
        "options": _plain(options),
        "inputs": inputs,
        "counts": counts,
        "multiway_utterances": sum(found["matched"] for found in multiway.values()),
        "multiway": multiway,
        "utterances_stored": sum(map(len, places.values())),
        "vocabulary": f"{stems['st']}.txt",
        "fairseq_gist": __version__,
    }
    if options.asr:
        record["asr"] = {"counts": transcripts, "vocabulary": f"{stems[ASR]}.txt"}
    make.finish(record)
    return record


def _vocabulary(out: Path, existing: Optional[Vocabulary], options: Options) -> str:
    if existing is not None:
        return existing.copy(out)
    return _train(out, "train", options.vocab_size, _tagged(options), options, "st")


def _tagged(options: Options) -> Tuple[str, ...]:
    """The languages whose tags are put before translations into them."""
    if options.target is None:
        return options.languages
    return (options.target,) if options.target_tag else ()


def _train(
    out: Path, subset: str, size: int, languages: Tuple[str, ...], options: Options, task: str
) -> str:
    texts = target_texts(out / f"{subset}.tsv")
    return train_vocabulary(texts, out, size, options.vocab_type, languages, task)


def _with_languages(layout: Layout, options: Options) -> Options:
    there = layout.languages()
    missing = sorted(set(options.languages) - set(there))
    if missing:
        raise DataError(
            f"{layout.root}: no {', '.join(layout.folder(name) for name in missing)}; "
            f"there are {', '.join(there)}"
        )
    languages = tuple(sorted(set(options.languages or there)))
    return Options(**{**asdict(options), "languages": languages})


def _check_names(layout: Layout, options: Options) -> None:
    """Raise where a language or split can't be in a file's name, or two files would have one."""
    for language in options.languages:
        if not _CODE.match(language):
            raise DataError(
                f"language {language!r}: expected a code of letters, digits and hyphens, such as "
                "'pt' or 'zh-cn', as it becomes part of file names; rename the folder "
                f"{layout.folder(language)}, or leave it out with --languages"
            )
    for split in options.splits:
        if not _SPLIT.match(split):
            raise DataError(
                f"split {split!r}: expected letters, digits, points, hyphens and underscores"
            )
    names = Counter(["multiway", *options.splits])
    endings = [*options.languages, ASR] if options.asr else options.languages
    names.update(f"{split}_{ending}" for split in options.splits for ending in endings)
    twice = sorted(name for name, count in names.items() if count > 1)
    if twice:
        raise DataError(
            f"{', '.join(f'{name}.tsv' for name in twice)} would be written twice; rename a split "
            "or language, or choose with --splits and --languages"
        )


def _digest(layout: Layout, options: Options, vocabulary: Optional[Vocabulary]) -> str:
    """A fingerprint of all text files that go in; raises where one is missing."""
    digest = hashlib.sha256()
    if vocabulary is not None:
        for path in (vocabulary.model, vocabulary.dictionary):
            digest.update(path.read_bytes())
    for split in options.splits:
        for language in options.languages:
            folder = layout.split(language, split)
            if not folder.is_dir():
                raise DataError(f"{folder}: no such folder; split {split!r} needs {language} too")
            for path in layout.texts(language, split):
                if not path.is_file():
                    raise DataError(f"{path}: no such file")
                digest.update(f"{language}/{path.name}\n".encode())
                with open(path, "rb") as file:
                    while block := file.read(1 << 20):
                        digest.update(block)
    return digest.hexdigest()


def _finished(make: Making, options: Options, inputs: str) -> Optional[Dict[str, Any]]:
    """What finished data of these options and inputs say, or None where there are some to make."""
    record = make.record({"options": dict, "inputs": str, "counts": dict, "multiway": dict})
    out = make.folder
    if record is not None:
        make.check_same(record["options"], _plain(options))
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


def _unchangeable(options: Options, inputs: str) -> Dict[str, Any]:
    """What the unfinished files are for, without what can still be changed."""
    plain = _plain(options)
    names = ("languages", "source", "target", "splits")
    return {**{name: plain[name] for name in names if name in plain}, "inputs": inputs}


def _sweep(out: Path) -> None:
    """Remove what a run that was killed, and so could not tidy up, has left half-written."""
    for pattern in (f".{_ZIP}.*", ".*.tsv", ".spm_*", ".config_*", ".prepare.json.*"):
        for path in out.glob(pattern):
            path.unlink()


def _plain(options: Options) -> Dict[str, Any]:
    plain: Dict[str, Any] = json.loads(json.dumps(asdict(options)))
    if options.vocabulary:  # wherever it is: its content is among the inputs
        plain["vocabulary"] = Path(options.vocabulary).name
    unused = "source" if options.target else "target"
    del plain[unused]
    if not options.target:
        del plain["target_tag"]
    return plain


def _zip(out: Path, survey: Survey, work: Path, options: Options) -> Places:
    """The zip with the utterances that stay; where each one is and how long."""
    training = {talk.name for talk in survey.splits["train"]}

    def keep(talk: Talk, _: Span, frames: int) -> bool:
        longest = options.max_frames if talk.name in training else frames
        return options.min_frames <= frames <= longest

    return {
        talk.name: {
            span: (f"{_ZIP}:{offset}:{length}", frames)
            for span, (offset, length, frames) in kept.items()
        }
        for talk, kept in write_zip(out / _ZIP, survey.talks(), work, keep)
    }
