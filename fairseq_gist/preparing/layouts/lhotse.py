"""Manifests of lhotse, read by lhotse: cuts, or recordings and supervisions, a file a split.

A translation is where recipes of lhotse put it: in a supervision's ``custom`` as ``tgt_text`` with
``tgt_lang``, as ``translated_text`` (language -> text), or as its own text in another language than
the spoken one.
"""

from __future__ import annotations

import functools
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Optional, Tuple

from fairseq_gist.errors import DataError
from fairseq_gist.files import missing
from fairseq_gist.languages.codes import canonical_code, same_code
from fairseq_gist.preparing.layouts.base import Segment
from fairseq_gist.preparing.layouts.paired import Paired
from fairseq_gist.preparing.layouts.reading import in_order

__all__ = ["LAYOUT", "Lhotse"]

_NAME = re.compile(
    r"^(?P<before>.*?)(?P<kind>recordings|supervisions|cuts)(?P<after>.*)\.jsonl?(\.gz)?$"
)
_TEXTS = ("tgt_text", "target_text", "translation")
_LANGUAGES = ("tgt_lang", "target_lang", "target_language")


class _Said(NamedTuple):
    """A translation, as a supervision has it."""

    number: int
    pair: Tuple[str, str]
    wav: str
    """Its path; behind a tab its channel, where the recording has several."""
    offset: float
    duration: float
    speaker: str
    source: str
    target: str


@dataclass
class _Found:
    """What the manifests of a split have."""

    said: List[_Said] = field(default_factory=list)
    wrong: Dict[int, str] = field(default_factory=dict)
    places: Dict[int, str] = field(default_factory=dict)
    """Number of a supervision -> where it is listed."""


class _Listed(NamedTuple):
    """A supervision with what it is of, or a cut without either and what is wrong with it."""

    place: str
    recording: Any
    supervision: Any
    times: Tuple[float, float]
    """Offset and duration in the recording, in seconds."""
    wrong: str = ""


@dataclass(frozen=True)
class Lhotse(Paired):
    """Manifests in the root, whose names end with the split: ``cuts_train.jsonl.gz``."""

    name = "lhotse"
    summary = (
        "ROOT/*cuts_SPLIT.jsonl.gz, or *recordings_SPLIT and *supervisions_SPLIT (needs lhotse)"
    )

    def splits(self) -> Tuple[str, ...]:
        """Those of the manifests' names."""
        return in_order(
            (
                split
                for split, found in self._read.items()
                if any(self.is_asked(*said.pair) for said in found.said)
            ),
            self.root,
        )

    def pairs(self) -> Iterable[Tuple[str, str]]:
        """Of all supervisions."""
        return {said.pair for found in self._read.values() for said in found.said}

    def languages(self) -> List[str]:
        """The languages there are; raises with what is wrong where no supervision has one."""
        if self.root.is_dir() and not any(self.pairs()):
            for found in self._read.values():
                raise DataError(next(iter(found.wrong.values()), f"{self.root}: no supervisions"))
        return super().languages()

    def has(self, language: str, split: str) -> bool:
        """Whether a supervision of the split is translated into, or spoken in, the language."""
        return any(True for _ in self._of(language, split))

    def listing(self, language: str, split: str) -> Path:
        """The manifest with the supervisions."""
        manifests = self._manifests.get(split)
        return manifests[-1] if manifests else self.root / f"cuts_{split}.jsonl.gz"

    def files(self, language: str, split: str) -> List[Path]:
        """The manifests of the split."""
        return self._manifests.get(split, [])

    def place(self, language: str, split: str, line: int) -> str:
        """A line of the manifest, and the supervision where a cut has several."""
        return self._read[split].places[line]

    def checked(self, language: str, split: str) -> Tuple[List[Segment], Dict[int, str]]:
        """The segments that are as they should be, and of the others by their line why not."""
        segments = [
            Segment(one.wav, one.offset, one.duration, one.speaker, one.source, one.target, number)
            for number, one in self._of(language, split)
        ]
        return segments, dict(self._read[split].wrong)

    def wav(self, language: str, split: str, name: str) -> Path:
        """A recording's file."""
        return Path(name.split("\t")[0])

    def channel(self, name: str) -> Optional[int]:
        """That of the supervision, where the recording has several."""
        _, tab, channel = name.partition("\t")
        return int(channel) if tab else None

    @classmethod
    def is_at(cls, root: Path) -> bool:
        """Whether there are manifests in it."""
        return any(_NAME.match(path.name) for path in root.glob("*.json*"))

    def _of(self, language: str, split: str) -> Iterator[Tuple[int, _Said]]:
        found = self._read.get(split)
        for said in found.said if found else ():
            if all(map(same_code, said.pair, self.pair(language))):
                yield said.number, said

    @functools.cached_property
    def _manifests(self) -> Dict[str, List[Path]]:
        """Split -> its cuts, or else its recordings and its supervisions."""
        kinds: Dict[str, Dict[str, Path]] = {}
        for path in sorted(self.root.glob("*.json*")):
            match = _NAME.match(path.name)
            if match:
                split = _split_of(match.group("before"), match.group("after"))
                known = kinds.setdefault(split, {}).setdefault(match.group("kind"), path)
                if known is not path:
                    raise DataError(
                        f"{self.root}: both {known.name} and {path.name} are {match.group('kind')} "
                        f"of {split or 'no split'}; leave one in the folder"
                    )
        found = {}
        for split, files in kinds.items():
            if "cuts" in files:
                found[split] = [files["cuts"]]
            elif len(files) == 2:
                found[split] = [files["recordings"], files["supervisions"]]
        return found

    @functools.cached_property
    def _read(self) -> Dict[str, _Found]:
        return {split: self._read_split(paths) for split, paths in self._manifests.items()}

    def _read_split(self, paths: List[Path]) -> _Found:
        found = _Found()
        for number, listed in enumerate(_supervisions(paths), 1):
            found.places[number] = listed.place
            try:
                found.said += self._said(number, listed)
            except DataError as error:
                found.wrong[number] = str(error)
        return found

    def _said(self, number: int, listed: _Listed) -> List[_Said]:
        if listed.wrong:
            raise DataError(f"{listed.place}: {listed.wrong}")
        supervision = listed.supervision
        wav = self._wav(listed.recording, supervision, listed.place)
        return [
            _Said(number, pair, wav, *listed.times, supervision.speaker or "", source, target)
            for pair, source, target in self._translations(supervision, listed.place)
        ]

    def _translations(
        self, supervision: Any, where: str
    ) -> Iterator[Tuple[Tuple[str, str], str, str]]:
        """Give pair, transcript and translation of each translation of a supervision."""
        custom, text = supervision.custom or {}, supervision.text or ""
        spoken = supervision.language
        spoken = spoken[0] if isinstance(spoken, list) and spoken else spoken
        spoken = canonical_code(spoken or self.source)
        several = custom.get("translated_text")
        name = next((name for name in _TEXTS if name in custom), None)
        if isinstance(several, dict) and several:
            for language, translation in several.items():
                yield (spoken, canonical_code(language)), text, str(translation)
        elif name is not None:
            language = next((custom[one] for one in _LANGUAGES if one in custom), None)
            if language is None:
                raise DataError(f"{where}: {name} of no language, expected tgt_lang beside it")
            yield (spoken, canonical_code(str(language))), text, str(custom[name])
        elif not self.is_many_to_one and not same_code(spoken, self.source):
            yield (canonical_code(self.source), spoken), "", text
        else:
            raise DataError(
                f"{where}: no translation: expected custom tgt_text and tgt_lang, or "
                f"translated_text, or text in another language than {spoken}"
            )

    def _wav(self, recording: Any, supervision: Any, where: str) -> str:
        if recording is None:
            raise DataError(f"{where}: no recording {supervision.recording_id} to cut it out of")
        sources = [one for one in recording.sources if one.type == "file"]
        if len(recording.sources) != 1 or not sources or recording.transforms:
            raise DataError(
                f"{where}: recording {recording.id} is not one file as it is; expected a source of "
                "type 'file', without transforms"
            )
        path = Path(sources[0].source)
        below = [self.root / path, self.root.parent / path, path]
        path = next((one for one in below if os.path.isfile(one)), below[0])
        channels = list(recording.channel_ids)
        channel = supervision.channel
        if len(channels) < 2 or isinstance(channel, list):
            return str(path)
        if channel not in channels:
            raise DataError(f"{where}: channel {channel} of {recording.id}, which has {channels}")
        return f"{path}\t{channels.index(channel)}"


LAYOUT = Lhotse


def _split_of(before: str, after: str) -> str:
    """The split that a manifest's name ends with, or begins: ``recordings_en-de_train``."""
    parts = [part for part in re.split(r"[_.]", after) if part]
    return parts[-1] if parts else re.split(r"[_.]", before.rstrip("_.-"))[-1]


def _supervisions(paths: List[Path]) -> Iterator[_Listed]:
    """Give all that is listed, in its order."""
    items = [_load(path) for path in paths]
    if len(items) == 1:
        for line, cut in enumerate(items[0], 1):
            yield from _of_cut(cut, f"{paths[0]}, line {line}")
        return
    recordings, supervisions = items
    if type(recordings).__name__ == "SupervisionSet":  # as a recipe of lhotse calls them
        recordings, supervisions = supervisions, recordings
    by_id = {one.id: one for one in recordings}
    for line, one in enumerate(supervisions, 1):
        times = one.start, one.duration
        yield _Listed(f"{paths[-1]}, line {line}", by_id.get(one.recording_id), one, times)


def _of_cut(cut: Any, place: str) -> Iterator[_Listed]:
    if getattr(cut, "recording", None) is None:
        found = f"cut {cut.id} is a {type(cut).__name__} without a recording"
        wrong = f"{found}; expected cuts out of recordings"
        yield _Listed(place, None, None, (0.0, 0.0), wrong)
        return
    several = len(cut.supervisions) > 1
    for one in cut.supervisions:
        start = max(0.0, one.start)
        times = cut.start + start, max(0.0, min(one.end, cut.duration) - start)
        where = f"{place}, supervision {one.id}" if several else place
        yield _Listed(where, cut.recording, one, times)


def _load(path: Path) -> Any:
    try:
        import lhotse
    except ImportError as error:
        raise DataError(
            f"{path}: lhotse's manifests are read by lhotse, which is missing: pip install "
            '"fairseq-gist[lhotse]" brings it'
        ) from error
    if not path.is_file():
        raise DataError(f"{path}: {missing(path)}")
    try:
        return lhotse.load_manifest(str(path))
    except Exception as error:  # lhotse lets through whatever its readers raise
        first = str(error).split("\n")[0]
        raise DataError(f"{path}: lhotse can't read it: {type(error).__name__}: {first}") from error
