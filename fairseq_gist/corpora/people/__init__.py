"""Human speech with translations, from packages of Debian."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List

from fairseq_gist.corpora.base import Corpus
from fairseq_gist.corpora.people.options import PeopleOptions

__all__ = ["CORPUS", "People"]


class People(Corpus):
    """Twelve languages into English, or Czech into ten."""

    name = "people"
    summary = "human speech with translations, from packages of Debian: into English, or from Czech"
    Options = PeopleOptions
    example = """\
example:
  fairseq-gist examples examples
  examples/people/fetch.sh packages
  fairseq-gist corpus people runs/people --packages packages
  fairseq-gist prepare runs/people --target en --vocab-size 2000

  fairseq-gist corpus people runs/czech --packages packages --direction one-to-many
  fairseq-gist prepare runs/czech --source cs --vocab-size 4000

needs: pip install "fairseq-gist[corpora]"
"""

    def build(self, options: PeopleOptions, folder: Path, workers: int) -> Dict[str, Any]:
        """Write the corpus; see :func:`fairseq_gist.corpora.people.build.build`."""
        from fairseq_gist.corpora.people.build import build

        return build(folder, options, workers)

    def describe(self, record: Dict[str, Any]) -> List[str]:
        """Say how much of everything each split holds, and how much is left out."""
        lines: List[str] = []
        for split, found in record["splits"].items():
            spoken = found["languages"]
            counts = ", ".join(f"{one} {spoken[one]['utterances']}" for one in spoken)
            minutes = sum(one["seconds"] for one in spoken.values()) / 60
            lines.append(f"{split}: {found['phrases']} phrases, {minutes:.1f} minutes: {counts}")
        dropped = {rule: sum(counts.values()) for rule, counts in record["dropped"].items()}
        shown = ", ".join(f"{rule} {count}" for rule, count in dropped.items() if count)
        return [*lines, f"left out: {shown or 'nothing'}"]


CORPUS = People()
