"""Audio as releases name it, and as it is called on people's disks."""

import pytest

from fairseq_gist.errors import DataError
from fairseq_gist.preparing.layouts.reading import checked_name, find_audio
from tests.unit.preparing.layouts.building import write


@pytest.mark.parametrize(
    ("name", "there"),
    [
        ("talk.wav", "talk.wav"),
        ("talk.wav", "talk.flac"),
        ("talk", "talk.sph"),
        ("talk.mp3", "talk.MP3"),
        ("talk.WAV", "talk.flac"),
        ("en.20081118.33.3-246", "en.20081118.33.3-246.FLAC"),
    ],
)
def test_audio_is_found_whatever_its_ending(tmp_path, name, there):
    path = write(tmp_path / "second" / there, "")
    assert find_audio([tmp_path / "first", tmp_path / "second"], name) == path


@pytest.mark.parametrize("name", ["talk.wav", "other.tal", "x" * 300])
def test_what_is_not_there_is_where_it_should_be(tmp_path, name):
    write(tmp_path / "talk.txt", "")
    assert find_audio([tmp_path, tmp_path / "second"], name) == tmp_path / name


@pytest.mark.parametrize("name", ["", "a\0b.wav", "a\tb.wav", "x" * 256, "long/" * 300])
def test_names_that_no_file_has_are_refused(name):
    with pytest.raises(DataError, match="^list, line 3: wav should be a file name, found '"):
        checked_name(name, "list, line 3")
    assert checked_name("a b/ä.wav", "list, line 3") == "a b/ä.wav"
