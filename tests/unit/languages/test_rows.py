"""Which language a row is."""

import pytest

from fairseq_gist.errors import DataError
from fairseq_gist.languages.rows import (
    language_from_subset,
    language_tags,
    languages_of_vocabulary,
    row_languages,
)


def test_languages_of_a_vocabulary_are_its_tags_in_alphabetical_order():
    symbols = ["<s>", "▁the", "<lang:nl>", "<lang:de>", "<lang:pt-BR>", "lang:xx", "<lang:>"]
    assert languages_of_vocabulary(symbols) == ["de", "nl", "pt-BR"]
    assert languages_of_vocabulary(["<lang:de>", "<lang:de>"]) == ["de"]
    assert languages_of_vocabulary(["a"]) == []


@pytest.mark.parametrize(
    ("subset", "language"),
    [
        ("train_de_st", "de"),
        ("dev_nl_st", "nl"),
        ("tst-COMMON_pt_st", "pt"),
        ("tst-COMMON_pt", "pt"),
        ("my_train_aeb", "aeb"),
        ("train_pt-BR_st", "pt-BR"),
        ("train_st_st", "st"),
        ("train", None),
        ("train_st", None),
        ("train_asr", None),
        ("tst-COMMON", None),
        ("train_clean", None),
        ("_de", None),
    ],
)
def test_language_from_the_name_of_a_subset(subset, language):
    assert language_from_subset(subset) == language


def rows(*languages):
    return [{"id": str(number), "tgt_lang": one} for number, one in enumerate(languages)]


def test_the_column_decides():
    assert row_languages(rows("de", "nl"), "train_fr_st", ["de", "fr", "nl"], "m.tsv") == [
        "de",
        "nl",
    ]


@pytest.mark.parametrize("row", [{"id": "0"}, {"tgt_lang": ""}, {"tgt_lang": None}])
def test_without_a_column_the_subset_decides(row):
    assert row_languages([row], "train_fr_st", ["de", "fr"], "m.tsv") == ["fr"]


def test_a_row_without_a_language_is_named():
    with pytest.raises(
        DataError, match=r"m\.tsv, line 3: .*no column 'tgt_lang'.*'train' does not"
    ):
        row_languages(rows("de", ""), "train", ["de"], "m.tsv")


def test_a_language_without_a_tag_is_named():
    with pytest.raises(DataError, match=r"m\.tsv, line 2: .*'it' has no tag '<lang:it>'.*de, nl"):
        row_languages(rows("it"), "train", ["de", "nl"], "m.tsv")


def test_without_known_languages_every_name_is_taken():
    assert row_languages(rows("it"), "train", [], "m.tsv") == ["it"]


# -- the source, and pairs


def spoken(source, target, subset, key, known=()):
    columns = {"src_lang": source, "tgt_lang": target}
    row = {name: value for name, value in columns.items() if value is not None}
    return row_languages([row], subset, known, "m.tsv", key)


@pytest.mark.parametrize(
    ("source", "target", "subset", "key", "language"),
    [
        ("de", "en", "train", "src", "de"),
        ("de", None, "train_fr", "src", "de"),
        (None, None, "train_fr", "src", "fr"),
        (None, "en", "train_fr_st", "src", "fr"),
        ("de", "en", "train_fr", "pair", "de-en"),
        (None, None, "train_de-en_st", "pair", "de-en"),
        ("zh-CN", "pt-BR", "train", "pair", "zh-CN-pt-BR"),
    ],
)
def test_columns_or_the_subset_tell_source_and_pair(source, target, subset, key, language):
    assert spoken(source, target, subset, key) == [language]


@pytest.mark.parametrize(
    ("source", "target", "subset", "key", "message"),
    [
        (None, "en", "train", "src", "source language is in no column 'src_lang', and .* does not"),
        ("", "de", "train_de", "src", "the subset's name 'train_de' says the target language"),
        ("de", None, "train_en", "pair", "pair of languages is in no columns .* rename the subset"),
        (None, "en", "train", "pair", "as 'train_de-en' does"),
    ],
)
def test_a_source_that_is_not_told_is_named(source, target, subset, key, message):
    with pytest.raises(DataError, match=rf"m\.tsv, line 2: .*{message}"):
        spoken(source, target, subset, key)


def test_a_source_that_the_model_lacks_is_named():
    with pytest.raises(
        DataError, match=r"'it' \(--language-key src\) is none of the model's de, nl"
    ):
        spoken("it", "en", "train", "src", ["de", "nl"])


@pytest.mark.parametrize(
    ("key", "languages", "tags"),
    [
        ("tgt", ["de", "xx"], ["<lang:de>", None]),
        ("src", ["de", "ru"], [None, None]),
        ("pair", ["de-pt-BR", "ru-de", "ru-xx"], ["<lang:pt-BR>", "<lang:de>", None]),
    ],
)
def test_tags_are_those_of_targets(key, languages, tags):
    symbols = ["a", "<lang:BR>", "<lang:de>", "<lang:pt-BR>"]
    assert language_tags(languages, symbols, key) == tags
