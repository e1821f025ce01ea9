"""What a model has to be told to translate into a language."""

from argparse import Namespace

import pytest

fairseq_data = pytest.importorskip("fairseq.data")

from fairseq_gist.data.model_languages import ModelLanguages  # noqa: E402
from fairseq_gist.errors import OptionError  # noqa: E402
from fairseq_gist.translating.asking import target_names, wanted_language  # noqa: E402


def task_of(key, languages, *tags):
    """Return what is asked of a task, with a vocabulary that has some tags."""
    dictionary = fairseq_data.Dictionary()
    for tag in tags:
        dictionary.add_symbol(f"<lang:{tag}>")
    known = ModelLanguages(key, languages, dictionary.symbols, lambda key: [])
    return Namespace(
        language_key=known.key,
        languages=known.names,
        prefix_size=1 if tags else 0,
        target_dictionary=dictionary,
        inputs=None,
    )


def asked(task, language, source=None):
    found = wanted_language(task, language, source, "m.pt")
    symbols = [task.target_dictionary[index] for index in found.prefix]
    return None if found.language is None else task.languages[found.language], symbols


@pytest.mark.parametrize("code", ["pt-BR", "por", "pt"])
def test_targets_go_by_any_code(code):
    task = task_of("tgt", None, "de", "pt")
    assert asked(task, code) == ("pt", ["<lang:pt>"])
    assert target_names(task) == ["de", "pt"]


def test_norwegian_goes_by_either_code():
    assert asked(task_of("tgt", None, "de", "no"), "nb") == ("no", ["<lang:no>"])
    assert asked(task_of("tgt", None, "nb", "nn"), "nor") == ("nb", ["<lang:nb>"])
    assert asked(task_of("tgt", None, "nb", "no"), "nb") == ("nb", ["<lang:nb>"])


def test_of_two_that_mean_the_same_the_very_one_is_taken():
    task = task_of("tgt", None, "zh_CN", "zh_TW")
    assert asked(task, "zh_TW") == ("zh_TW", ["<lang:zh_TW>"])
    with pytest.raises(
        OptionError, match="--language: m.pt translates into zh_CN, zh_TW, found 'zh"
    ):
        asked(task, "zh")


def test_spoken_languages_are_named():
    task = task_of("src", "de,ru")
    assert asked(task, "en", "rus") == ("ru", [])
    with pytest.raises(
        OptionError, match="--source-language: m.pt tells apart what is spoken: exp"
    ):
        asked(task, "en")
    with pytest.raises(OptionError, match="--source-language: m.pt hears de, ru, found 'es'"):
        asked(task, "en", "es")


def test_with_a_tag_of_the_target_no_other_can_be_asked_for():
    task = task_of("src", "de,ru", "en")
    assert asked(task, "eng", "ru") == ("ru", ["<lang:en>"])
    with pytest.raises(OptionError, match="--language: m.pt translates into en, found 'de'"):
        asked(task, "de", "ru")


def test_pairs_are_both():
    task = task_of("pair", "de-en,en-pt_BR", "en", "pt_BR")
    assert asked(task, "en", "ger") == ("de-en", ["<lang:en>"])
    assert asked(task, "pt", "en") == ("en-pt_BR", ["<lang:pt_BR>"])
    with pytest.raises(OptionError, match="hears de-en, en-pt_BR, found 'de-pt_BR'"):
        asked(task, "pt", "de")


def test_a_model_of_one_language_takes_any_name_for_it():
    assert asked(task_of("tgt", None), "de") == (None, [])
