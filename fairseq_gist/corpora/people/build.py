"""The corpus "people": human speech from packages of Debian, in the MuST-C layout.

Packages are read, every recording is decoded, what doesn't fit is left out by rules, and the rest
is split. Nothing is drawn: the same packages give the same bytes. A build that was interrupted
goes on with the recordings that it has decoded.
"""

from __future__ import annotations

import logging
from importlib import metadata
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence

from fairseq_gist import __version__
from fairseq_gist.corpora.audio import link_audio
from fairseq_gist.corpora.base import making
from fairseq_gist.corpora.people.card import write_card
from fairseq_gist.corpora.people.contents import read
from fairseq_gist.corpora.people.options import FROM_CZECH, PeopleOptions
from fairseq_gist.corpora.people.packages import Package, find, needed
from fairseq_gist.corpora.people.phrases import Dropped, Utterance
from fairseq_gist.corpora.people.recordings import decode_all
from fairseq_gist.corpora.people.rules import RULES, sift
from fairseq_gist.corpora.people.splits import SPLITS, apart, cut, overlap, split_groups
from fairseq_gist.errors import DataError
from fairseq_gist.files import replacing
from fairseq_gist.preparing.layouts.base import Segment
from fairseq_gist.preparing.layouts.mustc import MustC, write_split
from fairseq_gist.preparing.making import Making

__all__ = ["build"]

logger = logging.getLogger(__name__)


def build(out: Path, options: PeopleOptions, workers: int) -> Dict[str, Any]:
    """Write the corpus under ``out``, or finish it; gives what ``corpus.json`` says.

    Args:
        out: folder to write.
        options: what the corpus depends on.
        workers: threads that decode at a time.

    Raises:
        OptionError: for languages that can't be.
        DataError: for packages that are missing or damaged, or where ``out`` holds anything else.
    """
    options.validate()
    make = making(out)
    names = needed(options.spoken(), options.is_many_to_one)
    finished = _finished(make, options, names)
    if finished is not None:
        logger.info("%s: already there, nothing to do", out)
        return finished
    packages = find(options.packages, names, options.any_version)
    wanted = {**options.plain(), "packages": _plain(packages)}
    before = make.unfinished()
    if before is not None:
        _check_same(make, before, options, packages)
    contents = read(packages, options.spoken())  # first: a damaged package leaves nothing behind
    make.begin({**wanted, "fairseq_gist": __version__})
    heard = decode_all(contents.recordings, make.work / "wav", workers)
    targets = ("en",) if options.is_many_to_one else FROM_CZECH
    utterances, dropped = sift(heard, contents.phrases, targets)
    made, said_twice = apart(utterances, split_groups(contents.phrases.values()))
    made, left = cut(made, options.plan)
    dropped += said_twice + left
    if overlap(made):
        raise RuntimeError("a sentence is in two splits; this is a mistake of this command")
    for language in options.chosen():
        _write_language(MustC(out, **_sides(options)), language, made, make.work / "wav")
    _write_dropped(out / "dropped.tsv", dropped)
    record = {
        **wanted,
        "splits": _counts(made),
        "dropped": _drops(dropped),
        "libraries": _libraries(packages),
        "fairseq_gist": __version__,
    }
    write_card(out, record, contents.licences)
    make.finish(record)
    return record


def _finished(
    make: Making, options: PeopleOptions, names: Sequence[str]
) -> Optional[Dict[str, Any]]:
    """What a finished corpus of these options says, or None where there is one to make."""
    found = make.record({"splits": dict, "packages": dict, "dropped": dict})
    if found is not None:
        there = [name for name in names if any(options.packages.glob(f"{name}_*.deb"))]
        packages = find(options.packages, there, options.any_version) if there else []
        _check_same(make, found, options, packages)
        make.sweep()
        return found
    out = make.folder
    if not make.is_begun and out.exists() and any(p != make.work for p in out.iterdir()):
        raise DataError(f"{out}: holds other files; expected a new folder or a corpus of this kind")
    return None


def _check_same(
    make: Making, found: Mapping[str, Any], options: PeopleOptions, packages: Sequence[Package]
) -> None:
    """Raise DataError unless a record is that of a corpus of these options and packages."""
    wanted = options.plain()
    make.check_same(found, wanted, names=wanted)
    made_from = found.get("packages")
    for one in packages:
        if not isinstance(made_from, dict) or made_from.get(one.name) != _plain([one])[one.name]:
            raise DataError(
                f"{make.folder}: {make.made} with another {one.name} than {one.path}; "
                f"{make.way_out}"
            )


def _plain(packages: Sequence[Package]) -> Dict[str, Dict[str, str]]:
    return {one.name: {"version": one.version, "sha256": one.sha256} for one in packages}


def _libraries(packages: Sequence[Package]) -> Dict[str, str]:
    decoders = ["G722"] if any(one.name.endswith("-g722") for one in packages) else []
    return {name: metadata.version(name) for name in ("soundfile", "scipy", *decoders)}


def _sides(options: PeopleOptions) -> Dict[str, str]:
    return {"target": "en"} if options.is_many_to_one else {"source": "cs"}


def _write_language(
    layout: MustC, language: str, made: Mapping[str, Sequence[Utterance]], audio: Path
) -> None:
    source, target = layout.pair(language)
    for split in SPLITS:
        rows: List[Segment] = []
        for one in made[split]:
            if one.language != source:
                continue
            wav, texts = one.heard.wav, one.phrase.texts
            link_audio(audio / wav, layout.wav(language, split, wav))
            rows.append(
                Segment(
                    wav,
                    0.0,
                    one.heard.seconds,
                    one.speaker,
                    texts[source],
                    texts[target],
                    len(rows) + 1,
                )
            )
        write_split(layout, language, split, rows)


def _write_dropped(path: Path, dropped: Sequence[Dropped]) -> None:
    """Write a table of what is left out, one recording a row."""
    order = list(RULES)
    rows = sorted(
        (order.index(one.rule), one.heard.language, one.heard.recording.file, one)
        for one in dropped
    )
    lines = ["rule\tlanguage\tseconds\tfile\ttext\n"]
    for _, language, file, one in rows:
        cells = (one.rule, language, f"{one.heard.seconds:.2f}", file, one.text)
        lines.append("\t".join(" ".join(cell.split()) for cell in cells) + "\n")
    with replacing(path) as temporary:
        temporary.write_bytes("".join(lines).encode())


def _counts(made: Mapping[str, Sequence[Utterance]]) -> Dict[str, Any]:
    counts: Dict[str, Any] = {}
    for split in SPLITS:
        spoken: Dict[str, Any] = {}
        for language in sorted({one.language for one in made[split]}):
            own = [one for one in made[split] if one.language == language]
            spoken[language] = {
                "utterances": len(own),
                "seconds": round(sum(one.heard.seconds for one in own), 2),
                "speakers": _tally([one.speaker for one in own]),
            }
        phrases = {one.phrase.key for one in made[split]}
        counts[split] = {"phrases": len(phrases), "languages": spoken}
    return counts


def _drops(dropped: Sequence[Dropped]) -> Dict[str, Dict[str, int]]:
    """Return how many each rule left out, by language."""
    return {
        rule: _tally([one.heard.language for one in dropped if one.rule == rule]) for rule in RULES
    }


def _tally(names: Sequence[str]) -> Dict[str, int]:
    return {name: names.count(name) for name in sorted(set(names))}
