"""Which recordings are left out, and by which rule: each by the first that speaks against it."""

from __future__ import annotations

import re
from typing import Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from fairseq_gist.corpora.people.phrases import (
    ASTERISK,
    Dropped,
    Heard,
    Phrase,
    Utterance,
    plain_words,
)

__all__ = ["RULES", "sift"]

RULES: Dict[str, str] = {
    "no_text": "nothing is written of it in the language that is spoken",
    "no_translation": "it isn't translated into English, or from Czech not into all ten languages",
    "remark": "the text has a remark in brackets or a placeholder: it isn't only what is said",
    "glued": "the text holds the name of another prompt: two became one line",
    "no_words": "the text, or a translation, has no letter and no digit",
    "unreadable": "the recording can't be decoded",
    "no_sound": "nothing is heard: no sample is above 1 % of the loudest possible",
    "too_short": "less than 0.3 seconds",
    "too_long": "more than 30 seconds",
    "pace": "too many or too few seconds for its letters and digits, silence before and after not "
    "counted: mostly a text that was changed after it was recorded",
    "two_texts": "the same recording is there with another text",
    "repeated": "the same recording is there once more, with the same text",
    "said_in_test": "a sentence or recording of training or dev that test has too, in any language",
    "said_in_dev": "a sentence or recording of training that dev has too, in any language",
    "size": "more than this --size takes",
}
"""Why a recording is left out, in the order in which it is asked."""

_PLACEHOLDER = re.compile(r"%\d")
_REMARK = re.compile(r"[][()<>{}]")
"""What isn't said: on telephones only; elsewhere brackets are part of a sentence."""

_GLUED = re.compile(r"\b[a-z]+(-[a-z\d]+)+:")

_QUIET = 0.01
_SHORTEST, _LONGEST = 0.3, 30.0
_BOUND = 3.5
"""Deviations, each as large as the standard deviation of a normal distribution."""
_FEWEST = 20
"""Recordings of which a pace can be told."""


def sift(
    heard: Sequence[Heard],
    phrases: Mapping[Tuple[str, str], Phrase],
    translations: Sequence[str],
) -> Tuple[List[Utterance], List[Dropped]]:
    """Return the recordings that say what is written, and the others with the reason.

    Args:
        heard: all recordings.
        phrases: all phrases, by their keys.
        translations: languages that each has to be translated into.
    """
    utterances: List[Utterance] = []
    dropped: List[Dropped] = []
    for one in heard:
        phrase = phrases.get((one.recording.collection, one.recording.name))
        rule = _speaks_against(one, phrase, translations)
        if rule or phrase is None:
            text = phrase.texts.get(one.language, "") if phrase else ""
            dropped.append(Dropped(rule, one, text))
        else:
            utterances.append(Utterance(phrase, one))
    for step in (_out_of_pace, _repetitions):
        against = dict(step(utterances))
        dropped += [
            Dropped(against[place], one.heard, one.text)
            for place, one in enumerate(utterances)
            if place in against
        ]
        utterances = [one for place, one in enumerate(utterances) if place not in against]
    return utterances, dropped


def _speaks_against(heard: Heard, phrase: Optional[Phrase], translations: Sequence[str]) -> str:
    """Return the first rule by which a recording is left out for itself, or nothing."""
    if phrase is None or heard.language not in phrase.texts:
        return "no_text"
    if any(language not in phrase.texts for language in translations):
        return "no_translation"
    texts = [phrase.texts[language] for language in (heard.language, *translations)]
    if any(map(_PLACEHOLDER.search, texts)):
        return "remark"
    if phrase.collection == ASTERISK and any(map(_REMARK.search, texts)):
        return "remark"
    if phrase.collection == ASTERISK and any(map(_GLUED.search, texts)):
        return "glued"
    if not all(map(plain_words, texts)):
        return "no_words"
    return _sounds_wrong(heard)


def _sounds_wrong(heard: Heard) -> str:
    if not heard.digest:
        return "unreadable"
    if heard.peak <= _QUIET:
        return "no_sound"
    if heard.seconds < _SHORTEST:
        return "too_short"
    return "too_long" if heard.seconds > _LONGEST else ""


def _out_of_pace(utterances: Sequence[Utterance]) -> Iterator[Tuple[int, str]]:
    """Go through the places of those that are too fast or too slow for their text.

    Each language of a collection has a line of its own, seconds by characters (Theil-Sen). Out of
    bounds is what is further from the median ratio than so many deviations; a second line, without
    those, has the last word.
    """
    speech: Dict[Tuple[str, str], List[int]] = {}
    for place, one in enumerate(utterances):
        speech.setdefault((one.phrase.collection, one.language), []).append(place)
    for places in speech.values():
        if len(places) < _FEWEST:
            continue
        said = [plain_words(utterances[place].text).replace(" ", "") for place in places]
        characters = np.array([len(text) for text in said], dtype=float)
        seconds = np.array([utterances[place].heard.speech for place in places])
        inside = np.ones(len(places), dtype=bool)
        for _ in range(2):
            inside = _within(characters, seconds, inside)
        for place, fits in zip(places, inside):
            if not fits:
                yield place, "pace"


def _within(characters: np.ndarray, seconds: np.ndarray, trusted: np.ndarray) -> np.ndarray:
    """Return which utterances are within bounds of a line through the trusted ones `[n]`."""
    from scipy.stats import theilslopes

    if np.ptp(characters[trusted]) > 0:
        slope, intercept, _, _ = theilslopes(seconds[trusted], characters[trusted])
    else:
        slope, intercept = 0.0, np.median(seconds[trusted])
    expected = np.maximum(intercept + slope * characters, 0.1)
    ratio = np.log(seconds / expected)
    middle = np.median(ratio[trusted])
    deviation = max(1.4826 * np.median(np.abs(ratio[trusted] - middle)), 0.05)
    return np.asarray(np.abs(ratio - middle) <= _BOUND * deviation)


def _repetitions(utterances: Sequence[Utterance]) -> Iterator[Tuple[int, str]]:
    """Go through the places of recordings that are there several times."""
    same: Dict[Tuple[str, str], List[int]] = {}
    for place, one in enumerate(utterances):
        same.setdefault((one.language, one.heard.digest), []).append(place)
    for places in same.values():
        texts = {plain_words(utterances[place].text) for place in places}
        if len(texts) > 1:
            yield from ((place, "two_texts") for place in places)
        else:
            yield from ((place, "repeated") for place in places[1:])
