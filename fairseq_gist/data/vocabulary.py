"""The joint vocabulary: SentencePiece on all target texts, laid out as fairseq lays it out."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Iterable, Sequence

from fairseq_gist.errors import DataError
from fairseq_gist.files import replacing
from fairseq_gist.languages import LANGUAGE_TAG

__all__ = ["VOCABULARY_TYPES", "train_vocabulary"]

VOCABULARY_TYPES = ("unigram", "bpe", "char")

# fairseq's own symbols come first in its dictionaries, in this order; SentencePiece must agree.
_SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
_THREADS = 4  # fixed: the sums of EM depend on how the text is cut


def train_vocabulary(
    texts: Iterable[str], folder: Path, size: int, kind: str, languages: Sequence[str]
) -> str:
    """Write ``spm_{kind}{size}_st.{model,vocab,txt}`` into ``folder``; gives the common stem.

    The same texts in the same order give the same vocabulary.
    """
    try:
        import sentencepiece
    except ImportError as error:
        raise DataError("sentencepiece is missing: pip install sentencepiece brings it") from error
    stem = f"spm_{kind}{size}_st"
    model = io.BytesIO()  # not a file, whose name would go into the model
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(texts),
            model_writer=model,
            model_type=kind,
            vocab_size=size,
            character_coverage=1.0,
            num_threads=_THREADS,
            user_defined_symbols=[LANGUAGE_TAG.format(language) for language in languages],
            minloglevel=2,
            bos_id=0,
            pad_id=1,
            eos_id=2,
            unk_id=3,
        )
    except RuntimeError as error:
        raise DataError(_reason(str(error), size)) from error
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    places = range(processor.get_piece_size())
    pieces = [(processor.id_to_piece(place), processor.get_score(place)) for place in places]
    scores = "".join(f"{piece}\t{score:g}\n" for piece, score in pieces)
    counts = "".join(f"{piece} 1\n" for piece, _ in pieces if piece not in _SPECIAL)
    for extension, content in (
        ("model", model.getvalue()),
        ("vocab", scores.encode()),
        ("txt", counts.encode()),
    ):
        with replacing(folder / f"{stem}.{extension}") as path:
            path.write_bytes(content)
    return stem


def _reason(message: str, size: int) -> str:
    largest = re.search(r"value <= (\d+)", message)
    if largest:
        return (
            f"--vocab-size {size} is too large for the text of train: "
            f"the most it can give is {largest.group(1)}"
        )
    smallest = re.search(r"required_chars\D*(\d+) vs (\d+)", message)
    if smallest:
        return (
            f"--vocab-size {size} is too small: the characters and language tags alone "
            f"are {smallest.group(2)}"
        )
    return f"sentencepiece could not learn a vocabulary of {size}: {message}"
