"""The corpus "cldr": phrases of the Unicode CLDR, spoken by eSpeak NG, in the MuST-C layout.

English is spoken and translated into eight languages, or these are spoken and translated into
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
from typing import Any, Dict, List, Optional, Sequence, Tuple

from tqdm import tqdm

from fairseq_gist import __version__
from fairseq_gist.corpora.audio import link_audio
from fairseq_gist.corpora.base import making
from fairseq_gist.corpora.cldr import speech
from fairseq_gist.corpora.cldr.casting import english_talks, talks_in
from fairseq_gist.corpora.cldr.options import CldrOptions, Size
from fairseq_gist.corpora.cldr.phrases import Phrase, choose
from fairseq_gist.corpora.cldr.talks import SpokenTalk, speak_all
from fairseq_gist.errors import DataError
from fairseq_gist.preparing.layouts.base import Segment
from fairseq_gist.preparing.layouts.mustc import MustC, write_split
from fairseq_gist.preparing.making import Making

__all__ = ["build"]

logger = logging.getLogger(__name__)


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
    phrases = _split(plan, options.seed)
    layout = MustC(out, target="en" if options.is_many_to_one else None)
    if layout.is_many_to_one:
        most = {language: options.sizes.get(language, plan.train) for language in chosen}
        talks = [
            talk for one in chosen for talk in talks_in(one, phrases, plan, options.seed, most[one])
        ]
    else:
        talks = english_talks(phrases, plan, options.seed)
    libraries = {name: metadata.version(name) for name in ("babel", "num2words")}
    libraries["eSpeak NG"] = speech.version()
    make.begin({**options.plain(), "libraries": libraries, "fairseq_gist": __version__})
    times = speak_all(talks, make.work, workers)
    for language in tqdm(chosen, desc="writing languages", unit="language", disable=None):
        own = [talk for talk in talks if talk.language in ("en", language)]
        _write_language(layout, language, own, times, make.work)
    record = _record(options, libraries, talks, times)
    make.finish(record)
    return record


def _finished(make: Making, options: CldrOptions) -> Optional[Dict[str, Any]]:
    """What a finished corpus of these options says, or None where there is one to make."""
    found = make.record({"splits": dict, "libraries": dict})
    if found is not None:
        make.check_same(found, options.plain())
        make.sweep()
        return found
    out = make.folder
    if not make.is_begun and out.exists() and any(p != make.work for p in out.iterdir()):
        raise DataError(f"{out}: holds other files; expected a new folder or a corpus of this kind")
    return None


def _split(plan: Size, seed: int) -> Dict[str, List[Phrase]]:
    """Phrases of every split; no English phrase is in two of them."""
    phrases = choose(plan.train + plan.dev + plan.test, seed, plan.names)
    return {
        "tst-COMMON": phrases[: plan.test],
        "dev": phrases[plan.test : plan.test + plan.dev],
        "train": phrases[plan.test + plan.dev :],
    }


def _write_language(
    layout: MustC,
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


def _record(
    options: CldrOptions,
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
        if options.is_many_to_one:
            splits[split]["utterances_in"] = {
                language: sum(len(talk.phrases) for talk in mine if talk.language == language)
                for language in options.chosen()
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
