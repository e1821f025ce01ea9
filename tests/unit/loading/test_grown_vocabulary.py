"""What the rows of a larger vocabulary begin as."""

from pathlib import Path

import pytest

from fairseq_gist.loading.grown_vocabulary import FolderVocabulary, new_rows

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
BEFORE = FolderVocabulary(Path("before"), {}, [*SPECIAL, "a", "b", "<lang:de>", "<lang:ru>"])
AFTER = FolderVocabulary(Path("after"), {}, [*BEFORE.symbols, "ї", "<lang:uk>"])


@pytest.mark.parametrize(
    ("key", "language", "relative", "tag"),
    [
        ("tgt", "uk", "ru", 7),
        ("tgt", "uk", "de", 6),
        ("pair", "en-uk", "en-ru", 7),
        ("pair", "en-uk", "fr-de", 6),
        ("src", "uk", "ru", None),
    ],
)
def test_the_tag_begins_as_the_relatives_and_the_rest_as_the_mean(key, language, relative, tag):
    rows = new_rows(BEFORE, AFTER, language, relative, key)
    assert rows.before == 8
    assert list(rows.origins) == [None, tag]
    assert list(rows.averaged) == [4, 5]


def test_of_another_language_than_the_tags_it_is_the_mean():
    """A pair whose target the vocabulary had already brings nothing but what is new in texts."""
    assert list(new_rows(BEFORE, AFTER, "es-ru", "en-ru", "pair").origins) == [None, None]
