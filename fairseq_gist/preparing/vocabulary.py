"""Vocabularies: SentencePiece on all target texts, laid out as fairseq lays it out."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Iterable, List, Sequence

from fairseq_gist.errors import DataError
from fairseq_gist.files import read_lines, read_text, replacing
from fairseq_gist.languages.rows import LANGUAGE_TAG

__all__ = [
    "NORMALIZATIONS",
    "VOCABULARY_TYPES",
    "Vocabulary",
    "load_processor",
    "processor_of",
    "train_model",
    "train_vocabulary",
    "vocabulary_stem",
]

VOCABULARY_TYPES = ("unigram", "bpe", "char")

NORMALIZATIONS = ("nmt_nfkc", "identity")
"""What SentencePiece does to a text first: fairseq's recipes leave it at the former, which makes
plain forms of full-width letters, ligatures and the like; the latter keeps text."""

# fairseq's own symbols come first in its dictionaries, in this order; SentencePiece must agree.
_SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
_THREADS = 4  # fixed: the sums of EM depend on how the text is cut


def vocabulary_stem(kind: str, size: int, task: str) -> str:
    """Return the name, without extension, of the files of a vocabulary that is trained."""
    return f"spm_{kind}{size}_{task}"


def train_vocabulary(
    texts: Iterable[str],
    folder: Path,
    size: int,
    kind: str,
    languages: Sequence[str],
    task: str = "st",
    normalization: str = NORMALIZATIONS[0],
) -> str:
    """Write ``spm_{kind}{size}_{task}.{model,vocab,txt}`` into ``folder``; gives the common stem.

    The same texts in the same order give the same vocabulary.

    Args:
        texts: to learn from.
        folder: where the files go.
        size: of the vocabulary.
        kind: one of :data:`VOCABULARY_TYPES`.
        languages: whose tags it has.
        task: ``st`` or ``asr``.
        normalization: one of :data:`NORMALIZATIONS`.

    Raises:
        DataError: where no vocabulary of this size can be learned.
    """
    stem = vocabulary_stem(kind, size, task)
    option = "--vocab-size" if task == "st" else f"--{task}-vocab-size"
    tags = [LANGUAGE_TAG.format(language) for language in languages]
    model = train_model(texts, size, kind, normalization, tags, option)
    processor = processor_of(model)
    places = range(processor.get_piece_size())
    pieces = [(processor.id_to_piece(place), processor.get_score(place)) for place in places]
    scores = "".join(f"{piece}\t{score:g}\n" for piece, score in pieces)
    counts = "".join(f"{piece} 1\n" for piece, _ in pieces if piece not in _SPECIAL)
    for extension, content in (
        ("model", model),
        ("vocab", scores.encode()),
        ("txt", counts.encode()),
    ):
        with replacing(folder / f"{stem}.{extension}") as path:
            path.write_bytes(content)
    return stem


def train_model(
    texts: Iterable[str],
    size: int,
    kind: str,
    normalization: str,
    tags: Sequence[str] = (),
    option: str = "--vocab-size",
    is_at_most: bool = False,
) -> bytes:
    """Return a SentencePiece model that was learned from ``texts``.

    Args:
        texts: to learn from.
        size: of the vocabulary.
        kind: one of :data:`VOCABULARY_TYPES`.
        normalization: one of :data:`NORMALIZATIONS`.
        tags: pieces that are kept whole.
        option: that says the size, for errors.
        is_at_most: whether fewer pieces will do, where ``unigram`` finds no more in the texts.

    Raises:
        DataError: where no vocabulary of this size can be learned.
    """
    model = io.BytesIO()  # not a file, whose name would go into the model
    soft = {"hard_vocab_limit": False} if is_at_most and kind == "unigram" else {}
    # read before: sentencepiece makes a RuntimeError of what is raised while it reads, ctrl-C too
    lines = list(texts)
    try:
        _sentencepiece().SentencePieceTrainer.train(
            sentence_iterator=iter(lines),
            model_writer=model,
            model_type=kind,
            vocab_size=size,
            character_coverage=1.0,
            normalization_rule_name=normalization,
            num_threads=_THREADS,
            user_defined_symbols=list(tags),
            minloglevel=2,
            bos_id=0,
            pad_id=1,
            eos_id=2,
            unk_id=3,
            **soft,
        )
    except RuntimeError as error:
        raise DataError(_reason(str(error), option, size)) from error
    return model.getvalue()


@dataclass(frozen=True)
class Vocabulary:
    """An existing SentencePiece model and fairseq dictionary, checked against each other."""

    prefix: Path

    @property
    def stem(self) -> str:
        """The name of the two files, and of their copies."""
        return self.prefix.name

    @property
    def model(self) -> Path:
        """The SentencePiece model."""
        return self.prefix.with_name(f"{self.prefix.name}.model")

    @property
    def dictionary(self) -> Path:
        """The fairseq dictionary."""
        return self.prefix.with_name(f"{self.prefix.name}.txt")

    def check(self, languages: Sequence[str]) -> None:
        """Raise :class:`DataError` unless the files fit together and have all languages' tags."""
        files = (self.model, self.dictionary)
        missing = " and no ".join(path.name for path in files if not path.is_file())
        if missing:
            raise DataError(
                f"--vocabulary {self.prefix}: expected {self.model.name} and "
                f"{self.dictionary.name} in {self.prefix.parent}, found no {missing}"
            )
        symbols = self.symbols()
        tags = [LANGUAGE_TAG.format(language) for language in languages]
        lacking = [tag for tag in tags if tag not in symbols]
        if lacking:
            raise DataError(
                f"{self.dictionary}: no language tags {', '.join(lacking)}; expected those of all "
                f"languages ({', '.join(languages)}): choose another vocabulary, or --languages"
            )
        pieces = self._pieces()
        unknown = [piece for piece in pieces if piece not in symbols]
        if unknown:
            raise DataError(
                f"{self.dictionary} does not fit {self.model.name}: it lacks {_some(unknown)} of "
                f"the model's {len(pieces)} pieces"
            )
        known = set(pieces)
        strange = [symbol for symbol in symbols if symbol not in known and not _MADE.match(symbol)]
        if strange:
            raise DataError(
                f"{self.dictionary} does not fit {self.model.name}: the model never gives "
                f"{_some(strange)} of the dictionary's {len(symbols)} symbols"
            )

    def copy(self, folder: Path) -> str:
        """Copy both files into ``folder``; gives their stem."""
        with replacing(folder / self.model.name) as path:
            path.write_bytes(self.model.read_bytes())
        with replacing(folder / self.dictionary.name) as path:
            # fairseq would take a byte order mark for a part of the first symbol
            path.write_bytes(read_text(self.dictionary).encode())
        return self.stem

    def symbols(self) -> Dict[str, int]:
        """The dictionary's symbols, with the line that each is on."""
        symbols: Dict[str, int] = {}
        for number, line in enumerate(read_lines(self.dictionary), 1):
            symbol, _, count = line.replace(" #fairseq:overwrite", "").rpartition(" ")
            if not symbol or not (count.isascii() and count.isdigit()):
                raise DataError(
                    f"{self.dictionary}, line {number}: expected a symbol, a space and a number, "
                    f"found {line!r}"
                )
            if symbol in symbols:
                raise DataError(
                    f"{self.dictionary}, line {number}: {symbol!r} is on line {symbols[symbol]} too"
                )
            symbols[symbol] = number
        return symbols

    def _pieces(self) -> List[str]:
        """What the model can give, without fairseq's own symbols."""
        processor = load_processor(self.model)
        return [
            processor.id_to_piece(place)
            for place in range(processor.get_piece_size())
            if not (processor.is_control(place) or processor.is_unknown(place))
        ]


def load_processor(model: Path) -> Any:
    """Return what encodes by a SentencePiece model.

    Raises:
        DataError: where the file is none.
    """
    processor = _sentencepiece().SentencePieceProcessor()
    try:
        processor.LoadFromSerializedProto(model.read_bytes())
    except RuntimeError as error:
        raise DataError(f"{model}: not a SentencePiece model") from error
    return processor


def processor_of(model: bytes) -> Any:
    """Return what encodes by a SentencePiece model that was just learned."""
    return _sentencepiece().SentencePieceProcessor(model_proto=model)


_MADE = re.compile(r"^(<lang:.+>|madeupword\d+)$")
"""Symbols that are no pieces: tags are put before a text, and fairseq pads dictionaries."""


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:5]))
    return f"{len(names)} ({shown}{', ...' if len(names) > 5 else ''})"


def _sentencepiece() -> Any:
    try:
        import sentencepiece
    except ImportError as error:
        raise DataError("sentencepiece is missing: pip install sentencepiece brings it") from error
    return sentencepiece


def _reason(message: str, option: str, size: int) -> str:
    largest = re.search(r"value <= (\d+)", message)
    if largest:
        return (
            f"{option} {size} is too large for the text of train: "
            f"the most it can give is {largest.group(1)}"
        )
    smallest = re.search(r"required_chars\D*(\d+) vs (\d+)", message)
    if smallest:
        return (
            f"{option} {size} is too small: the characters and language tags alone "
            f"are {smallest.group(2)}"
        )
    return f"sentencepiece could not learn a vocabulary of {size}: {message}"
