"""What is kept of the utterances' audio: filterbanks, or the sound itself."""

import numpy as np
import pytest

pytest.importorskip("kaldi_native_fbank")
pytest.importorskip("sentencepiece")
pytest.importorskip("soundfile")
pytest.importorskip("fairseq")

from fairseq_gist.errors import DataError, OptionError
from fairseq_gist.files import read_table
from fairseq_gist.preparing.options import Options
from fairseq_gist.preparing.preparation import prepare
from fairseq_gist.sound.audio import read_samples
from fairseq_gist.sound.filterbank import filterbank, frames_of
from fairseq_gist.sound.stored import filterbanks_at, read_stored
from tests.unit.preparing.test_prepare import write_layout

SOUND = Options(vocab_size=75, keep="sound")


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """The same data with filterbanks and with the sound: (layout, filterbanks, sound)."""
    layout = write_layout(tmp_path_factory.mktemp("kept") / "mustc")
    folders = layout.root / "filterbanks", layout.root / "sound"
    for folder, options in zip(folders, (Options(vocab_size=75), SOUND)):
        prepare(layout.root, folder, options, workers=1)
    return (layout, *folders)


def test_rows_are_the_same_but_for_where_their_audio_is(both):
    _, filterbanks, sound = both
    assert {path.name for path in sound.glob("*.zip")} == {"sound.zip"}
    assert {path.name for path in filterbanks.glob("*.zip")} == {"fbank80.zip"}
    for name in ("train", "dev", "multiway"):
        pairs = zip(read_table(filterbanks / f"{name}.tsv"), read_table(sound / f"{name}.tsv"))
        for one, other in pairs:
            assert other["audio"].startswith("sound.zip:")
            assert {**one, "audio": ""} == {**other, "audio": ""}


def test_the_sound_is_the_recordings(both):
    """It has 16 bits there as here, so that not even the filterbanks differ."""
    layout, filterbanks, sound = both
    places = [read_table(folder / "dev_de.tsv") for folder in (filterbanks, sound)]
    wav = layout.wav("de", "dev", "ted_4.wav")
    for row, (one, other) in enumerate(zip(*places)):
        samples, rate = read_stored(f"{sound / other['audio']}")
        assert rate == 16000
        assert np.array_equal(samples, read_samples(wav, 0.25 + row, 0.6 + 0.05 * row))
        features = filterbanks_at(f"{sound / other['audio']}")
        assert np.array_equal(features, filterbanks_at(f"{filterbanks / one['audio']}"))
        assert len(features) == int(other["n_frames"])


@pytest.mark.parametrize("samples", [0, 399, 400, 559, 560, 16000])
def test_frames_are_counted_without_making_them(samples):
    assert frames_of(samples) == len(filterbank(np.zeros(samples, dtype=np.float32)))


def test_finished_data_keep_what_they_keep(both):
    layout, filterbanks, sound = both
    with pytest.raises(DataError, match="prepared with keep sound, wanted filterbanks"):
        prepare(layout.root, sound, Options(vocab_size=75), workers=1)
    with pytest.raises(DataError, match="prepared with keep filterbanks, wanted sound"):
        prepare(layout.root, filterbanks, SOUND, workers=1)
    changed = Options(vocab_size=75, vocab_normalization="identity")
    with pytest.raises(DataError, match="vocab_normalization nmt_nfkc, wanted identity"):
        prepare(layout.root, filterbanks, changed, workers=1)
    prepare(layout.root, layout.root / "skipped", Options(vocab_size=75, skip_bad=True), workers=1)
    with pytest.raises(DataError, match="with skip_bad True, wanted False"):
        prepare(layout.root, layout.root / "skipped", Options(vocab_size=75), workers=1)
    record = prepare(layout.root, filterbanks, Options(vocab_size=75), workers=1)
    assert "keep" not in record["options"]


def test_something_else_cannot_be_kept(both):
    with pytest.raises(OptionError, match="--keep: expected one of filterbanks, sound"):
        prepare(both[0].root, both[0].root / "other", Options(keep="mp3"), workers=1)
