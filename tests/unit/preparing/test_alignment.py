"""Which segments of several languages are one utterance."""

import pytest

from fairseq_gist.languages.words import words
from fairseq_gist.preparing.alignment import REASONS, Distinct, Row, align_by_time
from fairseq_gist.preparing.layouts.base import Segment

SENTENCES = ["Thank you.", "So, I was nine.", "It's a well-known fact.", "Thank you."]


def talk(name="ted_1.wav", sentences=SENTENCES, shift=0.0, longer=0.0, dropped=None, first=1):
    """Sentences of two seconds, every three seconds."""
    return [
        Row(
            Segment(name, 3.0 * place + shift, 2.0 + longer, "spk", text, "x", first + place),
            (dropped or {}).get(place),
        )
        for place, text in enumerate(sentences)
    ]


def lines(result):
    return [[row.segment.line for row in rows] for rows in result.rows]


def change(rows, place, **values):
    fields = {**vars(rows[place].segment), **values}
    return [*rows[:place], Row(Segment(**fields), rows[place].dropped), *rows[place + 1 :]]


def test_identical_files():
    result = align_by_time({"de": talk(), "fr": talk(), "ru": talk()})
    assert lines(result) == [[1, 1, 1], [2, 2, 2], [3, 3, 3], [4, 4, 4]]
    assert result.counts() == {
        "candidates": 4,
        "matched": 4,
        "unmatched": {},
        "missing_in_one_language": {},
    }


@pytest.mark.parametrize(
    ("one", "same"),
    [
        ("It's a well-known fact.", "it\u2019s a  WELL known fact"),
        ("(Laughter) So -- nine!", "Laughter: so nine"),
        ("\ufb01ne", "fine"),
        ("♫  ♫", "♫ ♫"),
    ],
)
def test_words_without_what_is_written_otherwise(one, same):
    assert words(one) == words(same)


@pytest.mark.parametrize(
    ("one", "other"), [("nine", "ten"), ("nine", "nine nine"), ("♫", "—"), ("19", "1 9")]
)
def test_other_words_are_other_words(one, other):
    assert words(one) != words(other)


@pytest.mark.parametrize(("tolerance", "matched"), [(0.1, 4), (0.05, 0), (0.08, 4), (0.0, 0)])
def test_times_may_differ_within_the_tolerance(tolerance, matched):
    result = align_by_time({"de": talk(), "fr": talk(shift=0.08, longer=-0.06)}, tolerance)
    assert len(result.rows) == matched
    assert sum(result.unmatched["fr"].values()) == 4 - matched


def test_a_shift_just_as_large_as_the_tolerance_is_within_it():
    assert len(align_by_time({"de": talk(), "fr": talk(shift=0.1)}, 0.1).rows) == 4


@pytest.mark.parametrize("change_times", [{"shift": 0.2}, {"longer": 0.2}])
def test_the_same_words_at_another_time(change_times):
    result = align_by_time({"de": talk(), "fr": talk(**change_times)})
    assert result.rows == []
    assert result.unmatched["fr"] == {"time_differs": 4}


def test_a_missing_talk():
    result = align_by_time({"de": [*talk(), *talk("ted_2.wav", first=5)], "fr": talk("ted_2.wav")})
    assert lines(result) == [[5, 1], [6, 2], [7, 3], [8, 4]]
    assert result.counts()["unmatched"] == {"fr": {"talk_missing": 4}}


def test_other_words_at_the_same_time():
    result = align_by_time({"de": talk(), "fr": change(talk(), 1, source="So, I was ten.")})
    assert lines(result) == [[1, 1], [3, 3], [4, 4]]
    assert result.unmatched["fr"] == {"english_differs": 1}


def test_a_segment_that_is_part_of_a_longer_one():
    longer = change(talk(), 1, source="So, I was nine. It's a well-known fact.", duration=5.0)
    result = align_by_time({"de": talk(), "fr": [*longer[:2], longer[3]]})
    assert lines(result) == [[1, 1], [4, 4]]
    assert result.unmatched["fr"] == {"no_segment": 2}


def test_sentences_said_twice_are_told_apart_by_time():
    result = align_by_time({"de": talk(), "fr": talk()[3:]})
    assert lines(result) == [[4, 4]]
    assert result.unmatched["fr"] == {"time_differs": 1, "no_segment": 2}


def test_a_segment_listed_twice_is_one_utterance():
    again = talk(first=5)[:1]
    result = align_by_time({"de": [*talk(), *again], "fr": [*again, *talk()]})
    assert lines(result) == [[1, 1], [2, 2], [3, 3], [4, 4]]
    assert result.unmatched == {"de": {"repeated": 1}, "fr": {}}


def test_two_of_the_first_language_never_share_one_of_another():
    again = talk(first=5, shift=0.05)[:1]
    result = align_by_time({"de": [*talk(), *again], "fr": talk()})
    assert lines(result) == [[1, 1], [2, 2], [3, 3], [4, 4]]
    assert result.unmatched["fr"] == {"repeated": 1}


def test_of_several_the_nearest_is_taken():
    other = [*talk(shift=0.09), *talk(shift=0.02, first=5)]
    assert lines(align_by_time({"de": talk(), "fr": other})) == [[1, 5], [2, 6], [3, 7], [4, 8]]


def test_what_was_dropped_is_no_match_and_counted_by_reason():
    result = align_by_time(
        {
            "de": talk(dropped={0: "dropped_too_long"}),
            "fr": talk(dropped={1: "dropped_without_text"}),
        }
    )
    assert lines(result) == [[3, 3], [4, 4]]
    assert result.counts()["unmatched"] == {
        "de": {"dropped_too_long": 1},
        "fr": {"dropped_without_text": 1},
    }


def test_what_only_one_language_lacks():
    result = align_by_time({"de": talk(), "fr": talk()[1:], "ru": talk()[2:]})
    assert lines(result) == [[3, 3, 3], [4, 4, 4]]
    # the first sentence is at its end again, the second isn't
    assert result.counts() == {
        "candidates": 4,
        "matched": 2,
        "unmatched": {"fr": {"time_differs": 1}, "ru": {"no_segment": 1, "time_differs": 1}},
        "missing_in_one_language": {"ru": 1},
    }
    assert set(REASONS) >= {reason for found in result.unmatched.values() for reason in found}


def test_every_utterance_once():
    utterances = Distinct(0.1)
    first = [row.segment for row in talk()]
    assert all(map(utterances.is_new, first))
    assert not any(utterances.is_new(row.segment) for row in talk(shift=0.1))
    assert all(utterances.is_new(row.segment) for row in talk(shift=0.2))
    assert all(utterances.is_new(row.segment) for row in talk("ted_2.wav"))
