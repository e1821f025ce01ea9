"""What is left out, by which rule, and that no sentence is in two splits."""

import dataclasses

import numpy as np
import pytest

from fairseq_gist.corpora.people.options import Size
from fairseq_gist.corpora.people.phrases import (
    ASTERISK,
    FILLETS,
    TUXPAINT,
    Heard,
    Phrase,
    Recording,
    Utterance,
    plain_words,
)
from fairseq_gist.corpora.people.rules import RULES, sift
from fairseq_gist.corpora.people.splits import SPLITS, apart, cut, overlap, split_groups
from fairseq_gist.errors import DataError


def heard(name, collection=TUXPAINT, language="fr", seconds=1.0, speech=None, **other):
    recording = Recording(collection, name, language, "who", f"{name}.ogg", b"")
    found = Heard(recording, f"{name}.wav", seconds, speech or seconds, 0.5, f"{language} {name}")
    return dataclasses.replace(found, **other)


def rule_of(french, english="A thing.", collection=TUXPAINT, targets=("en",), **other):
    """By which rule a recording of a text is left out."""
    texts = {key: text for key, text in (("fr", french), ("en", english)) if text is not None}
    phrase = Phrase(collection, "thing", "group", texts)
    kept, dropped = sift([heard("thing", collection, **other)], {phrase.key: phrase}, targets)
    assert len(kept) + len(dropped) == 1
    return dropped[0].rule if dropped else None


@pytest.mark.parametrize(
    ("rule", "case"),
    [
        (None, {"french": "Une chose."}),
        ("no_text", {"french": None}),
        ("no_translation", {"french": "Une chose.", "english": None}),
        ("no_translation", {"french": "Une chose.", "targets": ("en", "de")}),
        ("remark", {"french": "%1 choses.", "collection": FILLETS}),
        ("remark", {"french": "[un bruit]", "collection": ASTERISK}),
        ("remark", {"french": "Un.", "english": "One (loud)", "collection": ASTERISK}),
        (None, {"french": "Une chose (petite).", "collection": TUXPAINT}),
        ("glued", {"french": "Faites un.vm-review-2: Faites deux.", "collection": ASTERISK}),
        (None, {"french": "Options: faites un.", "collection": ASTERISK}),
        ("no_words", {"french": "?!"}),
        ("no_words", {"french": "Une chose.", "english": "..."}),
        ("unreadable", {"french": "Une chose.", "digest": ""}),
        ("no_sound", {"french": "Une chose.", "peak": 0.005}),
        ("too_short", {"french": "Une chose.", "seconds": 0.29}),
        (None, {"french": "Une chose.", "seconds": 0.3}),
        (None, {"french": "Une chose.", "seconds": 30.0}),
        ("too_long", {"french": "Une chose.", "seconds": 30.1}),
    ],
)
def test_each_rule(rule, case):
    assert rule_of(**case) == rule
    assert rule is None or rule in RULES


def test_a_recording_of_nothing_known():
    kept, dropped = sift([heard("other")], {}, ("en",))
    assert not kept
    assert [(one.rule, one.text) for one in dropped] == [("no_text", "")]


def spoken(count, pace, language="fr", start=0):
    """Phrases of 5 to 60 characters and recordings at a pace of their own, with some noise."""
    noise = np.random.default_rng(start).normal(0, 0.1, count)
    for number in range(start, start + count):
        name = f"{language}{number}"
        size = 5 + number % 56
        texts = {language: f"{number} " + "x" * (size - len(str(number))), "en": f"Word {name}."}
        seconds = (0.3 + pace * size) * np.exp(noise[number - start])
        yield (
            Phrase(TUXPAINT, name, name, texts),
            heard(name, language=language, speech=float(seconds), seconds=float(seconds)),
        )


def test_texts_that_changed_after_the_recording():
    slow, quick = list(spoken(200, 0.2, "el")), list(spoken(200, 0.05, "ru"))
    pairs = slow + quick
    pairs[10] = (pairs[10][0], dataclasses.replace(pairs[10][1], speech=0.4))
    pairs[250] = (pairs[250][0], dataclasses.replace(pairs[250][1], speech=20.0))
    kept, dropped = sift([one for _, one in pairs], {one.key: one for one, _ in pairs}, ("en",))
    names = {one.heard.recording.name for one in dropped}
    assert {"el10", "ru50"} <= names
    assert {one.rule for one in dropped} == {"pace"}
    assert len(names) <= 6  # of a normal distribution 1 in 2,000 is as far away
    # every language has a pace of its own: as Russian, all of Greek would be far too slow
    assert sum(one.language == "el" for one in kept) >= 195


def test_few_recordings_have_no_pace():
    pairs = list(spoken(19, 0.1))
    pairs[0] = (pairs[0][0], dataclasses.replace(pairs[0][1], speech=29.0))
    kept, _ = sift([one for _, one in pairs], {one.key: one for one, _ in pairs}, ("en",))
    assert len(kept) == 19


def test_texts_of_one_length_have_a_pace_too():
    phrases = [
        Phrase(TUXPAINT, f"n{n}", f"n{n}", {"fr": f"a{n:03}", "en": "A."}) for n in range(40)
    ]
    found = [heard(one.name, speech=9.0 if one.name == "n7" else 1.0) for one in phrases]
    _, dropped = sift(found, {one.key: one for one in phrases}, ("en",))
    assert [one.heard.recording.name for one in dropped] == ["n7"]


def test_one_recording_several_times():
    texts = {"a": "Un chat.", "b": "un chat!", "c": "Un chat.", "d": "Un chien.", "e": "Un loup."}
    phrases = {
        (TUXPAINT, name): Phrase(TUXPAINT, name, name, {"fr": text, "en": "An animal."})
        for name, text in texts.items()
    }
    same = {"a": "1", "b": "1", "c": "2", "d": "3", "e": "3"}
    found = [heard(name, digest=digest) for name, digest in same.items()]
    kept, dropped = sift(found, phrases, ("en",))
    assert [one.phrase.name for one in kept] == ["a", "c"]
    rules = {one.heard.recording.name: one.rule for one in dropped}
    assert rules == {"b": "repeated", "d": "two_texts", "e": "two_texts"}


# ---------------------------------------------------------------------------------------- splits
def corpus(levels=40, lines=5):
    """Dialogues in two languages, some lines of which are said in many levels."""
    utterances = []
    for level in range(levels):
        for line in range(lines):
            text = f"Line {level} {line}"
            if line == 0 and level % 3 == 0:
                text = ("Yes.", "YES!", "yes")[level // 3 % 3]
            if line == 1:
                text = f"{'Again' if level % 2 else 'again,'} {level // 2}"
            texts = {"cs": f"{text} cs", "nl": f"{text} nl", "en": f"{text} en"}
            phrase = Phrase(FILLETS, f"{level}/{line}", str(level), texts)
            for language in ("cs", "nl"):
                name = f"{level}/{line}"
                utterances.append(
                    Utterance(phrase, heard(name, FILLETS, language, digest=f"{language}{name}"))
                )
    return utterances


def test_a_level_is_in_one_split_and_test_and_dev_have_their_shares():
    phrases = [one.phrase for one in corpus(100)]
    splits = split_groups(phrases)
    assert splits == split_groups(reversed(phrases))
    groups = {}
    for phrase in phrases:
        groups.setdefault(phrase.group, set()).add(splits[phrase.key])
    assert all(len(one) == 1 for one in groups.values())
    counts = {split: list(splits.values()).count(split) / len(splits) for split in SPLITS}
    assert counts == {"train": 0.77, "dev": 0.08, "tst-COMMON": 0.15}


def test_no_sentence_is_in_two_splits_in_any_language():
    utterances = corpus()
    splits = split_groups(one.phrase for one in utterances)
    raw = {
        split: [one for one in utterances if splits[one.phrase.key] == split] for split in SPLITS
    }
    assert overlap(raw) > 0  # there is something to do
    made, dropped = apart(utterances, splits)
    assert overlap(made) == 0
    assert sum(map(len, made.values())) + len(dropped) == len(utterances)
    assert {one.rule for one in dropped} == {"said_in_test", "said_in_dev"}
    assert made["tst-COMMON"] == raw["tst-COMMON"]  # test loses nothing
    test = {plain_words(text) for one in made["tst-COMMON"] for text in one.phrase.texts.values()}
    for one in dropped:
        if one.rule == "said_in_test":
            phrase = next(u.phrase for u in utterances if u.phrase.name == one.heard.recording.name)
            assert test & {plain_words(text) for text in phrase.texts.values()}


def test_one_recording_of_two_texts_is_in_one_split_too():
    utterances = corpus()
    splits = split_groups(one.phrase for one in utterances)
    made, dropped = apart(utterances, splits)
    said, heard_there = made["train"][0], made["tst-COMMON"][0].heard.digest
    moved = dataclasses.replace(said, heard=dataclasses.replace(said.heard, digest=heard_there))
    made["train"][0] = moved
    assert overlap(made) == 1
    again, more = apart([moved if one == said else one for one in utterances], splits)
    assert overlap(again) == 0
    assert len(more) == len(dropped) + 1


def test_a_size_takes_the_same_phrases_in_every_language():
    utterances = corpus()
    made, _ = apart(utterances, split_groups(one.phrase for one in utterances))
    small, left = cut(made, Size(0.25, 3, 4))
    for split, expected in (("dev", 3), ("tst-COMMON", 4)):
        names = {
            language: [one.phrase.name for one in small[split] if one.language == language]
            for language in ("cs", "nl")
        }
        assert names["cs"] == names["nl"]
        assert len(names["cs"]) == expected
    train = [one for one in made["train"] if one.language == "nl"]
    assert sum(one.language == "nl" for one in small["train"]) == -(-len(train) // 4)
    assert {one.rule for one in left} == {"size"}
    assert sum(map(len, small.values())) + len(left) == sum(map(len, made.values()))
    everything, nothing = cut(made, Size())
    assert everything == {
        split: sorted(each, key=lambda one: one.language) for split, each in made.items()
    }
    assert not nothing


def test_a_language_that_nothing_is_left_of():
    utterances = corpus()
    made, _ = apart(utterances, split_groups(one.phrase for one in utterances))
    made["dev"] = [one for one in made["dev"] if one.language == "cs"]
    with pytest.raises(DataError, match=r"nothing is left of 'nl' in dev"):
        cut(made, Size())
