"""Where recordings are cut."""

import numpy as np
import pytest
import soundfile

from fairseq_gist.errors import DataError
from fairseq_gist.translating.cutting import Segment, cut, loudness

RATE = 8000


def speech(seconds, seed=0):
    """Noise that swells and fades four times a second, as syllables do."""
    time = np.arange(round(seconds * RATE)) / RATE
    noise = np.random.default_rng(seed).normal(scale=0.1, size=len(time))
    return noise * (0.4 + 0.6 * np.sin(4 * np.pi * time) ** 2)


def quiet(seconds, scale=0.001):
    return np.random.default_rng(9).normal(scale=scale, size=round(seconds * RATE))


def spoken(*lengths, scale=0.001):
    """Alternate speech and pauses of so many seconds."""
    parts = [quiet(x, scale) if n % 2 else speech(x, n) for n, x in enumerate(lengths)]
    return np.concatenate(parts)


def segments(path, samples, longest=20.0, rate=RATE):
    soundfile.write(str(path), samples, rate)
    return cut(loudness(path), len(samples) / rate, longest)


def test_what_is_short_stays_as_it_is(tmp_path):
    assert segments(tmp_path / "a.wav", spoken(1, 3, 1)) == [Segment(0.0, 5.0)]


@pytest.mark.parametrize("scale", [0.001, 0.01])
def test_cuts_are_in_the_longest_pause_of_the_second_half(tmp_path, scale):
    samples = spoken(4, 0.3, 8, 0.4, 3, 0.8, 3, 0.4, 12, scale=scale)
    found = segments(tmp_path / "a.wav", samples, 20)
    assert len(found) == 2
    first, second = found
    assert first.start == 0
    assert 15.7 < first.end < 16.5 - 0.3  # what is said ends at 15.7, and 0.2 s of the pause stay
    assert second.start == pytest.approx(first.end + 0.4, abs=0.1)
    assert second.end == pytest.approx(len(samples) / RATE, abs=0.05)


def test_silence_to_the_last_bit_stays_outside(tmp_path):
    samples = spoken(4, 0.3, 8, 0.4, 3, 0.8, 3, 0.4, 12, scale=0.0)
    first, second = segments(tmp_path / "a.wav", samples, 20)
    assert first.end == pytest.approx(15.7, abs=0.03)
    assert second.start == pytest.approx(16.5, abs=0.03)


def test_pauses_end_segments_as_long_as_is_said(tmp_path):
    soundfile.write(str(tmp_path / "a.wav"), spoken(3, 0.4, 3, 0.7, 3), RATE)
    loud = loudness(tmp_path / "a.wav")
    assert len(cut(loud, 10.1, 20)) == 1
    assert [round(one.end, 1) for one in cut(loud, 10.1, 20, 0.5)] == [6.6, 10.1]
    assert [round(one.end, 1) for one in cut(loud, 10.1, 20, 0.3)] == [3.2, 6.6, 10.1]


def test_a_long_pause_ends_a_segment_and_is_left_out(tmp_path):
    found = segments(tmp_path / "a.wav", spoken(10, 5, 3, 1, 4), 20)
    assert [round(x) for one in found for x in one] == [0, 10, 15, 23]
    assert sum(one.seconds for one in found) == pytest.approx(18 + 0.6, abs=0.3)


def test_silence_at_both_ends_is_left_out(tmp_path):
    found = segments(tmp_path / "a.wav", np.concatenate([quiet(9), spoken(8), quiet(9)]), 20)
    assert len(found) == 1
    assert found[0].start == pytest.approx(8.8, abs=0.1)
    assert found[0].end == pytest.approx(17.2, abs=0.1)


@pytest.mark.parametrize("longest", [1.5, 5, 20])
def test_without_any_pause_no_segment_is_too_long_and_nothing_is_lost(tmp_path, longest):
    noise = np.random.default_rng(1).normal(scale=0.1, size=61 * RATE)
    found = segments(tmp_path / "a.wav", noise, longest)
    assert max(one.seconds for one in found) <= longest
    assert found[0].start == 0
    assert found[-1].end == pytest.approx(61)
    assert all(a.end == b.start for a, b in zip(found, found[1:]))


@pytest.mark.parametrize("seed", range(5))
def test_all_that_is_said_is_in_a_segment(tmp_path, seed):
    draw = np.random.default_rng(seed)
    lengths = np.ravel(np.stack([draw.uniform(0.3, 9, 20), draw.uniform(0.05, 3, 20)], axis=1))
    found = segments(tmp_path / "a.wav", spoken(*lengths[:-1]), 12)
    assert max(one.seconds for one in found) <= 12
    assert all(a.end <= b.start + 1e-9 for a, b in zip(found, found[1:]))
    ends = np.cumsum(lengths)
    for start, end in zip([0, *ends[1:-1:2]], ends[::2]):
        for moment in np.arange(start + 0.15, end - 0.15, 0.1):
            assert any(one.start <= moment <= one.end for one in found), moment


def test_nothing_to_hear_has_no_segments(tmp_path):
    assert segments(tmp_path / "a.wav", np.zeros(30 * RATE)) == []
    assert segments(tmp_path / "b.wav", quiet(3, 0.0001)) == []
    assert segments(tmp_path / "c.wav", speech(0.05)) == []


@pytest.mark.parametrize("rate", [8000, 11025, 44100])
def test_rate_and_channels_do_not_matter(tmp_path, rate):
    samples = np.repeat(spoken(4, 3, 4), 1)
    at_rate = np.interp(np.arange(0, 11, 1 / rate), np.arange(len(samples)) / RATE, samples)
    soundfile.write(str(tmp_path / "a.flac"), np.stack([at_rate, 0 * at_rate], axis=1), rate)
    loud = loudness(tmp_path / "a.flac")
    assert len(loud) == 1100
    assert [round(x) for one in cut(loud, 11.0, 10.0) for x in one] == [0, 4, 7, 11]


def test_a_file_that_was_cut_off_is_told(tmp_path):
    soundfile.write(str(tmp_path / "a.flac"), speech(30), RATE)
    whole = (tmp_path / "a.flac").read_bytes()
    (tmp_path / "b.flac").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"b\.flac: "):
        loudness(tmp_path / "b.flac")
