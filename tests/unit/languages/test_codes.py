"""Codes of languages that mean the same."""

import pytest

from fairseq_gist.languages.codes import base_code


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
        ("cmn", "cmn"),
        ("", ""),
    ],
)
def test_a_code_is_reduced_to_its_language(code, base):
    assert base_code(code) == base
    assert base_code(base) == base
