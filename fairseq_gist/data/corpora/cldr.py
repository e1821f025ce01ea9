"""The corpus "cldr": phrases of the Unicode CLDR, spoken by eSpeak NG, in the MuST-C layout.

Splits are made by phrase and by voice: what is heard in dev and test was never heard in
training, and neither was who says it. The same seed gives the same bytes, whatever the number
of workers: each talk is spoken in a process of its own. A build that was interrupted goes on
where it stopped.
"""

from __future__ import annotations

import array
import dataclasses
import json
import logging
import os
import shutil
import wave
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple

import numpy as np
from tqdm import tqdm

from fairseq_gist import __version__
from fairseq_gist.data.corpora import speech
from fairseq_gist.data.corpora.numbers import LANGUAGES
from fairseq_gist.data.corpora.phrases import Phrase, choose, ordered
from fairseq_gist.data.filterbank import SAMPLE_RATE, resample
from fairseq_gist.data.mustc import Layout, Segment, write_split
from fairseq_gist.errors import DataError
from fairseq_gist.files import replacing

__all__ = ["SIZES", "Size", "build"]

logger = logging.getLogger(__name__)

_GRID = 160  # samples (10 ms): segments begin and end there, so that times are short decimals
_SILENCE = 25 * _GRID  # samples between two segments of a talk
_QUIET = 40  # of 32768: what counts as silence at the ends of an utterance

_SIX_VOICES = ("en-us", "en-us+f2", "en-us+m5", "en-gb-x-rp+m3", "en-gb-x-gbclan+f3", "en-029+m1")
_TWELVE_VOICES = (
    *_SIX_VOICES,
    "en-gb-scotland",
    "en-us+m7",
    "en-gb-x-rp+f3",
    "en-gb-x-gbcwmd+m4",
    "en-us+f5",
    "en-gb-scotland+f2",
)


@dataclass(frozen=True)
class Size:
    """How much of everything a corpus holds."""

    train: int
    dev: int
    test: int
    names: bool = False
    """Names of the CLDR beside the compositional phrases."""
    voices: Tuple[str, ...] = _SIX_VOICES
    """Voices of training."""
    repeats: int = 2
    """Voices that say a phrase of training."""
    dev_voice: str = "en-us+f4"
    test_voice: str = "en-us+m2"
    talk: int = 20
    """Utterances of a talk, at most."""


SIZES = {
    "tiny": Size(40, 8, 8, voices=_SIX_VOICES[:2], repeats=1, talk=8),
    "small": Size(1200, 100, 300),
    "full": Size(6000, 300, 600, names=True, voices=_TWELVE_VOICES, repeats=4, talk=40),
}
"""``tiny`` is for trying out the tools; nothing can be learned from it."""


@dataclass(frozen=True)
class _Talk:
    name: str
    split: str
    voice: str
    phrases: Tuple[Phrase, ...]


def build(out: Path, size: str, seed: int, workers: int) -> Dict[str, Any]:
    """Write the corpus under ``out``, or finish it; gives what ``corpus.json`` says.

    Raises :class:`DataError` where ``out`` holds anything else.
    """
    options = {"corpus": "cldr", "size": size, "seed": seed}
    finished = _open(out, options)
    if finished is not None:
        logger.info("%s: already there, nothing to do", out)
        return finished
    plan = SIZES[size]
    talks = _talks(_split(plan, seed), plan, seed)
    libraries = {name: metadata.version(name) for name in ("babel", "num2words")}
    libraries["eSpeak NG"] = speech.version()
    work = out / ".work"
    _begin(work, {**options, "libraries": libraries, "fairseq_gist": __version__})
    times = _speak_all(talks, work, workers)
    layout = Layout(out)
    for language in tqdm(LANGUAGES, desc="writing languages", unit="language", disable=None):
        _write_language(layout, language, talks, times, work)
    summary = _summary(options, plan, libraries, talks, times)
    with replacing(out / "corpus.json") as path:
        path.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    shutil.rmtree(work)
    return summary


def _open(out: Path, options: Dict[str, Any]) -> Any:
    """What a finished corpus of these options says, or None where there is one to make."""
    done = out / "corpus.json"
    if done.is_file():
        found = json.loads(done.read_text(encoding="utf-8"))
        _same(out, {key: found.get(key) for key in options}, options)
        shutil.rmtree(out / ".work", ignore_errors=True)
        return found
    begun = out / ".work" / "options.json"
    if not begun.is_file() and out.exists() and any(p.name != ".work" for p in out.iterdir()):
        raise DataError(f"{out}: holds other files; expected a new folder or a corpus of this kind")
    return None


def _begin(work: Path, options: Dict[str, Any]) -> None:
    path = work / "options.json"
    if path.is_file():
        _same(work.parent, json.loads(path.read_text(encoding="utf-8")), options)
        return
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(options, indent=2) + "\n", encoding="utf-8")


def _same(out: Path, found: Dict[str, Any], wanted: Dict[str, Any]) -> None:
    for key, value in wanted.items():
        if found.get(key) != value:
            raise DataError(
                f"{out}: holds a corpus made with {key} {found.get(key)}, wanted {value}; "
                "choose another folder or remove it"
            )


def _split(plan: Size, seed: int) -> Dict[str, List[Phrase]]:
    """Phrases of every split; no English phrase is in two of them."""
    phrases = choose(plan.train + plan.dev + plan.test, seed, plan.names)
    return {
        "tst-COMMON": phrases[: plan.test],
        "dev": phrases[plan.test : plan.test + plan.dev],
        "train": phrases[plan.test + plan.dev :],
    }


def _talks(splits: Dict[str, List[Phrase]], plan: Size, seed: int) -> List[_Talk]:
    """Who says what: every talk of every split, in order."""
    spoken: List[Tuple[str, str, List[Phrase]]] = []
    by_voice: Dict[str, List[Phrase]] = {voice: [] for voice in plan.voices}
    for phrase in splits["train"]:
        for voice in ordered(plan.voices, f"{seed}/{phrase.english}")[: plan.repeats]:
            by_voice[voice].append(phrase)
    spoken += [("train", voice, phrases) for voice, phrases in by_voice.items()]
    spoken.append(("dev", plan.dev_voice, splits["dev"]))
    spoken.append(("tst-COMMON", plan.test_voice, splits["tst-COMMON"]))
    talks: List[_Talk] = []
    for split, voice, phrases in spoken:
        for start in range(0, len(phrases), plan.talk):
            name = f"cldr_{len(talks) + 1}"
            talks.append(_Talk(name, split, voice, tuple(phrases[start : start + plan.talk])))
    return talks


def _speak_all(
    talks: Sequence[_Talk], work: Path, workers: int
) -> Dict[str, List[Tuple[float, float]]]:
    """Every talk's wav in the work folder; gives its segments' (offset, duration) in seconds."""
    times: Dict[str, List[Tuple[float, float]]] = {}
    there = sum((work / f"{talk.name}.json").is_file() for talk in talks)
    logger.info("speaking %d talks, %d already there", len(talks), there)
    with ThreadPoolExecutor(workers) as executor:
        futures = {executor.submit(_speak_talk, talk, work): talk.name for talk in talks}
        try:
            for future in tqdm(
                as_completed(futures),
                total=len(futures),
                desc="speaking",
                unit="talk",
                disable=None,
            ):
                times[futures[future]] = future.result()
        except BaseException:
            for future in futures:
                future.cancel()
            raise
    return times


def _speak_talk(talk: _Talk, work: Path) -> List[Tuple[float, float]]:
    audio, note = work / f"{talk.name}.wav", work / f"{talk.name}.json"
    if note.is_file() and audio.is_file():  # the note is written last
        return [(offset, duration) for offset, duration in json.loads(note.read_text())]
    pieces, times, position = [np.zeros(_SILENCE, np.int16)], [], _SILENCE
    for samples in speech.speak(talk.voice, [phrase.english for phrase in talk.phrases]):
        piece = _at_16khz(samples)
        times.append((position / SAMPLE_RATE, len(piece) / SAMPLE_RATE))
        pieces += [piece, np.zeros(_SILENCE, np.int16)]
        position += len(piece) + _SILENCE
    with replacing(audio) as path:
        _write_wav(path, np.concatenate(pieces))
    with replacing(note) as path:
        path.write_text(json.dumps(times), encoding="utf-8")
    return times


def _at_16khz(samples: array.array[int]) -> np.ndarray:
    """16-bit samples at 16 kHz, without the silence at both ends, a multiple of 10 ms long."""
    resampled = resample(np.array(samples, dtype=np.float64), speech.SAMPLE_RATE)
    whole = np.clip(np.rint(resampled), -32768, 32767).astype(np.int16)
    loud = np.flatnonzero(np.abs(whole.astype(np.int32)) > _QUIET)
    if len(loud):
        first = max(0, loud[0] - 5 * _GRID)
        whole = whole[first : loud[-1] + 5 * _GRID]
    return np.pad(whole, (0, -len(whole) % _GRID))


def _write_wav(path: Path, samples: np.ndarray) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(samples.astype("<i2").tobytes())


def _write_language(
    layout: Layout,
    language: str,
    talks: Sequence[_Talk],
    times: Dict[str, List[Tuple[float, float]]],
    work: Path,
) -> None:
    segments: Dict[str, List[Segment]] = {}
    for talk in talks:
        link = layout.wav(language, talk.split, f"{talk.name}.wav")
        _link(work / f"{talk.name}.wav", link)
        rows = segments.setdefault(talk.split, [])
        for phrase, (offset, duration) in zip(talk.phrases, times[talk.name]):
            target = phrase.targets[language]
            speaker = f"spk.{talk.voice}"
            rows.append(
                Segment(link.name, offset, duration, speaker, phrase.english, target, len(rows) + 1)
            )
    for split, rows in segments.items():
        write_split(layout, language, split, rows)


def _link(audio: Path, path: Path) -> None:
    """The same audio at ``path``: a hard link, or a copy where the file system has none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        if os.path.samefile(audio, path) or path.stat().st_size == audio.stat().st_size:
            return
        path.unlink()
    try:
        os.link(str(audio), str(path))
    except OSError:
        with replacing(path) as temporary:
            shutil.copyfile(str(audio), str(temporary))


def _summary(
    options: Dict[str, Any],
    plan: Size,
    libraries: Dict[str, str],
    talks: Sequence[_Talk],
    times: Dict[str, List[Tuple[float, float]]],
) -> Dict[str, Any]:
    splits: Dict[str, Any] = {}
    for split in ("train", "dev", "tst-COMMON"):
        mine = [talk for talk in talks if talk.split == split]
        spoken = [phrase for talk in mine for phrase in talk.phrases]
        seconds = sum(duration for talk in mine for _, duration in times[talk.name])
        kinds = [phrase.kind for phrase in {p.english: p for p in spoken}.values()]
        splits[split] = {
            "talks": len(mine),
            "utterances": len(spoken),
            "phrases": len(kinds),
            "kinds": {kind: kinds.count(kind) for kind in sorted(set(kinds))},
            "seconds": round(seconds, 2),
            "voices": sorted({talk.voice for talk in mine}),
        }
    return {
        **options,
        "source": "en",
        "targets": list(LANGUAGES),
        "splits": splits,
        "plan": dataclasses.asdict(plan),
        "libraries": libraries,
        "fairseq_gist": __version__,
    }
