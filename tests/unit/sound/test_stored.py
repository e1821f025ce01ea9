"""Filterbanks of whatever a manifest names: any rate, any channels, files and zips."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from fairseq_gist.errors import DataError
from fairseq_gist.sound.filterbank import filterbank
from fairseq_gist.sound.stored import filterbanks_at

RATE = 16000


def voice(rate: int, seconds: float = 1.0) -> np.ndarray:
    """A sound below 3 kHz, which every rate here can hold."""
    time = np.arange(int(rate * seconds)) / rate
    return sum(
        0.2 / number * np.sin(2 * np.pi * (220 * number) * time * (1 + 0.1 * time))
        for number in range(1, 9)
    ).astype(np.float32)


def low_bins(features: np.ndarray) -> np.ndarray:
    """Leave out what is above 3 kHz, where there is nothing but the edges of filters."""
    return features[:, :45]


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
@pytest.mark.parametrize("kind", ["wav", "flac"])
def test_features_do_not_depend_on_the_rate(tmp_path: Path, rate: int, kind: str) -> None:
    expected = low_bins(filterbank(voice(RATE)))
    path = tmp_path / f"a.{kind}"
    soundfile.write(str(path), voice(rate), rate)
    found = low_bins(filterbanks_at(str(path)))
    assert abs(len(found) - len(expected)) <= 1
    count = min(len(found), len(expected))
    loud = expected[:count] > expected.max() - 8
    difference = np.abs(found[:count] - expected[:count])[loud].mean()
    assert difference < 0.15, f"log energies differ by {difference} on average"


def test_channels_are_mixed(tmp_path: Path) -> None:
    mono, stereo = tmp_path / "mono.wav", tmp_path / "stereo.wav"
    soundfile.write(str(mono), voice(RATE), RATE, subtype="FLOAT")
    soundfile.write(str(stereo), np.stack([voice(RATE)] * 2, axis=1), RATE, subtype="FLOAT")
    assert np.array_equal(filterbanks_at(str(mono)), filterbanks_at(str(stereo)))


def test_audio_and_features_inside_a_zip(tmp_path: Path) -> None:
    held, array = io.BytesIO(), io.BytesIO()
    soundfile.write(held, voice(RATE), RATE, format="FLAC")
    np.save(array, filterbank(voice(RATE)))
    path = tmp_path / "all.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as file:
        file.writestr("a.flac", held.getvalue())
        file.writestr("a.npy", array.getvalue())
    named = []
    with zipfile.ZipFile(path) as file:
        for info in file.infolist():
            start = info.header_offset + 30 + len(info.filename)
            named.append(filterbanks_at(f"{path}:{start}:{info.file_size}"))
    assert named[0].shape == named[1].shape
    # FLAC keeps sixteen bits
    loud = named[1] > named[1].max() - 8
    assert np.abs(named[0] - named[1])[loud].max() < 0.01


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.wav", None, "neither readable audio nor features"),
        ("text.wav", b"no sound at all", "neither readable audio nor features"),
        ("short.wav", voice(RATE, 0.01), "0.010 s of sound are too short for a frame"),
    ],
)
def test_what_is_no_sound_is_one_line(
    tmp_path: Path, name: str, content: object, message: str
) -> None:
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        soundfile.write(str(path), content, RATE)
    with pytest.raises(DataError, match=message) as caught:
        filterbanks_at(str(path))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
