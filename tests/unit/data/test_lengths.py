"""What a manifest says of lengths, against the audio: batches are made by it."""

import io
import logging
import zipfile

import numpy as np
import pytest
import soundfile
from fairseq.data import Dictionary
from fairseq.data.audio.data_cfg import S2TDataConfig

from fairseq_gist.data.manifest import ManifestReader
from fairseq_gist.errors import DataError

FRAMES = [40, 300, 62]


@pytest.fixture
def reader(tmp_path):
    """Three arrays in a zip, as files, and as sound; ``reader(rows)`` reads (audio, n_frames)."""
    with zipfile.ZipFile(tmp_path / "fbank.zip", "w", zipfile.ZIP_STORED) as archive:
        for name, frames in enumerate(FRAMES):
            buffer = io.BytesIO()
            np.save(buffer, np.ones((frames, 80), dtype=np.float32))
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), buffer.getvalue())
            (tmp_path / f"{name}.npy").write_bytes(buffer.getvalue())
    noise = np.random.default_rng(1)
    for name, seconds in (("tiny", 0.01), ("short", 0.024), ("one", 0.026), ("whole", 1.0)):
        samples = 0.1 * noise.standard_normal(round(seconds * 44100))
        soundfile.write(str(tmp_path / f"{name}.wav"), samples, 44100)
    (tmp_path / "config.yaml").write_text(f"audio_root: {tmp_path}\n", encoding="utf-8")

    def read(*rows):
        lines = ["id\taudio\tn_frames\ttgt_text"]
        lines += [f"row-{i}\t{audio}\t{frames}\ttext" for i, (audio, frames) in enumerate(rows)]
        (tmp_path / "dev.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        config = S2TDataConfig(tmp_path / "config.yaml")
        own = ManifestReader(str(tmp_path), config, Dictionary(), [], None, None, None, 1)
        return own.read("dev", is_train=False)

    return read


@pytest.fixture
def zipped(tmp_path, reader):
    with zipfile.ZipFile(tmp_path / "fbank.zip") as archive:
        infos = archive.infolist()
    return [f"fbank.zip:{i.header_offset + 30 + len(i.filename)}:{i.file_size}" for i in infos]


def test_right_ones_are_read(reader, zipped):
    rows = reader(*zip(zipped, FRAMES))
    assert [len(rows[index].source) for index in range(3)] == FRAMES


@pytest.mark.parametrize("said", [1, 30, 3000])
def test_wrong_ones_in_a_zip_are_refused_before_any_row_is_read(reader, zipped, said):
    with pytest.raises(
        DataError,
        match=rf"dev.tsv, line 3: n_frames is {said}, but the features of row 'row-1' have 300 "
        "frames; so in 1 of 3 rows",
    ):
        reader(*zip(zipped, [40, said, 62]))


def test_other_ways_to_count_are_no_error(reader, zipped):
    rows = reader(*zip(zipped, [43, 303, 60]))
    assert [len(rows[index].source) for index in range(3)] == FRAMES


@pytest.mark.parametrize(("name", "said", "found"), [("1.npy", 30, 300), ("whole.wav", 16000, 98)])
def test_wrong_ones_of_files_are_refused_when_read(reader, name, said, found):
    rows = reader(("0.npy", 40), (name, said))
    assert len(rows[0].source) == 40
    with pytest.raises(DataError, match=f"row 'row-1': .*n_frames is {said}, but it has {found} f"):
        rows[1]


def test_audio_too_short_for_a_frame_is_left_out_and_counted(reader, caplog):
    with caplog.at_level(logging.WARNING):
        rows = reader(("whole.wav", 98), ("tiny.wav", 1), ("one.wav", 1), ("short.wav", 2))
    assert len(rows) == 2
    assert [len(rows[index].source) for index in range(2)] == [98, 1]
    assert "left out 2 of 4 rows, whose audio is too short for a frame" in caplog.text
    assert "the first is 'row-1' in line 3" in caplog.text


def test_nothing_but_such_audio_is_an_error(reader):
    with pytest.raises(DataError, match="the audio of all 1 rows is too short for a frame"):
        reader(("tiny.wav", 1))
