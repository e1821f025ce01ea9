"""Letters, features from a file, and how a translation begins: by its language and a word."""

from pathlib import Path

import numpy as np
import torch
from fairseq.data import Dictionary

from fairseq_gist.architectures.inputs import Inputs
from fairseq_gist.errors import DataError, OptionError
from fairseq_gist.languages.rows import LANGUAGE_TAG


class Letters:
    def encode(self, text):
        return " ".join(text.replace(" ", "_"))

    def decode(self, symbols):
        return symbols.replace(" ", "").replace("_", " ")


class ToyInputs(Inputs):
    prefix_size = 2
    unspoken = ("<translate>",)

    def __init__(self, options):
        file = Path(options.toy_path) / "letters.txt"
        if not file.is_file():
            raise OptionError(f"--toy-path {options.toy_path}: it has no letters.txt")
        *languages, letters = file.read_text(encoding="utf-8").split()
        self.languages, self.pieces = languages, Letters()
        self.dictionary = Dictionary()
        for symbol in (*map(LANGUAGE_TAG.format, languages), "<translate>", *letters, "_"):
            self.dictionary.add_symbol(symbol)

    def features(self, path, transforms=None):
        return torch.from_numpy(np.load(path)[:, :4].astype(np.float32))

    def length(self, path):
        return len(np.load(path))

    def prefix(self, source, target):
        if source == "xx":
            raise DataError("the toy doesn't hear 'xx'")
        return (LANGUAGE_TAG.format(target), "<translate>")
