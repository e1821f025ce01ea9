"""A corpus of nothing said."""

from fairseq_gist.corpora.base import Corpus


class Silence(Corpus):
    """Nothing, in two languages."""

    name = "silence"
    summary = "nothing said, in two languages"

    def build(self, options, folder, workers):
        """Write nothing."""
        folder.mkdir(parents=True, exist_ok=True)
        return {"utterances": 0}

    def describe(self, record):
        """Say so."""
        return ["no utterances"]


CORPUS = Silence()
