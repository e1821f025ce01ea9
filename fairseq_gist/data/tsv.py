"""The TSV manifests of fairseq's ``speech_to_text`` task, one row a translation."""

from __future__ import annotations

import re
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Dict, Iterator, List, Mapping, Sequence, TextIO, Tuple

from tqdm import tqdm

from fairseq_gist.data.mustc import Layout, Segment, read_segments
from fairseq_gist.data.survey import Survey, span_of
from fairseq_gist.data.talk_features import Span
from fairseq_gist.errors import DataError
from fairseq_gist.files import replacing

__all__ = ["COLUMNS", "Places", "TsvWriter", "target_texts"]

COLUMNS = ("id", "audio", "n_frames", "tgt_text", "speaker", "src_text", "src_lang", "tgt_lang")

Places = Mapping[str, Mapping[Span, Tuple[str, int]]]
"""Talk -> utterance -> (``zip:offset:length``, frames) of what is kept."""

_BREAKS = re.compile(r"[\t\r\n\0\v\f\x1c-\x1e\x85\u2028\u2029]+")


class TsvWriter:
    """Writes the manifests of one preparation."""

    def __init__(
        self,
        layout: Layout,
        survey: Survey,
        out: Path,
        places: Places,
        languages: Sequence[str],
    ) -> None:
        self._layout, self._survey, self._out = layout, survey, out
        self._places, self._languages = places, languages

    def write(self, split: str) -> Dict[str, int]:
        """``SPLIT.tsv`` with the rows of all languages, and ``SPLIT_XX.tsv`` for each of them.

        Gives how many rows were kept, and dropped for which reason.
        """
        counts: Counter[str] = Counter(rows=0, dropped_for_length=0, dropped_without_text=0)
        with ExitStack() as stack:
            joint = self._open(stack, split)
            for language in tqdm(
                self._languages, desc=f"writing {split}", unit="language", disable=None
            ):
                own = self._open(stack, f"{split}_{language}")
                before = counts["rows"]
                for _, row in self._rows(split, language, counts):
                    joint.write(row)
                    own.write(row)
                    counts["rows"] += 1
                if counts["rows"] == before:
                    raise DataError(
                        f"{self._layout.split(language, split)}: no utterance is left; "
                        f"{counts['dropped_for_length']} were dropped for their length"
                    )
        return dict(counts)

    def write_multiway(self, split: str) -> int:
        """``multiway.tsv``: utterances of ``split`` with all languages, rows side by side.

        Gives how many there are; with none, no file is written.
        """
        rows: Dict[Tuple[str, Span], List[str]] = {}
        for language in self._languages:
            first: Dict[Tuple[str, Span], str] = {}
            for key, row in self._rows(split, language, Counter()):
                first.setdefault(key, row)
            for key, row in first.items():
                rows.setdefault(key, []).append(row)
        complete = [each for each in rows.values() if len(each) == len(self._languages)]
        if not complete:
            return 0
        with ExitStack() as stack:
            file = self._open(stack, "multiway")
            for each in complete:
                file.writelines(each)
        return len(complete)

    def _open(self, stack: ExitStack, name: str) -> TextIO:
        path = stack.enter_context(replacing(self._out / f"{name}.tsv"))
        file = stack.enter_context(path.open("w", encoding="utf-8", newline="\n"))
        file.write("\t".join(COLUMNS) + "\n")
        return file

    def _rows(
        self, split: str, language: str, counts: Counter[str]
    ) -> Iterator[Tuple[Tuple[str, Span], str]]:
        seen: Counter[Tuple[str, Span]] = Counter()
        for segment in read_segments(self._layout, language, split):
            talk, span = self._survey.talk(language, split, segment.wav), span_of(segment)
            place = self._places[talk.name].get(span)
            if place is None:
                counts["dropped_for_length"] += 1
                continue
            if not _clean(segment.target):
                counts["dropped_without_text"] += 1
                continue
            key = (talk.name, span)
            name = f"{talk.name.split('/', 1)[1]}_{talk.index(span)}"
            if seen[key]:  # the same audio twice in one language
                name += f".{seen[key]}"
            seen[key] += 1
            yield key, self._row(f"{name}_{language}", place, segment, language)

    def _row(self, name: str, place: Tuple[str, int], segment: Segment, language: str) -> str:
        values = (
            name,
            place[0],
            str(place[1]),
            segment.target,
            segment.speaker or "unknown",
            segment.source,
            self._layout.source,
            language,
        )
        return "\t".join(map(_clean, values)) + "\n"


def target_texts(path: Path) -> Iterator[str]:
    """The translations of a manifest, in order."""
    column = COLUMNS.index("tgt_text")
    with open(path, encoding="utf-8", newline="\n") as file:
        next(file)
        for line in file:
            yield line.rstrip("\n").split("\t")[column]


def _clean(text: str) -> str:
    """``text`` without what would end a cell or a line of the TSV; quotes stay as they are."""
    return _BREAKS.sub(" ", text).strip()
