"""Which language a row is."""

import pytest

from fairseq_gist.errors import DataError
from fairseq_gist.languages import language_from_subset, languages_of_vocabulary, row_languages


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
