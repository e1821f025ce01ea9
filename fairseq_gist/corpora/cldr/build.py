"""The corpus "cldr": phrases of the Unicode CLDR, spoken by eSpeak NG, in the MuST-C layout.

English is spoken and translated into eight languages, or these are spoken and translated into
English. Splits are made by phrase and by voice: what is heard in dev and test was never heard in
training, and neither was who says it. The same seed gives the same bytes, whatever the number
of workers: each talk is spoken in a process of its own. A build that was interrupted goes on
where it stopped.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import shutil
from importlib import metadata
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from tqdm import tqdm

from fairseq_gist import __version__
from fairseq_gist.corpora.cldr import speech
from fairseq_gist.corpora.cldr.casting import (
    SIX_VOICES,
    TWELVE_VOICES,
    Size,
    english_talks,
    talks_in,
)
from fairseq_gist.corpora.cldr.numbers import LANGUAGES
from fairseq_gist.corpora.cldr.phrases import Phrase, choose
from fairseq_gist.corpora.cldr.talks import SpokenTalk, link_audio, speak_all
from fairseq_gist.errors import DataError, OptionError
from fairseq_gist.files import replacing
from fairseq_gist.preparing.mustc import Layout, Segment, write_split

__all__ = ["DIRECTIONS", "MANY_TO_ONE", "ONE_TO_MANY", "SIZES", "build"]

logger = logging.getLogger(__name__)

ONE_TO_MANY, MANY_TO_ONE = DIRECTIONS = ("one-to-many", "many-to-one")

SIZES = {
    "tiny": Size(40, 8, 8, voices=SIX_VOICES[:2], repeats=1, talk=8),
    "small": Size(1200, 100, 300),
    "full": Size(6000, 300, 600, names=True, voices=TWELVE_VOICES, repeats=4, talk=40),
}
"""``tiny`` is for trying out the tools; nothing can be learned from it."""


def build(
    out: Path,
    size: str,
    seed: int,
    workers: int,
    direction: str = ONE_TO_MANY,
    languages: Sequence[str] = (),
    sizes: Optional[Mapping[str, int]] = None,
) -> Dict[str, Any]:
    """Write the corpus under ``out``, or finish it; gives what ``corpus.json`` says.

    Args:
        out: folder to write.
        size: one of :data:`SIZES`.
        seed: of the choice of phrases and voices.
        workers: processes that speak at a time.
        direction: one of :data:`DIRECTIONS`.
        languages: those spoken, of many to one; none means all.
        sizes: of many to one: phrases of training in a language, where it has fewer than others.

    Raises:
        OptionError: for languages or sizes that can't be.
        DataError: where ``out`` holds anything else.
    """
    chosen = _languages(direction, languages, sizes or {}, SIZES[size])
    options: Dict[str, Any] = {"corpus": "cldr", "size": size, "seed": seed}
    if direction == MANY_TO_ONE:
        options.update(direction=direction, languages=chosen, sizes=dict(sizes or {}))
    finished = _open(out, options)
    if finished is not None:
        logger.info("%s: already there, nothing to do", out)
        return finished
    plan = SIZES[size]
    phrases = _split(plan, seed)
    layout = Layout(out, target="en" if direction == MANY_TO_ONE else None)
    if layout.is_many_to_one:
        most = {language: (sizes or {}).get(language, plan.train) for language in chosen}
        talks = [t for one in chosen for t in talks_in(one, phrases, plan, seed, most[one])]
    else:
        talks = english_talks(phrases, plan, seed)
    libraries = {name: metadata.version(name) for name in ("babel", "num2words")}
    libraries["eSpeak NG"] = speech.version()
    work = out / ".work"
    _begin(work, {**options, "libraries": libraries, "fairseq_gist": __version__})
    times = speak_all(talks, work, workers)
    for language in tqdm(chosen, desc="writing languages", unit="language", disable=None):
        own = [talk for talk in talks if talk.language in ("en", language)]
        _write_language(layout, language, own, times, work)
    summary = _summary(options, plan, libraries, talks, times)
    with replacing(out / "corpus.json") as path:
        path.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    shutil.rmtree(work)
    return summary


def _languages(
    direction: str, languages: Sequence[str], sizes: Mapping[str, int], plan: Size
) -> List[str]:
    """The languages of the corpus; raises for what can't be."""
    if direction == ONE_TO_MANY and (languages or sizes):
        raise OptionError(
            f"--languages and --sizes are for --direction {MANY_TO_ONE}: English is spoken once "
            "for all eight languages (fairseq-gist prepare --languages takes some of them)"
        )
    unknown = sorted({*languages, *sizes} - set(LANGUAGES))
    if unknown:
        raise OptionError(f"'{unknown[0]}' is none of the corpus's {', '.join(LANGUAGES)}")
    chosen = sorted(set(languages) or set(LANGUAGES))
    for language, size in sizes.items():
        if language not in chosen:
            raise OptionError(f"--sizes: '{language}' is none of --languages {', '.join(chosen)}")
        if not 1 <= size <= plan.train:
            raise OptionError(
                f"--sizes: expected 1 to {plan.train} phrases, all that training has at this "
                f"--size, found {language}={size}"
            )
    return chosen


def _open(out: Path, options: Dict[str, Any]) -> Optional[Dict[str, Any]]:
    """What a finished corpus of these options says, or None where there is one to make."""
    done = out / "corpus.json"
    if done.is_file():
        found: Dict[str, Any] = json.loads(done.read_text(encoding="utf-8"))
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


def _write_language(
    layout: Layout,
    language: str,
    talks: Sequence[SpokenTalk],
    times: Dict[str, List[Tuple[float, float]]],
    work: Path,
) -> None:
    segments: Dict[str, List[Segment]] = {}
    for talk in talks:
        link_audio(work / talk.wav, layout.wav(language, talk.split, talk.wav))
        rows = segments.setdefault(talk.split, [])
        for phrase, (offset, duration) in zip(talk.phrases, times[talk.name]):
            source, target = map(phrase.text, layout.pair(language))
            speaker = f"spk.{talk.voice}"
            line = len(rows) + 1
            rows.append(Segment(talk.wav, offset, duration, speaker, source, target, line))
    for split, rows in segments.items():
        write_split(layout, language, split, rows)


def _summary(
    options: Dict[str, Any],
    plan: Size,
    libraries: Dict[str, str],
    talks: Sequence[SpokenTalk],
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
        if options.get("direction") == MANY_TO_ONE:
            splits[split]["utterances_in"] = {
                language: sum(len(talk.phrases) for talk in mine if talk.language == language)
                for language in options["languages"]
            }
    if options.get("direction") == MANY_TO_ONE:
        languages: Dict[str, Any] = {"sources": options["languages"], "target": "en"}
    else:
        languages = {"source": "en", "targets": list(LANGUAGES)}
    return {
        **options,
        **languages,
        "splits": splits,
        "plan": dataclasses.asdict(plan),
        "libraries": libraries,
        "fairseq_gist": __version__,
    }
