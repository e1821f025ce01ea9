"""Families of languages by their codes."""

import re
from collections import Counter

import pytest

from fairseq_gist.languages.families import FAMILIES, families_of


def test_every_code_has_one_family():
    counts = Counter(code for codes in FAMILIES.values() for code in codes.split())
    assert [code for code, count in counts.items() if count > 1] == []
    assert [code for code in counts if not re.fullmatch("[a-z]{2,3}", code)] == []


@pytest.mark.parametrize(
    ("languages", "families"),
    [
        (["de", "nl", "ru"], ["Germanic", "Germanic", "Slavic"]),
        (["pt-BR", "zh_CN", "DEU"], ["Romance", "Sinitic", "Germanic"]),
        (["aeb", "bem", "est", "gle"], ["Semitic", "Bantu", "Uralic", "Celtic"]),
        (["de-en", "ru-en"], ["Germanic", "Slavic"]),
        (["en-de", "en-ru"], ["Germanic", "Slavic"]),
        (["de", "tlh"], ["Germanic", None]),
        (["en-de"], ["Germanic"]),
        (
            ["cmn_Hant", "yue", "jpn", "kor", "pnb"],
            ["Sinitic", "Sinitic", "Japonic", "Koreanic", "Indo-Aryan"],
        ),
        (["zh-CN", "zh-TW"], ["Sinitic", "Sinitic"]),
        (["en-zh-CN", "en-ca"], ["Sinitic", "Romance"]),
        (["zh-CN-en", "tl-en"], ["Sinitic", "Austronesian"]),
        ([], []),
    ],
)
def test_families(languages, families):
    found = families_of(languages)
    assert [found.get(language) for language in languages] == families
