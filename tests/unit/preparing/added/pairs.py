"""A layout that somebody adds: this file is all of it.

``ROOT/XX/SPLIT.tsv`` has audio, transcript and translation of an utterance a line, and every
utterance is a file of its own beside it.
"""

import soundfile

from fairseq_gist.files import read_table
from fairseq_gist.preparing.layouts.base import Layout, Segment


class Pairs(Layout):
    """A table a split, a file an utterance."""

    name = "pairs"
    summary = "ROOT/XX/SPLIT.tsv"

    def languages(self):
        return sorted(path.name for path in self.root.iterdir() if path.is_dir())

    def folder(self, language):
        return language

    def files(self, language, split):
        return [self.listing(language, split)]

    def listing(self, language, split):
        return self.root / language / f"{split}.tsv"

    def segments(self, language, split):
        return [
            Segment(
                row["audio"],
                0.0,
                soundfile.info(str(self.wav(language, split, row["audio"]))).duration,
                "",
                row["transcript"],
                row["translation"],
                number,
            )
            for number, row in enumerate(read_table(self.listing(language, split)), start=1)
        ]

    def wav(self, language, split, name):
        return self.root / language / name


LAYOUT = Pairs
