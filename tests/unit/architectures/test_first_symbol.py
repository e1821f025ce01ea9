"""Which tag a folder of transformers begins its translations with."""

from argparse import Namespace
from pathlib import Path

import pytest

from fairseq_gist.architectures.exporting import Export
from fairseq_gist.architectures.fairseq_transformer.huggingface_processor import ProcessorSource
from fairseq_gist.errors import DataError

SYMBOLS = ["<s>", "<pad>", "</s>", "<unk>", "a", "<lang:de>", "<lang:en>"]


def first(language, key, symbols=SYMBOLS, has_tags=True):
    source = ProcessorSource(symbols, Path("spm.model"), 80, {}, has_tags, Path("config.yaml"))
    one = Export(
        language=language,
        state={},
        content={},
        settings=Namespace(language_key=key),
        options=None,
        output="out",
        checkpoint="in.pt",
    )
    return source.first_symbol(one)


def test_it_is_that_of_the_target():
    assert first("de", "tgt") == first("de", None) == 5
    assert first("de-en", "pair") == 6
    assert first("de", "tgt", has_tags=False) is None


def test_of_a_source_language_it_is_the_only_one_there_is():
    assert first("de", "src") is None
    assert first("ru", "src", [*SYMBOLS[:5], "<lang:en>"]) == 5


def test_a_target_language_without_a_tag_is_told():
    with pytest.raises(DataError, match="expected the tag <lang:fr> in the vocabulary, found"):
        first("fr", "tgt")
