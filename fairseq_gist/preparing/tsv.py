"""The TSV manifests of fairseq's ``speech_to_text`` task, one row a translation."""

from __future__ import annotations

import re
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, TextIO, Tuple

from tqdm import tqdm

from fairseq_gist.errors import DataError
from fairseq_gist.files import iter_lines, replacing
from fairseq_gist.preparing.alignment import Distinct, Row, align_by_time
from fairseq_gist.preparing.layouts.base import Layout, Segment
from fairseq_gist.preparing.parallel import align_by_translation
from fairseq_gist.preparing.survey import Survey, span_of
from fairseq_gist.preparing.talk_features import Span

__all__ = [
    "ASR",
    "COLUMNS",
    "TOO_LONG",
    "TOO_SHORT",
    "Dropped",
    "Places",
    "TsvWriter",
    "dropped_for",
    "target_texts",
    "texts_by_language",
]

COLUMNS = ("id", "audio", "n_frames", "tgt_text", "speaker", "src_text", "src_lang", "tgt_lang")

Dropped = Mapping[Tuple[str, Span], str]
"""(Talk, utterance) -> one of ``dropped_too_short`` and ``dropped_too_long``."""

Places = Mapping[str, Mapping[Span, Tuple[str, int]]]
"""Talk -> utterance -> (``zip:offset:length``, frames) of what is kept."""

ASR = "asr"
"""Ends the names of what serves speech recognition, as in fairseq's recipes."""

TOO_SHORT, TOO_LONG = "dropped_too_short", "dropped_too_long"
_WITHOUT_TEXT, _FAULTY = "dropped_without_text", "dropped_as_faulty"
_COUNTED = ("rows", TOO_SHORT, TOO_LONG, _WITHOUT_TEXT)
_BREAKS = re.compile(r"[\t\r\n\0\v\f\x1c-\x1e\x85\u2028\u2029]+")


class TsvWriter:
    """Writes the manifests of one preparation."""

    def __init__(
        self,
        layout: Layout,
        survey: Survey,
        out: Path,
        places: Places,
        dropped: Dropped,
        languages: Sequence[str],
    ) -> None:
        self._layout, self._survey, self._out = layout, survey, out
        self._places, self._dropped, self._languages = places, dropped, languages

    def write(self, split: str) -> Dict[str, int]:
        """``SPLIT.tsv`` with the rows of all languages, and ``SPLIT_XX.tsv`` for each of them.

        Gives how many rows were kept, and dropped for which reason.
        """
        counts: Counter[str] = Counter(dict.fromkeys(_COUNTED, 0))
        with ExitStack() as stack:
            joint = self._open(stack, split)
            for language in tqdm(
                self._survey.languages(split),
                desc=f"writing {split}",
                unit="language",
                disable=None,
            ):
                own = self._open(stack, f"{split}_{language}")
                found = self._faulty(split, language)
                for entry in self._entries(split, language):
                    found[entry.dropped or "rows"] += 1
                    if not entry.dropped:
                        row = self._row(entry, entry.segment.target, language)
                        joint.write(row)
                        own.write(row)
                self._check_left(found, split, language)
                counts.update(found)
        return dict(counts)

    def write_multiway(self, splits: Sequence[str], tolerance: float) -> Dict[str, Any]:
        """``multiway.tsv``: utterances with all languages, their rows side by side.

        Where they are one utterance's translations, all its rows have the audio, transcript and
        speaker of the first language, and the ids that they have in ``SPLIT.tsv``; where many
        languages say the same, each row is as it is there. Gives, for every split, what was
        counted in aligning them; with no utterance no file is written.
        """
        found = {}
        rows: List[str] = []
        for split in splits:
            entries = {
                language: {entry.segment.line: entry for entry in self._entries(split, language)}
                for language in self._languages
            }
            there = {
                language: [Row(entry.segment, entry.dropped) for entry in each.values()]
                for language, each in entries.items()
            }
            spoken = self._layout.is_many_to_one
            aligned = align_by_translation(there) if spoken else align_by_time(there, tolerance)
            found[split] = aligned.counts()
            for utterance in aligned.rows:
                first = entries[self._languages[0]][utterance[0].segment.line]
                for language, row in zip(self._languages, utterance):
                    own = entries[language][row.segment.line]
                    if not spoken:
                        own = replace(first, name=own.name)
                    rows.append(self._row(own, row.segment.target, language))
        if rows:
            with ExitStack() as stack:
                self._open(stack, "multiway").writelines(rows)
        elif (stale := self._out / "multiway.tsv").is_file():  # of an unfinished run
            stale.unlink()
        return found

    def write_transcripts(self, split: str, tolerance: float) -> Dict[str, int]:
        """``SPLIT_asr.tsv``: every utterance of any language once, its transcript as the target.

        Gives how many rows were kept, and dropped for which reason.
        """
        counts: Counter[str] = Counter(dict.fromkeys(_COUNTED, 0))
        utterances, written = Distinct(tolerance), set()
        with ExitStack() as stack:
            file = self._open(stack, f"{split}_{ASR}")
            for language in self._survey.languages(split):
                source, _ = self._layout.pair(language)
                if self._layout.is_many_to_one:
                    utterances = Distinct(tolerance)
                for entry in self._entries(split, language, of_source=True):
                    # the same audio with another transcript is new, and would have the same id
                    if utterances.is_new(entry.segment) and entry.name not in written:
                        written.add(entry.name)
                        counts[entry.dropped or "rows"] += 1
                        if not entry.dropped:
                            file.write(self._transcript(entry, source))
            self._check_left(counts, split, self._languages[0])
        return dict(counts)

    def _faulty(self, split: str, language: str) -> Counter[str]:
        count = self._survey.left_out(language, split)
        return Counter({_FAULTY: count} if count else {})

    def _check_left(self, counts: Counter[str], split: str, language: str) -> None:
        if not counts["rows"]:
            dropped = ", ".join(dropped_for(counts))
            listing = self._layout.listing(language, split)
            raise DataError(f"{listing}: no utterance is left; dropped: {dropped or 'none'}")

    def _open(self, stack: ExitStack, name: str) -> TextIO:
        path = stack.enter_context(replacing(self._out / f"{name}.tsv"))
        file = stack.enter_context(path.open("w", encoding="utf-8", newline="\n"))
        file.write("\t".join(COLUMNS) + "\n")
        return file

    def _entries(self, split: str, language: str, of_source: bool = False) -> Iterator[_Entry]:
        """Every segment of a split in one language, or its source, dropped ones among them."""
        seen: Counter[Tuple[str, Span]] = Counter()
        for segment in self._survey.segments(language, split):
            talk, span = self._survey.talk(language, split, segment.wav), span_of(segment)
            place, dropped = self._places[talk.name].get(span), self._dropped.get((talk.name, span))
            name = f"{talk.name.split('/', 1)[1]}_{talk.index(span)}"
            if not self._survey.is_heard(talk, span):
                yield _Entry(segment, name, dropped=_FAULTY)
            elif place is None:
                yield _Entry(segment, name, dropped=dropped)
            elif not _clean(segment.source if of_source else segment.target):
                yield _Entry(segment, name, dropped=_WITHOUT_TEXT)
            else:
                key = (talk.name, span)
                if seen[key] and not of_source:  # the same audio twice in one language
                    name += f".{seen[key]}"
                seen[key] += 1
                yield _Entry(segment, name, place)

    def _row(self, entry: _Entry, text: str, language: str) -> str:
        return _line(entry, f"{entry.name}_{language}", text, *self._layout.pair(language))

    def _transcript(self, entry: _Entry, source: str) -> str:
        return _line(entry, f"{entry.name}_{source}", entry.segment.source, source, source)


@dataclass(frozen=True)
class _Entry:
    segment: Segment
    name: str
    """Of the utterance; with the language behind it, the row's id."""
    place: Tuple[str, int] = ("", 0)
    """``zip:offset:length`` and frames, of what isn't dropped."""
    dropped: Optional[str] = None


def _line(entry: _Entry, name: str, text: str, source: str, target: str) -> str:
    values = (
        name,
        entry.place[0],
        str(entry.place[1]),
        text,
        entry.segment.speaker or "unknown",
        entry.segment.source,
        source,
        target,
    )
    return "\t".join(map(_clean, values)) + "\n"


def dropped_for(counts: Mapping[str, int]) -> List[str]:
    """Return the reasons that utterances were dropped for, with the number of each.

    >>> dropped_for({"rows": 7, "dropped_too_short": 1, "dropped_without_text": 0})
    ['too short 1']
    """
    start = "dropped_"
    return [
        f"{reason[len(start) :].replace('_', ' ')} {count}"
        for reason, count in counts.items()
        if reason.startswith(start) and count
    ]


def target_texts(path: Path) -> Iterator[str]:
    """The translations of a manifest, in order."""
    column = COLUMNS.index("tgt_text")
    lines = iter_lines(path)
    next(lines)
    for line in lines:
        yield line.split("\t")[column]


def texts_by_language(paths: Iterable[Path]) -> Dict[str, List[str]]:
    """Return the translations of some manifests by what they are written in."""
    texts: Dict[str, List[str]] = {}
    text, language = COLUMNS.index("tgt_text"), COLUMNS.index("tgt_lang")
    for path in paths:
        for line in islice(iter_lines(path), 1, None):
            cells = line.split("\t")
            texts.setdefault(cells[language], []).append(cells[text])
    return texts


def _clean(text: str) -> str:
    """``text`` without what would end a cell or a line of the TSV; quotes stay as they are."""
    return _BREAKS.sub(" ", text).strip()
