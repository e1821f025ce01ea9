"""Where the languages of a model come from, and which source wins."""

from argparse import Namespace

import pytest

pytest.importorskip("fairseq")

from fairseq_gist.data.model_languages import VOCABULARY, ModelLanguages, signature_of
from fairseq_gist.errors import DataError, OptionError

SYMBOLS = ["a", "<lang:es>", "<lang:de>"]
NONE = Namespace()
NOTED = {VOCABULARY: signature_of(SYMBOLS)}
OF_SOURCE = Namespace(language_key="src", languages="es,ru")


def made(key=None, option=None, symbols=SYMBOLS, found=("de", "ru")):
    return ModelLanguages(key, option, symbols, lambda key: list(found))


def test_targets_are_those_with_a_tag():
    languages = made(found=())
    assert (languages.key, languages.names) == ("tgt", ["de", "es"])
    assert languages.tags() == ["<lang:de>", "<lang:es>"]
    languages.adopt(Namespace(language_key=None, languages="xx"))  # another task's
    assert languages.names == ["de", "es"]
    settings = Namespace()
    languages.note_in(settings)
    assert settings == Namespace(**NOTED)


def test_a_model_of_some_targets_is_not_asked_for_the_others():
    settings = Namespace()
    made(None, "es").note_in(settings)
    assert settings == Namespace(languages="es", **NOTED)
    again = made()
    again.adopt(settings)
    assert (again.key, again.names, again.tags()) == ("tgt", ["es"], ["<lang:es>"])
    again.adopt(settings)  # a second checkpoint of the same
    with pytest.raises(OptionError, match="--languages: the checkpoint's model has es, found de"):
        made(None, "de").adopt(settings)


def test_another_vocabulary_of_the_same_size_is_told():
    settings = Namespace()
    made().note_in(settings)
    made().adopt(settings)
    with pytest.raises(DataError, match="of 3 symbols is not the one that the model was trained"):
        made(symbols=SYMBOLS[::-1]).adopt(settings)


def test_an_option_goes_before_all_else():
    assert made("src", "ru de").names == ["de", "ru"]
    assert made(None, "es").names == ["es"]


def test_sources_are_those_of_training_and_are_noted():
    languages = made("src")
    assert languages.names == ["de", "ru"]
    assert languages.tags() == [None, None]
    settings = Namespace()
    languages.note_in(settings)
    assert settings == Namespace(language_key="src", languages="de,ru", **NOTED)
    again = made(found=())
    again.adopt(settings)
    assert (again.key, again.names) == ("src", ["de", "ru"])
    again.adopt(settings)  # a second checkpoint of the same


def test_a_checkpoint_goes_before_the_data():
    languages = made("src")
    assert languages.names == ["de", "ru"]
    languages.adopt(OF_SOURCE)
    assert languages.names == ["es", "ru"]


def test_a_stock_checkpoint_leaves_it_to_the_options_or_its_plan():
    languages = made("src")
    languages.adopt(NONE)
    assert languages.names == ["de", "ru"]
    languages.adopt(NONE, ("it", "nl"))
    assert (languages.key, languages.names) == ("src", ["it", "nl"])


@pytest.mark.parametrize(
    ("key", "option", "settings", "message"),
    [
        ("pair", None, OF_SOURCE, "--language-key: the checkpoint's model has key 'src', found 'p"),
        ("tgt", None, OF_SOURCE, "--language-key: the checkpoint's model has key 'src', found 't"),
        ("src", "de,ru", OF_SOURCE, "--languages: the checkpoint's model has es, ru, found de, ru"),
        (
            "src", None, Namespace(language_key="tgt"),
            "--language-key: the checkpoint's model has key 'tgt', found 'src'",
        ),
    ],
)  # fmt: skip
def test_what_contradicts_a_checkpoint_is_refused(key, option, settings, message):
    with pytest.raises(OptionError, match=message):
        made(key, option).adopt(settings)


def test_a_second_checkpoint_of_targets_is_refused():
    languages = made()
    languages.adopt(OF_SOURCE)
    with pytest.raises(OptionError, match="model has key 'tgt', found 'src'"):
        languages.adopt(NONE)


def test_languages_that_nothing_tells_are_asked_for():
    with pytest.raises(OptionError, match="--language-key src: there are no training data that"):
        _ = made("src", found=()).names
    with pytest.raises(OptionError, match="expected one of tgt, src, pair, found 'source'"):
        made("source")


@pytest.mark.parametrize(
    ("key", "names", "source", "target", "language"),
    [
        ("tgt", "de,es", "xx", "es", "es"),
        ("src", "de,ru", "ru", None, "ru"),
        ("pair", "de-en,ru-en", "ru", "en", "ru-en"),
    ],
)
def test_the_language_asked_for(key, names, source, target, language):
    assert made(key, names).asked_for(source, target) == language


@pytest.mark.parametrize(
    ("key", "names", "message"),
    [
        ("tgt", "de,es", "--target-language: expected one of de, es, none was given"),
        ("src", "de,ru", "--source-language: expected one of de, ru, found 'xx'"),
        ("pair", "de-en", "--source-language and --target-language: expected .* none was given"),
    ],
)
def test_a_language_that_is_none_is_refused(key, names, message):
    with pytest.raises(OptionError, match=message):
        made(key, names).asked_for("xx", None)


def test_the_tag_to_begin_with():
    assert made("tgt").target_of("es", None) == "es"
    assert made("pair", "ru-de").target_of("ru-de", None) == "de"
    assert made("src").target_of("ru", "es") == "es"
    assert made("src", symbols=["<lang:en>"]).target_of("ru", None) == "en"
    with pytest.raises(OptionError, match="--target-language: expected .*, de, es, none was given"):
        made("src").target_of("ru", None)


def test_a_vocabulary_of_far_more_languages_does_not_say_which_are_trained():
    many = [*SYMBOLS, "<lang:ru>", "<lang:zu>"]

    def of_many(option=None, found=("de", "ru")):
        return ModelLanguages(None, option, many, lambda key: list(found), has_tags_of_others=True)

    languages = of_many()
    assert (languages.key, languages.names) == ("tgt", ["de", "ru"])
    assert languages.tags() == ["<lang:de>", "<lang:ru>"]
    settings = Namespace()
    languages.note_in(settings)
    again = of_many(found=())
    again.check_tags()  # before there is a checkpoint, without training data
    again.adopt(settings)
    assert (again.key, again.names) == ("tgt", ["de", "ru"])
    with pytest.raises(OptionError, match="'xx' has no tag '<lang:xx>' in the vocabulary"):
        of_many("de,xx").check_tags()
