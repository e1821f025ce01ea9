"""WAV files that end before their headers say, and headers that can't know."""

import struct

import numpy as np
import pytest

soundfile = pytest.importorskip("soundfile")

from fairseq_gist.errors import DataError  # noqa: E402
from fairseq_gist.sound.audio import read_wave  # noqa: E402

SAMPLES = np.random.default_rng(1).normal(scale=0.1, size=(16000, 2))


@pytest.fixture(params=["PCM_U8", "PCM_16", "FLOAT", "IMA_ADPCM"])
def path(request, tmp_path):
    """One second of stereo."""
    path = tmp_path / "talk.wav"
    soundfile.write(str(path), SAMPLES, 16000, subtype=request.param)
    return path


def test_a_whole_file_has_its_length(path):
    assert read_wave(path).seconds == pytest.approx(1.0, abs=0.1)


def test_half_a_file_is_told(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=r"ends at 0\.\d\d s, by its header at 1\.\d\d s; was it c"):
        read_wave(path)


def test_the_last_bytes_may_be_missing(path):
    path.write_bytes(path.read_bytes()[:-100])
    assert read_wave(path).seconds == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("unknown", [0x7FFFF000, 0xFFFFFFFF])
def test_what_was_written_to_a_pipe_says_no_length(tmp_path, unknown):
    path = tmp_path / "streamed.wav"
    soundfile.write(str(path), SAMPLES, 16000)
    content = bytearray(path.read_bytes())
    place = content.index(b"data") + 4
    content[place : place + 4] = struct.pack("<I", unknown)
    path.write_bytes(bytes(content))
    assert read_wave(path).n_samples == len(SAMPLES)
