"""Translations that are in another language."""

import sys

import pytest

from fairseq_gist.errors import OptionError
from fairseq_gist.evaluation.metrics.base import Texts
from fairseq_gist.evaluation.metrics.wrong_language import WrongLanguage, WrongLanguageOptions

GERMAN = "Der Zug nach Berlin fährt heute um acht Uhr vom alten Bahnhof ab."
FRENCH = "Le train pour Paris part aujourd'hui à huit heures de la vieille gare."
ENGLISH = "The train to London leaves the old station at eight o'clock today."


def measured(hypotheses, references=None, language="de", among=None):
    texts = Texts(language, hypotheses, references or [GERMAN] * len(hypotheses), [])
    return WrongLanguage(WrongLanguageOptions(among)).measure(texts)


def test_a_translation_in_another_language_counts_and_so_does_none():
    found = measured([GERMAN, FRENCH, ENGLISH, "", " "])
    assert found.statistics[:, 0].tolist() == [0, 100, 100, 100, 100]
    assert WrongLanguage().score(found.statistics) == 80


def test_errors_on_the_references_stand_in_the_signature():
    found = measured([GERMAN] * 4, [GERMAN, GERMAN, FRENCH, ENGLISH])
    assert found.statistics.sum() == 0
    assert found.signature.startswith("py3langid:")
    assert found.signature.endswith("|among:all|references:50.0")


@pytest.mark.parametrize("language", ["de", "deu", "de_DE", "ger"])
def test_codes_of_all_kinds_are_one_language(language):
    assert measured([GERMAN, FRENCH], language=language).statistics[:, 0].tolist() == [0, 100]


def test_fewer_languages_are_surer():
    """Of a short text that could be one of many, and is none of the others asked about."""
    words = ["Uhr", "Montag", "April", "Woche", "Jahr", "Hand", "Wasser"]
    shares = [measured(words, among=among).statistics.mean() for among in (None, "de,fr")]
    assert shares[1] <= shares[0]
    assert shares[1] < 50


def test_what_cannot_be_asked(monkeypatch):
    with pytest.raises(OptionError, match="--wrong-language-among: py3langid doesn't know 'xx'"):
        WrongLanguage(WrongLanguageOptions("de,xx")).check()
    with pytest.raises(OptionError, match="'bem' can't be identified among de, fr; leave the met"):
        measured([GERMAN], language="bem", among="de,fr")
    monkeypatch.setitem(sys.modules, "py3langid", None)
    with pytest.raises(OptionError, match="pip install 'fairseq-gist.language-id.'"):
        WrongLanguage().check()
