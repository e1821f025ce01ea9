"""Which language a row is."""

import pytest

from fairseq_gist.errors import DataError
from fairseq_gist.languages.rows import (
    language_tags,
    languages_of_vocabulary,
    row_languages,
    target_languages,
)


def test_languages_of_a_vocabulary_are_its_tags_in_alphabetical_order():
    symbols = ["<s>", "▁the", "<lang:nl>", "<lang:de>", "<lang:pt-BR>", "lang:xx", "<lang:>"]
    assert languages_of_vocabulary(symbols) == ["de", "nl", "pt-BR"]
    assert languages_of_vocabulary(["<lang:de>", "<lang:de>"]) == ["de"]
    assert languages_of_vocabulary(["a"]) == []


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
        ("de", None, "train_de", "pair", "pair of languages is in no columns .* rename the subset"),
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


# -- names that fairseq's scripts write, without columns

SCRIPTS = [
    # name, columns, key, languages of the model, language
    ("train_de_st", {}, "tgt", (), "de"),
    ("train_st_fr_en", {}, "tgt", (), "en"),
    ("train_st_fr_en", {}, "src", (), "fr"),
    ("train_st_fr_en", {}, "pair", (), "fr-en"),
    ("test_st_en_zh-CN", {}, "tgt", (), "zh-CN"),
    ("test_st_sv-SE_en", {}, "src", (), "sv-SE"),
    ("test_st_en_zh-CN", {}, "pair", (), "en-zh-CN"),
    ("train_asr_fr", {}, "tgt", (), "fr"),
    ("train_asr_fr", {}, "src", (), "fr"),
    ("train_es-en_st", {"tgt_lang": "en"}, "tgt", ("en", "fr"), "en"),
    ("train_es-en_st", {"tgt_lang": "en"}, "src", ("es", "fr"), "es"),
    ("train_es-en_st", {"tgt_lang": "en"}, "pair", (), "es-en"),
    ("train_es-fr_st", {}, "src", (), "es"),
    ("valid_es-fr_st", {}, "tgt", (), "fr"),
    ("valid_es-fr_st", {}, "pair", (), "es-fr"),
    ("train_es-es_asr", {"tgt_lang": "es"}, "src", (), "es"),
    ("train_es-es_asr", {}, "tgt", (), "es"),
]


@pytest.mark.parametrize(("subset", "columns", "key", "known", "language"), SCRIPTS)
def test_names_of_fairseqs_scripts(subset, columns, key, known, language):
    assert row_languages([{"id": "0", **columns}], subset, known, "m.tsv", key) == [language]


@pytest.mark.parametrize(
    ("subset", "columns", "key", "found"),
    [
        ("train_de_st", {}, "src", "'train_de_st' says the target language"),
        ("train_de_st", {"tgt_lang": "de"}, "src", "'train_de_st' says the target language"),
        ("train_de_asr", {}, "tgt", "does not end in one"),
        ("train_de", {}, "pair", "does not end in one"),
        ("train_zh-CN", {}, "pair", "does not end in one"),
        ("train_es-en_st", {"tgt_lang": "fr"}, "src", "'train_es-en_st' says other ones"),
        ("train_es-en_st", {"src_lang": "fr"}, "tgt", "does not end in one"),
        ("train_pt-br", {}, "tgt", "may say 'pt-br' or 'br' .--language-key tgt.*--languages"),
        ("train_pt_br_st", {}, "tgt", "may say 'br' or 'pt_br'"),
        ("train_fr_en", {}, "src", "may say 'en' or 'fr' .--language-key src.*src_lang"),
        ("train_en-ca", {}, "src", "may say 'en-ca' or 'en'"),
    ],
)
def test_a_name_that_says_two_things_or_nothing_is_asked_about(subset, columns, key, found):
    with pytest.raises(DataError, match=rf"m\.tsv, line 2: .*{found}") as error:
        row_languages([columns], subset, (), "m.tsv", key)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("subset", "key", "known", "language"),
    [
        ("train_pt-br", "tgt", ("de", "pt-br"), "pt-br"),
        ("train_pt-br", "tgt", ("br", "de"), "br"),
        ("train_fr_en", "src", ("de", "fr"), "fr"),
        ("train_fr_en", "tgt", (), "en"),
        ("my_train_aeb", "src", (), "aeb"),
        ("train_es-en_st", "tgt", ("es-en", "es-fr"), "es-en"),
    ],
)
def test_the_models_languages_say_which_it_is(subset, key, known, language):
    assert row_languages([{}], subset, known, "m.tsv", key) == [language]


@pytest.mark.parametrize(
    ("subset", "columns", "key", "language", "target"),
    [
        ("tst", {"tgt_lang": "zh"}, "tgt", "zh", "zh"),
        ("tst", {"src_lang": "zh", "tgt_lang": "en"}, "src", "zh", "en"),
        ("tst_en-zh", {}, "pair", "en-zh", "zh"),
        ("tst_zh-CN-en", {}, "pair", "zh-CN-en", "en"),
        ("tst_st_zh-CN_en", {}, "src", "zh-CN", "en"),
        ("tst_zh", {}, "src", "zh", "und"),
        ("tst", {"src_lang": "zh"}, "src", "zh", "und"),
    ],
)
def test_what_targets_are_written_in(subset, columns, key, language, target):
    rows = [{"id": "0", **columns}]
    assert row_languages(rows, subset, (), "m.tsv", key) == [language]
    assert target_languages(rows, subset, [language], key) == [target]
