"""Languages beside MuST-C's eight, and fewer phrases of training in some of them."""

import json

import pytest

pytest.importorskip("babel")
pytest.importorskip("num2words")
pytest.importorskip("espeakng_loader")

from fairseq_gist.cli.main import main
from fairseq_gist.corpora.cldr import phrases
from fairseq_gist.corpora.cldr.build import build
from fairseq_gist.corpora.cldr.cases import instrumental
from fairseq_gist.corpora.cldr.languages import ALL, LANGUAGES, MORE
from fairseq_gist.corpora.cldr.numbers import agrees, in_words
from fairseq_gist.corpora.cldr.options import CldrOptions
from fairseq_gist.corpora.cldr.units import PERIODS, UNITS, named
from fairseq_gist.errors import DataError
from fairseq_gist.preparing.layouts.mustc import MustC
from tests.unit.corpora.test_cldr import digest

CHOSEN, SIZED = ("cs", "de", "sk", "uk"), {"cs": 30, "de": 30, "sk": 12, "uk": 5}


@pytest.fixture(scope="module")
def uneven(tmp_path_factory):
    out = tmp_path_factory.mktemp("corpus") / "uneven"
    options = ["--size=tiny", "--languages=uk,cs,de,sk", "--sizes=uk=5,sk=12,de=30,cs=30"]
    assert main(["corpus", "cldr", str(out), *options, "--workers=1"]) == 0
    return out


# ----------------------------------------------------------------------------- numbers in words
@pytest.mark.parametrize(
    ("number", "language", "words"),
    [
        (222, "ca", "dos-cents vint-i-dos"),
        (200, "cs", "dvě stě"),
        (345, "cs", "tři sta čtyřicet pět"),
        (510, "cs", "pět set deset"),  # and not "de set"
        (21, "cs", "dvacet jedna"),
        (50, "da", "halvtreds"),
        (61, "da", "enogtres"),
        (160, "da", "et hundrede og tres"),
        (272, "da", "to hundrede og tooghalvfjerds"),
        (100, "nb", "hundre"),
        (112, "nb", "hundre og tolv"),
        (312, "nb", "tre hundre og tolv"),
        (222, "pl", "dwieście dwadzieścia dwa"),
        (345, "sk", "tristoštyridsaťpäť"),
        (112, "sv", "etthundratolv"),
        (121, "sv", "etthundratjugoen"),
        (100, "sv", "etthundra"),
        (95, "uk", "девʼяносто пʼять"),
    ],
)
def test_numbers_in_words(number, language, words):
    assert in_words(number, language) == words


@pytest.mark.parametrize(
    ("number", "language", "gender", "right"),
    [
        (22, "ca", "f", False),  # vint-i-dues
        (12, "ca", "f", True),
        (200, "ca", "f", False),  # dues-centes
        (200, "ca", "m", True),
        (22, "cs", "f", False),  # dvacet dvě
        (21, "cs", "f", True),  # dvacet jedna
        (203, "cs", "m", False),  # dvě stě tři metry, or metrů
        (223, "cs", "m", True),
        (104, "sk", "m", False),
        (4, "sk", "f", True),
        (21, "da", "n", True),
        (21, "nb", "n", False),  # tjueett
        (21, "nb", "f", True),
        (21, "sv", "n", False),  # tjugoett år
        (21, "sv", "m", True),
        (2, "pl", "f", False),  # dwie
        (21, "pl", "f", True),
        (21, "uk", "f", False),  # двадцять одна
        (12, "uk", "f", True),
    ],
)
def test_numbers_with_another_form_are_left_out(number, language, gender, right):
    assert agrees(number, {language: gender}, [language]) is right
    assert agrees(number, {language: gender})  # the eight have nothing against it


@pytest.mark.parametrize(
    ("number", "czech", "slovak"),
    [
        (2, "dvěma", "dvoma"),
        (9, "devíti", "deviatimi"),
        (10, "deseti", "desiatimi"),
        (11, "jedenácti", "jedenástimi"),
        (15, "patnácti", "pätnástimi"),
        (20, "dvaceti", "dvadsiatimi"),
        (28, "dvaceti osmi", "dvadsiatimi ôsmimi"),
        (44, "čtyřiceti čtyřmi", "štyridsiatimi štyrmi"),
        (63, "šedesáti třemi", "šesťdesiatimi tromi"),
        (97, "devadesáti sedmi", "deväťdesiatimi siedmimi"),
    ],
)
def test_the_instrumental(number, czech, slovak):
    assert (instrumental(number, "cs"), instrumental(number, "sk")) == (czech, slovak)


@pytest.mark.parametrize("number", [1, 21, 100])
def test_no_instrumental_where_it_is_disputed(number):
    with pytest.raises(DataError, match=f"no instrumental of {number}: expected 2 to 99"):
        instrumental(number, "sk")


# ---------------------------------------------------------------------------------- the phrases
def test_one_unit_in_all_of_them():
    phrase = phrases.measure(92, "area-square-meter", ALL)
    assert {language: phrase.targets[language] for language in MORE} == {
        "ca": "noranta-dos metres quadrats",
        "cs": "devadesát dva metrů čtverečních",
        "da": "tooghalvfems kvadratmeter",
        "nb": "nittito kvadratmeter",
        "pl": "dziewięćdziesiąt dwa metry kwadratowe",
        "sk": "deväťdesiatdva metrov štvorcových",
        "sv": "nittiotvå kvadratmeter",
        "uk": "девʼяносто два квадратні метри",
    }


def test_what_counts_after_a_preposition():
    past, future = phrases.relative(-23, "month", ALL), phrases.relative(3, "week", ALL)
    assert (past.english, future.english) == ("twenty-three months ago", "in three weeks")
    assert {language: past.targets[language] for language in MORE} == {
        "ca": "fa vint-i-tres mesos",
        "cs": "před dvaceti třemi měsíci",
        "da": "for treogtyve måneder siden",
        "nb": "for tjuetre måneder siden",
        "pl": "dwadzieścia trzy miesiące temu",
        "sk": "pred dvadsiatimi tromi mesiacmi",
        "sv": "för tjugotre månader sedan",
        "uk": "двадцять три місяці тому",
    }
    assert {language: future.targets[language] for language in ("ca", "cs", "sk", "pl")} == {
        "ca": "d’aquí a tres setmanes",  # noqa: RUF001
        "cs": "za tři týdny",
        "sk": "o tri týždne",
        "pl": "za trzy tygodnie",
    }


@pytest.mark.parametrize("language", MORE)
def test_everything_counted_has_a_name(language):
    for unit in UNITS:
        if named(unit, [language]):
            targets = phrases.measure(5, unit, [language]).targets
            assert targets[language].startswith(in_words(5, language))
    for period in PERIODS:
        assert phrases.relative(5, period, [language]).targets[language]


@pytest.mark.parametrize("unit", ["length-foot", "length-mile"])
def test_units_without_a_name_are_in_no_phrase(unit):
    def counted(languages):
        return {found for _, found in phrases._measures(2, 99, languages)}

    assert unit in counted(LANGUAGES)
    assert unit not in counted(ALL)
    with pytest.raises(DataError, match=f"no name of {unit} in nb"):
        phrases.measure(5, unit, ["nb"])


def test_the_disputed_past_is_left_out_where_it_is_disputed():
    def past(languages):
        return {-number for number, _ in phrases._relative_times(languages) if number < 0}

    assert {21, 31, 91} <= past(LANGUAGES)
    assert {n for n in past([*LANGUAGES, "cs"]) if n > 20 and n % 10 == 1} == set()
    assert 21 in {n for n, _ in phrases._relative_times([*LANGUAGES, "cs"])}


def test_phrases_in_all_are_clean_and_those_of_the_eight_stay_as_they_are():
    found = phrases.choose(200, seed=3, languages=ALL)
    for phrase in found:
        assert sorted(phrase.targets) == list(ALL)
        for text in (phrase.english, *phrase.targets.values()):
            assert text == " ".join(text.split())
            assert "'" not in text
            if phrase.kind != "date":
                assert not any(character.isdigit() for character in text), text
    eight = {phrase.english: phrase for phrase in phrases.choose(200, seed=3)}
    both = [phrase for phrase in found if phrase.english in eight]
    assert len(both) > 150
    for phrase in both:
        own = eight[phrase.english].targets
        assert own == {language: phrase.targets[language] for language in LANGUAGES}


@pytest.mark.parametrize("chosen", [(), ("de", "ru"), LANGUAGES])
def test_the_phrases_of_some_of_the_eight_are_those_of_all(chosen):
    assert CldrOptions(languages=chosen).translated() == list(LANGUAGES)


@pytest.mark.parametrize(
    ("languages", "counts"),  # as docs/data.md says
    [
        (LANGUAGES, (2586, 20934, 1156)),
        ((*LANGUAGES, "cs", "pl", "sk", "uk"), (2506, 20262, 1148)),
        ((*LANGUAGES, "ca", "da", "nb", "sv"), (2378, 19692, 1140)),
        (ALL, (2378, 19119, 1140)),
    ],
)
def test_how_many_phrases_there_are(languages, counts):
    small, large = (phrases._measures(*span, languages) for span in ((2, 99), (100, 999)))
    times = phrases._relative_times(languages)
    assert tuple(len(list(found)) for found in (small, large, times)) == counts


# ----------------------------------------------------------------------------------- the corpus
def test_languages_with_less_have_the_first_phrases_and_everything_of_dev_and_test(uneven):
    layout = MustC(uneven)
    assert layout.languages() == list(CHOSEN)

    def said(language, split):
        segments = layout.segments(language, split)
        for segment in segments:
            assert layout.wav(language, split, segment.wav).is_file()
        return [(s.wav, s.offset, s.duration, s.source) for s in segments]

    train = {language: said(language, "train") for language in CHOSEN}
    assert {one: len(rows) for one, rows in train.items()} == SIZED
    assert train["cs"] == train["de"]
    assert set(train["uk"]) < set(train["sk"]) < set(train["de"])
    for language in CHOSEN:
        for split in ("dev", "tst-COMMON"):
            assert said(language, split) == said("de", split)
    talks = {row[0] for row in train["uk"]}
    wavs = layout.wav("uk", "train", "x").parent.glob("*.wav")
    assert {path.name for path in wavs} == talks  # and none that nothing is said in


def test_the_record_says_how_much_of_each_language(uneven):
    record = json.loads((uneven / "corpus.json").read_text(encoding="utf-8"))
    assert record["targets"] == record["languages"] == list(CHOSEN)
    assert record["sizes"] == SIZED
    assert record["splits"]["train"]["utterances"] == 30  # what no language has is not spoken
    assert record["splits"]["train"]["utterances_in"] == SIZED
    assert record["splits"]["dev"]["utterances_in"] == dict.fromkeys(CHOSEN, 8)


def test_another_choice_is_another_corpus(uneven):
    before = digest(uneven)
    for options, difference in (
        (CldrOptions("tiny"), "with languages cs,de,sk,uk, wanted de,es,fr"),
        (CldrOptions("tiny", languages=CHOSEN), "with sizes {'cs': 30, .*, wanted {}"),
        (CldrOptions("tiny", "many-to-one", CHOSEN, SIZED), "direction one-to-many, wanted many"),
    ):
        with pytest.raises(DataError, match=difference):
            build(uneven, options, workers=1)
    build(uneven, CldrOptions("tiny", languages=CHOSEN, sizes=SIZED), workers=1)
    assert digest(uneven) == before


def test_an_unfinished_corpus_of_another_choice_is_refused(tmp_path):
    work = tmp_path / ".work"
    work.mkdir()
    options = CldrOptions("tiny", languages=CHOSEN, sizes=SIZED)
    (work / "options.json").write_text(json.dumps(options.plain()), encoding="utf-8")
    with pytest.raises(DataError, match="with languages cs,de,sk,uk, wanted de,es,fr"):
        build(tmp_path, CldrOptions("tiny"), workers=1)


def test_the_eight_by_name_are_the_default():
    assert CldrOptions(languages=LANGUAGES).plain() == CldrOptions().plain()
    assert set(CldrOptions().plain()) == {"corpus", "size", "seed"}  # as in earlier records
