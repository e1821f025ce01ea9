"""Phrases of the Unicode CLDR, spoken by eSpeak NG."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List

from fairseq_gist.corpora.base import Corpus
from fairseq_gist.corpora.cldr.options import CldrOptions

__all__ = ["CORPUS", "Cldr"]


class Cldr(Corpus):
    """English and up to sixteen languages, in either direction."""

    name = "cldr"
    summary = "phrases of the Unicode CLDR in nine languages or more, spoken by eSpeak NG"
    Options = CldrOptions
    example = """\
example:
  fairseq-gist corpus cldr runs/cldr --size small
  fairseq-gist prepare runs/cldr --vocab-size 600

  fairseq-gist corpus cldr runs/slavic --languages cs,pl,ru,sk,uk --sizes sk=150,uk=150

  fairseq-gist corpus cldr runs/into-english --direction many-to-one --sizes ro=300,ru=150
  fairseq-gist prepare runs/into-english --target en --vocab-size 300

needs: pip install "fairseq-gist[corpora]"
"""

    def build(self, options: CldrOptions, folder: Path, workers: int) -> Dict[str, Any]:
        """Write the corpus; see :func:`fairseq_gist.corpora.cldr.build.build`."""
        from fairseq_gist.corpora.cldr.build import build

        return build(folder, options, workers)

    def describe(self, record: Dict[str, Any]) -> List[str]:
        """Say how much of everything each split holds."""
        lines = [
            f"{split}: {found['utterances']} utterances of {found['phrases']} phrases in "
            f"{found['talks']} talks, {found['seconds']:.0f} seconds, {len(found['voices'])} "
            "voice(s)"
            for split, found in record["splits"].items()
        ]
        counts = record["splits"]["train"].get("utterances_in", {})
        each = ", ".join(f"{language} {count}" for language, count in counts.items())
        share = f", of training {each} utterances" if each else ""
        if "sources" in record:
            return [*lines, f"speech in {len(record['sources'])} languages{share}"]
        return [*lines, f"text and speech in {len(record['targets'])} languages{share}"]


CORPUS = Cldr()
