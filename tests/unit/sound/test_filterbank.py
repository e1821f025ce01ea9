"""Filterbanks against Kaldi's definition, written out in double precision."""

import numpy as np
import pytest

from fairseq_gist.errors import DataError
from fairseq_gist.sound.audio import mono, read_samples, resample
from fairseq_gist.sound.filterbank import filterbank

soundfile = pytest.importorskip("soundfile")
pytest.importorskip("kaldi_native_fbank")


def kaldi(samples, rate=16000, bins=80):
    """Kaldi's compute-fbank-feats with its defaults, no dither: [frames, bins]."""
    length, shift, size = rate * 25 // 1000, rate * 10 // 1000, 512
    count = 1 + (len(samples) - length) // shift if len(samples) >= length else 0
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / (length - 1))) ** 0.85

    def mel(hertz):
        return 1127.0 * np.log(1.0 + np.asarray(hertz) / 700.0)

    edges = np.linspace(mel(20.0), mel(rate / 2), bins + 2)
    centres = mel(np.arange(size // 2) * rate / size)
    rising = (centres - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - centres) / (edges[2:] - edges[1:-1])[:, None]
    weights = np.maximum(0.0, np.minimum(rising, falling))
    frames = []
    for index in range(count):
        frame = samples[index * shift : index * shift + length].astype(np.float64) * 32768
        frame = frame - frame.mean()
        frame = np.append(frame[0] * (1 - 0.97), frame[1:] - 0.97 * frame[:-1])
        power = np.abs(np.fft.rfft(frame * window, size))[: size // 2] ** 2
        frames.append(np.log(np.maximum(weights @ power, np.finfo(np.float32).eps)))
    return np.array(frames).reshape(count, bins)


def sound(samples, rate=16000, seed=0):
    time = np.arange(samples) / rate
    noise = np.random.default_rng(seed).normal(size=samples)
    return (0.3 * np.sin(2 * np.pi * 440 * time * (1 + time)) + 0.05 * noise).astype(np.float32)


@pytest.mark.parametrize("samples", [400, 559, 560, 16000, 23456])
def test_features_are_kaldis(samples):
    wave = sound(samples)
    features, expected = filterbank(wave), kaldi(wave)
    assert features.shape == (1 + (samples - 400) // 160, 80)
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, expected, atol=2e-3, rtol=0)
    assert np.abs(features - expected).mean() < 1e-4


def test_louder_is_a_constant_more():
    wave = sound(8000)
    np.testing.assert_allclose(
        filterbank(2 * wave) - filterbank(wave), np.full((48, 80), 2 * np.log(2)), atol=2e-3
    )


def test_too_short_for_one_frame():
    assert filterbank(sound(399)).shape == (0, 80)
    assert filterbank(np.zeros(0, np.float32)).shape == (0, 80)


def test_channels_are_averaged():
    left, right = sound(100, seed=1), sound(100, seed=2)
    np.testing.assert_allclose(mono(np.stack([left, right], axis=1)), (left + right) / 2)
    assert mono(left) is left


def test_resampling_keeps_a_tone():
    tone = np.sin(2 * np.pi * 1000 * np.arange(44100) / 44100)
    expected = np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000)
    resampled = resample(tone, 44100)
    assert len(resampled) == 16000
    np.testing.assert_allclose(resampled[500:-500], expected[500:-500], atol=2e-3)


@pytest.mark.parametrize(("rate", "channels"), [(16000, 1), (44100, 1), (44100, 2), (8000, 1)])
def test_part_of_a_file_of_any_rate(tmp_path, rate, channels):
    time = np.arange(3 * rate) / rate
    tone = 0.5 * np.sin(2 * np.pi * 500 * time)
    path = tmp_path / "talk.wav"
    soundfile.write(path, np.stack([tone] * channels, axis=1), rate, subtype="FLOAT")
    samples = read_samples(path, offset=1.0, duration=0.5)
    assert samples.dtype == np.float32
    assert len(samples) == 8000
    expected = 0.5 * np.sin(2 * np.pi * 500 * (1 + np.arange(8000) / 16000))
    np.testing.assert_allclose(samples[200:-200], expected[200:-200], atol=2e-3)


def test_reading_past_the_end_gives_what_is_there(tmp_path):
    path = tmp_path / "talk.wav"
    soundfile.write(path, sound(16000), 16000, subtype="FLOAT")
    assert len(read_samples(path, 0.75, 1.0)) == 4000
    assert len(read_samples(path, 2.0, 1.0)) == 0


def test_what_is_no_audio_is_named(tmp_path):
    path = tmp_path / "talk.wav"
    path.write_bytes(b"RIFF, so it says")
    with pytest.raises(DataError, match=r"talk\.wav: not readable audio"):
        read_samples(path, 0.0, 1.0)
