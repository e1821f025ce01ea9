"""Text, JSON and subtitles."""

import json
from pathlib import Path

import pytest

from fairseq_gist.files.outputs import TRANSLATIONS, kind_of
from fairseq_gist.translating.formats import as_json, as_subtitles, as_text
from fairseq_gist.translating.results import Recording, TranslatedSegment, Translation

LONG = "eins zwei drei vier fünf sechs sieben acht neun zehn " * 4
SHORT = Translation(
    "de",
    [
        TranslatedSegment(0.0, 1.5, "Guten Tag & <hallo>."),
        TranslatedSegment(2.0, 3.0, ""),
        TranslatedSegment(3661.0, 3662.25, "Bis morgen."),
    ],
)


def test_text_has_a_line_a_segment():
    assert as_text(SHORT) == "Guten Tag & <hallo>.\n\nBis morgen.\n"
    assert str(SHORT) == SHORT.text == "Guten Tag & <hallo>. Bis morgen."


def test_languages_without_spaces_have_none():
    segments = [TranslatedSegment(0, 1, "你好。"), TranslatedSegment(1, 2, "再见。")]
    assert Translation("zh", segments).text == "你好。再见。"


def test_srt():
    assert as_subtitles(SHORT, "srt") == (
        "1\n00:00:00,000 --> 00:00:01,500\nGuten Tag & <hallo>.\n\n"
        "2\n01:01:01,000 --> 01:01:02,250\nBis morgen.\n"
    )


def test_webvtt():
    assert as_subtitles(SHORT, "vtt") == (
        "WEBVTT\n\n"
        "1\n00:00:00.000 --> 00:00:01.500\nGuten Tag &amp; &lt;hallo&gt;.\n\n"
        "2\n01:01:01.000 --> 01:01:02.250\nBis morgen.\n"
    )
    assert as_subtitles(Translation("de", []), "vtt").startswith("WEBVTT")


def test_a_long_segment_is_several_subtitles_that_share_its_time():
    text = as_subtitles(Translation("de", [TranslatedSegment(10, 20, LONG)]), "srt")
    cues = [cue.split("\n") for cue in text.strip().split("\n\n")]
    assert len(cues) == 3
    assert all(len(cue) <= 4 and max(map(len, cue[2:])) <= 42 for cue in cues)
    assert " ".join(" ".join(cue[2:]) for cue in cues) == LONG.strip()
    times = [cue[1].split(" --> ") for cue in cues]
    assert times[0][0] == "00:00:10,000"
    assert times[-1][1] == "00:00:20,000"
    assert all(one[1] == next_one[0] for one, next_one in zip(times, times[1:]))


def test_json_has_all():
    found = json.loads(as_json(Recording(Path("talks/a.wav"), 3700.0, {"de": SHORT})))
    assert found["audio"] == "talks/a.wav"
    assert found["seconds"] == 3700.0
    assert found["translations"]["de"]["text"] == SHORT.text
    assert found["translations"]["de"]["segments"][2] == {
        "start": 3661.0,
        "end": 3662.25,
        "text": "Bis morgen.",
    }


@pytest.mark.parametrize("kind", ["srt", "vtt", "json", "empty.vtt"])
def test_a_second_run_may_write_over_them(tmp_path, kind):
    translation = Translation("de", []) if kind.startswith("empty") else SHORT
    text = as_subtitles(translation, kind[-3:])
    if kind == "json":
        text = as_json(Recording(Path("a.wav"), 1.0, {"de": SHORT}))
    (tmp_path / kind).write_text(text, encoding="utf-8")
    assert kind_of(tmp_path / kind) == TRANSLATIONS
