"""Codes of languages that mean the same."""

import pytest

from fairseq_gist.languages.codes import (
    Code,
    base_code,
    canonical_code,
    is_code,
    language_named,
    parse_code,
    readings,
    script_of,
)


@pytest.mark.parametrize(
    ("code", "base"),
    [
        ("de", "de"),
        ("pt-BR", "pt"),
        ("pt_br", "pt"),
        ("zh-Hant-TW", "zh"),
        ("deu", "de"),
        ("deu_Latn", "de"),
        ("DEU", "de"),
        ("cmn", "zh"),
        ("cmn_Hant", "zh"),
        ("zho", "zh"),
        ("chi", "zh"),
        ("yue", "yue"),
        ("jpn", "ja"),
        ("kor", "ko"),
        ("arb", "ar"),
        ("pes", "fa"),
        ("swh", "sw"),
        ("iw", "he"),
        ("x-klingon", "x"),
        ("", ""),
    ],
)
def test_a_code_is_reduced_to_its_language(code, base):
    assert base_code(code) == base
    assert base_code(base) == base


@pytest.mark.parametrize(
    ("code", "language", "script", "region"),
    [
        ("zho_Hant_TW", "zh", "Hant", "TW"),
        ("ZH-hant-tw", "zh", "Hant", "TW"),
        ("es-419", "es", "", "419"),
        ("prs", "fa", "", "AF"),
        ("hbs", "sr", "Latn", ""),
        ("de-informal", "de", "", ""),
    ],
)
def test_what_a_code_says(code, language, script, region):
    assert parse_code(code) == Code(language, script, region)


@pytest.mark.parametrize(
    ("code", "script"),
    [
        *[(code, "Hans") for code in ("zh", "zho", "cmn", "zh-CN", "cmn_Hans", "wuu", "lzh")],
        *[(code, "Hant") for code in ("zh-TW", "cmn_Hant", "yue", "zh_HK")],
        *[(code, "Jpan") for code in ("ja", "jpn", "ja-JP")],
        *[(code, "Kore") for code in ("ko", "kor", "ko_KR")],
        *[(code, "Latn") for code in ("de", "deu", "zh-Latn", "ja_Latn", "nan_Latn")],
        ("sr", "Cyrl"),
        ("sr-Latn", "Latn"),
        ("qqq", ""),
        ("", ""),
    ],
)
def test_the_script_of_a_language(code, script):
    assert script_of(code) == script


def test_what_is_written_as_one_code():
    codes = ["de", "pt-BR", "cmn_Hant", "zh-Hans-CN", "zh_CN", "es-419", "aeb"]
    assert [code for code in codes if not is_code(code)] == []
    others = ["pt-br", "xx", "cn", "de-en", "deutsch", "d", "", "DE", "de-", "train"]
    assert [code for code in others if is_code(code)] == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("de-en", [("de", "en")]),
        ("es-fr", [("es", "fr")]),
        ("de-de", [("de", "de")]),
        ("en-zh-CN", [("en", "zh-CN")]),
        ("zh-CN-en", [("zh-CN", "en")]),
        ("zh-CN", [("zh-CN",)]),
        ("zh-cn", [("zh-cn",)]),
        ("pt-br", [("pt-br",), ("pt", "br")]),
        ("eng_Latn-deu_Latn", [("eng_Latn", "deu_Latn")]),
        ("de-informal", [("de-informal",)]),
    ],
)
def test_a_pair_or_one_language(text, found):
    assert readings(text) == found


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Estonian", "et"),
        ("SPANISH", "es"),
        ("Brazilian  Portuguese", "pt-BR"),
        ("Simplified Chinese", "zh-Hans"),
        ("sv_se", "sv-SE"),
        ("deu", "deu"),
    ],
)
def test_languages_are_told_by_name_or_code(text, code):
    assert language_named(text) == canonical_code(text) == code
    assert language_named(code) == code


@pytest.mark.parametrize("text", ["path", "wav", "client_id", "len", "", "up_votes", "sentence"])
def test_what_tells_no_language(text):
    assert language_named(text) == ""
