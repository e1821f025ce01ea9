"""The corpus "cldr": phrases of the Unicode CLDR, spoken by eSpeak NG, in the MuST-C layout.

English is spoken and translated into other languages, or these are spoken and translated into
English. Splits are made by phrase and by voice: what is heard in dev and test was never heard in
training, and neither was who says it. The same seed gives the same bytes, whatever the number
of workers: each talk is spoken in a process of its own. A build that was interrupted goes on
where it stopped.
"""

from __future__ import annotations

import dataclasses
import logging
from importlib import metadata
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from tqdm import tqdm

from fairseq_gist import __version__
from fairseq_gist.corpora.audio import link_audio
from fairseq_gist.corpora.base import making
from fairseq_gist.corpora.cldr import speech
from fairseq_gist.corpora.cldr.casting import english_talks, talks_in
from fairseq_gist.corpora.cldr.options import UNSAID, CldrOptions
from fairseq_gist.corpora.cldr.phrases import Phrase, choose
from fairseq_gist.corpora.cldr.talks import SpokenTalk, speak_all
from fairseq_gist.errors import DataError
from fairseq_gist.preparing.layouts.base import Segment
from fairseq_gist.preparing.layouts.mustc import MustC, write_split
from fairseq_gist.preparing.making import Making

__all__ = ["build"]

logger = logging.getLogger(__name__)

Times = Dict[str, List[Tuple[float, float]]]
"""Name of a talk -> offset and duration of its utterances, in seconds."""

Utterance = Tuple[Phrase, Tuple[float, float]]
"""A phrase, and its offset and duration in its talk."""

Own = List[Tuple[SpokenTalk, List[Utterance]]]
"""The talks that a language has something of, and what."""


def build(out: Path, options: CldrOptions, workers: int) -> Dict[str, Any]:
    """Write the corpus under ``out``, or finish it; gives what ``corpus.json`` says.

    Args:
        out: folder to write.
        options: what the corpus depends on.
        workers: processes that speak at a time.

    Raises:
        OptionError: for languages or sizes that can't be.
        DataError: where ``out`` holds anything else.
    """
    options.validate()
    make = making(out)
    finished = _finished(make, options)
    if finished is not None:
        logger.info("%s: already there, nothing to do", out)
        return finished
    plan, chosen = options.plan, options.chosen()
    phrases = _split(options)
    layout = MustC(out, target="en" if options.is_many_to_one else None)
    if layout.is_many_to_one:
        talks = [
            talk
            for one in chosen
            for talk in talks_in(one, phrases, plan, options.seed, options.phrases_in(one))
        ]
    else:
        most = max(map(options.phrases_in, chosen))
        phrases["train"] = phrases["train"][:most]
        talks = english_talks(phrases, plan, options.seed)
    libraries = {name: metadata.version(name) for name in ("babel", "num2words")}
    libraries["eSpeak NG"] = speech.version()
    before = make.unfinished()
    if before is not None:
        wanted = {**UNSAID, **options.plain()}
        make.check_same({**UNSAID, **before}, wanted, names=wanted)
    make.begin({**options.plain(), "libraries": libraries, "fairseq_gist": __version__})
    times = speak_all(talks, make.work, workers)
    own = {one: _own(talks, times, one, phrases["train"], options) for one in chosen}
    for language in tqdm(chosen, desc="writing languages", unit="language", disable=None):
        _write_language(layout, language, own[language], make.work)
    record = _record(options, libraries, talks, times, own)
    make.finish(record)
    return record


def _finished(make: Making, options: CldrOptions) -> Optional[Dict[str, Any]]:
    """What a finished corpus of these options says, or None where there is one to make."""
    found = make.record({"splits": dict, "libraries": dict})
    if found is not None:
        wanted = {**UNSAID, **options.plain()}
        make.check_same({**UNSAID, **found}, wanted, names=wanted)
        make.sweep()
        return found
    out = make.folder
    if not make.is_begun and out.exists() and any(p != make.work for p in out.iterdir()):
        raise DataError(f"{out}: holds other files; expected a new folder or a corpus of this kind")
    return None


def _split(options: CldrOptions) -> Dict[str, List[Phrase]]:
    """Phrases of every split; no English phrase is in two of them."""
    plan = options.plan
    count = plan.train + plan.dev + plan.test
    phrases = choose(count, options.seed, plan.names, options.translated())
    return {
        "tst-COMMON": phrases[: plan.test],
        "dev": phrases[plan.test : plan.test + plan.dev],
        "train": phrases[plan.test + plan.dev :],
    }


def _own(
    talks: Sequence[SpokenTalk],
    times: Times,
    language: str,
    train: Sequence[Phrase],
    options: CldrOptions,
) -> Own:
    """What a language has of the talks: of those in English, its first phrases of training.

    Talks of which it has nothing are left out.
    """
    most = None if options.is_many_to_one else options.phrases_in(language)
    taught = {phrase.english for phrase in train[:most]}
    found = []
    for talk in talks:
        if talk.language in ("en", language):
            utterances = [
                (phrase, time)
                for phrase, time in zip(talk.phrases, times[talk.name])
                if talk.split != "train" or phrase.english in taught
            ]
            if utterances:
                found.append((talk, utterances))
    return found


def _write_language(layout: MustC, language: str, talks: Own, work: Path) -> None:
    segments: Dict[str, List[Segment]] = {}
    for talk, utterances in talks:
        link_audio(work / talk.wav, layout.wav(language, talk.split, talk.wav))
        rows = segments.setdefault(talk.split, [])
        for phrase, (offset, duration) in utterances:
            source, target = map(phrase.text, layout.pair(language))
            speaker = f"spk.{talk.voice}"
            line = len(rows) + 1
            rows.append(Segment(talk.wav, offset, duration, speaker, source, target, line))
    for split, rows in segments.items():
        write_split(layout, language, split, rows)


def _record(
    options: CldrOptions,
    libraries: Dict[str, str],
    talks: Sequence[SpokenTalk],
    times: Times,
    own: Mapping[str, Own],
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
        if options.is_many_to_one or options.sizes:
            splits[split]["utterances_in"] = {
                language: sum(len(said) for talk, said in talks_of if talk.split == split)
                for language, talks_of in own.items()
            }
    languages: Dict[str, Any] = {"source": "en", "targets": options.chosen()}
    if options.is_many_to_one:
        languages = {"sources": options.chosen(), "target": "en"}
    return {
        **options.plain(),
        **languages,
        "splits": splits,
        "plan": dataclasses.asdict(options.plan),
        "libraries": libraries,
        "fairseq_gist": __version__,
    }
