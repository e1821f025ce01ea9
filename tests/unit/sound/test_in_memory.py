"""Sound files in memory: as from files, and ctrl-C is raised while they are read."""

import io
import signal

import numpy as np
import pytest

soundfile = pytest.importorskip("soundfile")

from fairseq_gist.sound import in_memory  # noqa: E402
from fairseq_gist.sound.in_memory import decoded, encoded  # noqa: E402

SAMPLES = np.random.default_rng(1).normal(scale=0.1, size=(20000, 2))


@pytest.fixture(params=["with memfd", "without"])
def system(request, monkeypatch):
    """A system that has files in memory, and one that hasn't."""
    if request.param == "without":
        monkeypatch.delattr(in_memory.os, "memfd_create")


@pytest.mark.usefixtures("system")
@pytest.mark.parametrize(
    ("form", "subtype"), [("WAV", "FLOAT"), ("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("OGG", "OPUS")]
)
def test_what_is_encoded_is_decoded_as_from_a_file(tmp_path, form, subtype):
    rate = 48000
    data = encoded(SAMPLES, rate, format=form, subtype=subtype)
    path = tmp_path / "sound"
    path.write_bytes(data)
    found, found_rate = decoded(data, "float32")
    expected, _ = soundfile.read(str(path), dtype="float32")
    assert (found_rate, found.shape, found.dtype) == (rate, SAMPLES.shape, np.float32)
    assert np.array_equal(found, expected)
    if subtype in ("FLOAT", "PCM_16"):  # what loses nothing
        assert np.abs(found - SAMPLES).max() < 2e-5


@pytest.mark.usefixtures("system")
@pytest.mark.parametrize("data", [b"", b"no sound at all" * 100])
def test_what_is_no_sound_is_told_without_a_number(data):
    with pytest.raises(RuntimeError, match="^(Format not recognised|File contains data)[^0-9]*$"):
        decoded(data, "float32")


def test_an_interrupt_is_raised_and_never_cuts_the_sound(monkeypatch):
    """Of those that come while it is read, none is lost."""
    data = encoded(np.tile(SAMPLES, (15, 1)), 16000, format="OGG", subtype="VORBIS")
    whole = len(soundfile.read(io.BytesIO(data))[0])
    interrupts = 0

    def interrupt(number, frame):
        nonlocal interrupts
        interrupts += 1
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    raised = 0
    try:
        for number in range(60):
            try:
                signal.setitimer(signal.ITIMER_REAL, 1e-4 * (1 + number))
                assert len(decoded(data, "float32")[0]) == whole
                signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                raised += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert raised == interrupts > 0
