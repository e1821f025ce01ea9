"""A corpus that somebody adds: this folder is all of it."""

import wave
from dataclasses import dataclass, field

import numpy as np

from fairseq_gist.corpora.base import Corpus, making
from fairseq_gist.preparing.layouts.base import Segment
from fairseq_gist.preparing.layouts.mustc import MustC, write_split


@dataclass(frozen=True)
class Options:
    count: int = field(default=6, metadata={"help": "utterances of a split"})


class Tones(Corpus):
    """One tone an utterance, called by its name in two languages."""

    name = "tones"
    summary = "names of tones in two languages"
    Options = Options

    def build(self, options, folder, workers):
        made = making(folder)
        record = made.record({"utterances": int})
        wanted = {"corpus": self.name, "utterances": options.count}
        if record is not None:
            made.check_same(record, wanted)
            return record
        made.begin(wanted)
        for language in ("de", "fr"):
            for split in ("train", "dev", "tst-COMMON"):
                self._write(MustC(folder), language, split, options.count)
        made.finish(wanted)
        return wanted

    def _write(self, layout, language, split, count):
        path = layout.wav(language, split, f"{split}.wav")
        path.parent.mkdir(parents=True)
        time = np.arange(16000 * count) / 16000
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(16000)
            file.writeframes((9000 * np.sin(time * 2765)).astype("<i2").tobytes())
        rows = [
            Segment(path.name, float(n), 0.9, "spk.1", f"tone {n}", f"{language} {n}", n + 1)
            for n in range(count)
        ]
        write_split(layout, language, split, rows)

    def describe(self, record):
        return [f"{record['utterances']} tones a split"]


CORPUS = Tones()
