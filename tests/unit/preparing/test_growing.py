"""A vocabulary that grows cuts what it could write as before."""

import pytest

pytest.importorskip("sentencepiece")

from fairseq_gist.preparing.growing import cuts_otherwise, grow_vocabulary
from fairseq_gist.preparing.vocabulary import (
    VOCABULARY_TYPES,
    Vocabulary,
    load_processor,
    train_vocabulary,
)

GERMAN = [
    "die Katze und der Hund und die Katzen und die Hunde",
    "zwei rote Vögel und zwei rote Katzen",
    "der Hund sah das Haus und die Hunde sahen das Haus",
    "das rote Haus und der rote Hund",
]
RUSSIAN = [
    "кошка и собака и кошка и собака",
    "две красные птицы и две красные собаки",
    "собака видела дом и кошка видела дом",
    "красный дом и красный двор",
]


def grown(folder, kind, texts):
    """Return a vocabulary of German, and what it became for other texts, too."""
    (folder / "new").mkdir()
    stem = train_vocabulary(GERMAN, folder, 30, kind, ["de"])
    before = Vocabulary(folder / stem)
    grow_vocabulary(before, texts, folder / "new", 30, kind, "nmt_nfkc", ["de", "ru"])
    return before, Vocabulary(folder / "new" / stem)


@pytest.mark.parametrize("kind", VOCABULARY_TYPES)
def test_old_text_is_cut_as_before_and_new_text_can_be_written(tmp_path, kind):
    before, after = grown(tmp_path, kind, GERMAN + RUSSIAN)
    after.check(["de", "ru"])
    old, new = (load_processor(one.model) for one in (before, after))
    for text in GERMAN:
        assert new.encode(text) == old.encode(text)
    for text in RUSSIAN:
        assert old.unk_id() in old.encode(text)
        assert new.decode(new.encode(text)) == text
    mixed = "der Hund и die собака"
    assert new.decode(new.encode(mixed)) == mixed
    assert list(after.symbols())[: len(before.symbols())] == list(before.symbols())
    assert list(after.symbols())[-1] == "<lang:ru>"
    assert cuts_otherwise(before.model, after.model) is None


def test_only_the_tag_is_new_where_every_character_is_known(tmp_path):
    before, after = grown(tmp_path, "unigram", GERMAN[:2])
    assert after.model.read_bytes() == before.model.read_bytes()
    assert list(after.symbols()) == [*before.symbols(), "<lang:ru>"]


def test_letters_of_tags_are_not_taken_for_known(tmp_path):
    (tmp_path / "new").mkdir()
    stem = train_vocabulary(RUSSIAN, tmp_path, 28, "unigram", ["ru"])
    grow_vocabulary(
        Vocabulary(tmp_path / stem),
        ["lang lang"],
        tmp_path / "new",
        30,
        "unigram",
        "nmt_nfkc",
        ["de"],
    )
    processor = load_processor(tmp_path / "new" / f"{stem}.model")
    assert processor.decode(processor.encode("lang")) == "lang"


def test_what_cuts_otherwise_is_told(tmp_path):
    before, after = grown(tmp_path, "unigram", RUSSIAN)
    (tmp_path / "other").mkdir()
    stem = train_vocabulary(GERMAN, tmp_path / "other", 32, "unigram", ["de"])
    other = tmp_path / "other" / f"{stem}.model"
    assert cuts_otherwise(before.model, other).startswith("piece ")
    assert "is none, expected" in cuts_otherwise(after.model, before.model)
