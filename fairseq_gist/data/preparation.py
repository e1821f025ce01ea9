"""From the MuST-C layout to stock fairseq ``speech_to_text`` data.

What it writes is described in ``docs/data.md``. Audio that the languages share is stored once;
all rows of an utterance name the same place in the zip, and that is how they are recognised.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Dict, Optional, Tuple

import yaml

from fairseq_gist import __version__
from fairseq_gist.data.filterbank import BINS
from fairseq_gist.data.mustc import Layout
from fairseq_gist.data.survey import Survey
from fairseq_gist.data.talk_features import Span, Talk, compute_features, write_zip
from fairseq_gist.data.tsv import Places, TsvWriter, target_texts
from fairseq_gist.data.vocabulary import VOCABULARY_TYPES, train_vocabulary
from fairseq_gist.errors import DataError, OptionError
from fairseq_gist.files import replacing

__all__ = ["SPECAUGMENT", "SPLITS", "Options", "prepare"]

logger = logging.getLogger(__name__)

SPLITS = ("train", "dev", "tst-COMMON")

SPECAUGMENT: Dict[str, Optional[Dict[str, Any]]] = {
    "ld": {"freq_mask_N": 2, "time_mask_N": 2},
    "lb": {"freq_mask_N": 1, "time_mask_N": 1},
    "none": None,
}
"""The policies of the SpecAugment paper that fairseq's recipes use; masks are given below."""

_MASKS = {"time_wrap_W": 0, "freq_mask_F": 27, "time_mask_T": 100, "time_mask_p": 1.0}
_ZIP = f"fbank{BINS}.zip"
_CONFIG = "config_st.yaml"
_RECORD = "prepare.json"


@dataclass(frozen=True)
class Options:
    """What the prepared data depend on."""

    languages: Tuple[str, ...] = ()
    """Target languages; none means all there are."""
    source: str = "en"
    splits: Tuple[str, ...] = SPLITS
    vocab_size: int = 10000
    vocab_type: str = "unigram"
    min_frames: int = 5
    """Shorter utterances are dropped from every split (10 ms a frame)."""
    max_frames: int = 3000
    """Longer utterances are dropped from training, never from other splits."""
    specaugment: str = "ld"
    multiway_from: str = "dev"
    """The split whose utterances with all languages make ``multiway.tsv``."""

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
        if self.multiway_from not in self.splits:
            problems.append(
                f"--multiway-from: {self.multiway_from!r} is not one of the splits "
                f"{', '.join(self.splits)}"
            )
        if problems:
            raise OptionError("; ".join(problems))


def prepare(root: Path, out: Path, options: Options, workers: int) -> Dict[str, Any]:
    """Write fairseq data into ``out``, or finish them; gives what ``prepare.json`` says.

    Raises :class:`DataError` where the data are not as they should be, or ``out`` holds others.
    """
    options.validate()
    layout = Layout(root, options.source)
    options = _with_languages(layout, options)
    if ":" in str(out.resolve()):
        raise DataError(f"{out.resolve()}: fairseq cannot read audio below a path with a colon")
    inputs = _digest(layout, options)
    record = _finished(out, options, inputs)
    if record is not None:
        logger.info("%s: already prepared, nothing to do", out)
        return record
    work = out / ".work"
    _begin(work, options, inputs)
    _sweep(out)
    survey = Survey.of(layout, options.languages, options.splits)
    compute_features(survey.talks(), work, workers)
    places = _zip(out, survey, work, options)
    writer = TsvWriter(layout, survey, out, places, options.languages)
    counts = {split: writer.write(split) for split in options.splits}
    multiway = writer.write_multiway(options.multiway_from)
    texts = target_texts(out / "train.tsv")
    vocabulary = train_vocabulary(
        texts, out, options.vocab_size, options.vocab_type, options.languages
    )
    _write_config(out, vocabulary, options)
    record = {
        "options": _plain(options),
        "inputs": inputs,
        "counts": counts,
        "multiway_utterances": multiway,
        "utterances_stored": sum(map(len, places.values())),
        "vocabulary": f"{vocabulary}.txt",
        "fairseq_gist": __version__,
    }
    with replacing(out / _RECORD) as path:
        path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    shutil.rmtree(work)
    return record


def _with_languages(layout: Layout, options: Options) -> Options:
    there = layout.languages()
    missing = sorted(set(options.languages) - set(there))
    if missing:
        raise DataError(
            f"{layout.root}: no {', '.join(f'{layout.source}-{name}' for name in missing)}; "
            f"there are {', '.join(there)}"
        )
    languages = tuple(sorted(set(options.languages or there)))
    return Options(**{**asdict(options), "languages": languages})


def _digest(layout: Layout, options: Options) -> str:
    """A fingerprint of all text files that go in; raises where one is missing."""
    digest = hashlib.sha256()
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


def _finished(out: Path, options: Options, inputs: str) -> Optional[Dict[str, Any]]:
    path = out / _RECORD
    if path.is_file():
        record: Dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        _same(out, record["options"], _plain(options))
        if record["inputs"] != inputs:
            raise DataError(f"{out}: prepared from other text; choose another --out or remove it")
        _follow_move(out)
        shutil.rmtree(out / ".work", ignore_errors=True)
        return record
    ours = out / ".work" / "options.json"
    if not ours.is_file() and any(out.glob("*.tsv")):
        raise DataError(f"{out}: holds TSV files made otherwise; choose another --out")
    return None


def _begin(work: Path, options: Options, inputs: str) -> None:
    """Note what the unfinished files are for; what can still be changed is not compared."""
    wanted = {key: _plain(options)[key] for key in ("languages", "source", "splits")}
    wanted["inputs"] = inputs
    path = work / "options.json"
    if path.is_file():
        _same(work.parent, json.loads(path.read_text(encoding="utf-8")), wanted)
        return
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(wanted) + "\n", encoding="utf-8")


def _sweep(out: Path) -> None:
    """Remove what a run that was killed, and so could not tidy up, has left half-written."""
    for pattern in (f".{_ZIP}.*", ".*.tsv", ".spm_*"):
        for path in out.glob(pattern):
            path.unlink()


def _plain(options: Options) -> Dict[str, Any]:
    return json.loads(json.dumps(asdict(options)))


def _same(out: Path, found: Dict[str, Any], wanted: Dict[str, Any]) -> None:
    for key, value in wanted.items():
        if found.get(key) != value:
            raise DataError(
                f"{out}: prepared with {key} {_short(found.get(key))}, wanted {_short(value)}; "
                "choose another --out or remove it"
            )


def _short(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


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


def _follow_move(out: Path) -> None:
    """``audio_root`` has to be absolute for fairseq: set it again where the folder has moved."""
    config = yaml.safe_load((out / _CONFIG).read_text(encoding="utf-8"))
    if config.get("audio_root") != str(out.resolve()):
        config["audio_root"] = str(out.resolve())
        _dump(out, config)
        logger.info("%s: the folder has moved, audio_root follows", out / _CONFIG)


def _write_config(out: Path, vocabulary: str, options: Options) -> None:
    config: Dict[str, Any] = {
        "vocab_filename": f"{vocabulary}.txt",
        "bpe_tokenizer": {"bpe": "sentencepiece", "sentencepiece_model": f"{vocabulary}.model"},
        "input_channels": 1,
        "input_feat_per_channel": BINS,
        "prepend_tgt_lang_tag": True,
        "audio_root": str(out.resolve()),
        "transforms": {"*": ["utterance_cmvn"]},
    }
    policy = SPECAUGMENT[options.specaugment]
    if policy is not None:
        config["specaugment"] = {**_MASKS, **policy}
        config["transforms"]["_train"] = ["utterance_cmvn", "specaugment"]
    _dump(out, config)


def _dump(out: Path, config: Dict[str, Any]) -> None:
    with replacing(out / _CONFIG) as path:
        path.write_text(yaml.safe_dump(config, sort_keys=True), encoding="utf-8")
