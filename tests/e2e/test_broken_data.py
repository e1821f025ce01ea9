"""Data folders and manifests that are broken: file, row, what was expected and found, one line."""

import io
import shutil
import sys

import numpy as np
import pytest

from fairseq_gist.errors import DataError
from tests import forking
from tests.e2e.conftest import RECIPE, SMALL_MODEL
from tests.e2e.helpers import build


@pytest.fixture(scope="module")
def folder(data, tmp_path_factory):
    """A copy of the data, with files of features that no model can be trained on."""
    folder = tmp_path_factory.mktemp("broken") / "data"
    shutil.copytree(data, folder)
    config = folder / "config_st.yaml"
    config.write_text(
        config.read_text(encoding="utf-8").replace(str(data), str(folder)), encoding="utf-8"
    )
    features = {
        "nan": np.full((20, 80), np.nan, dtype=np.float32),
        "infinite": np.full((20, 80), np.inf, dtype=np.float32),
        "empty": np.zeros((0, 80), dtype=np.float32),
        "deep": np.zeros((2, 3, 80), dtype=np.float32),
    }
    for name, array in features.items():
        np.save(folder / f"{name}.npy", array)
    (folder / "short.npy").write_bytes((folder / "nan.npy").read_bytes()[:200])
    (folder / "text.wav").write_text("no sound", encoding="utf-8")
    content = io.BytesIO()
    np.save(content, np.array([{}], dtype=object), allow_pickle=True)
    (folder / "pickled.npy").write_bytes(content.getvalue())
    return folder


def rows_of(folder):
    header, *rows = (folder / "dev.tsv").read_text(encoding="utf-8").splitlines()
    return header.split("\t"), [row.split("\t") for row in rows]


def write(folder, header, rows):
    lines = ["\t".join(header), *("\t".join(row) for row in rows)]
    (folder / "broken.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def with_cell(folder, name, value, n_frames=None):
    """Give the second row another cell; the zip's place in the form that it has."""
    header, rows = rows_of(folder)
    rows[1][header.index(name)] = value(rows[1][header.index(name)])
    if n_frames is not None:
        rows[1][header.index("n_frames")] = n_frames
    write(folder, header, rows)
    return rows[1][header.index("id")]


def zip_at(offset=None, length=None):
    def changed(audio):
        path, start, size = audio.rsplit(":", 2)
        return f"{path}:{start if offset is None else offset}:{size if length is None else length}"

    return changed


AUDIO = {
    "a zip without a place": lambda audio: audio.split(":")[0],
    "an offset past the end": zip_at(offset=10**9),
    "an offset between files": zip_at(offset=3),
    "a short block": zip_at(length=100),
    "a block of nothing": zip_at(length=0),
    "a negative offset": zip_at(offset=-5),
    "a place that is no number": zip_at(offset="x"),
    "one colon": lambda audio: audio.rsplit(":", 1)[0],
    "a missing file": lambda audio: "missing.npy",
    "a folder": lambda audio: ".",
    "not a number": lambda audio: "nan.npy",
    "infinite": lambda audio: "infinite.npy",
    "no frames": lambda audio: "empty.npy",
    "too many dimensions": lambda audio: "deep.npy",
    "a cut off array": lambda audio: "short.npy",
    "pickled objects": lambda audio: "pickled.npy",
    "text instead of sound": lambda audio: "text.wav",
    "an unknown kind": lambda audio: "dev.tsv",
}


@pytest.mark.parametrize("kind", AUDIO)
def test_a_row_whose_audio_cannot_be_read_is_named(folder, kind):
    row = with_cell(folder, "audio", AUDIO[kind])
    task, _, _ = build(folder)
    dataset = task.reader().read("broken", is_train=False)
    assert dataset[0].source.dim() == 2
    with pytest.raises(DataError) as error:
        dataset[1]
    told = str(error.value)
    assert told.startswith(f"broken.tsv, row '{row}': its audio {folder}"), told
    assert "can't be read: " in told
    assert told.isprintable()
    assert len(told) < 600


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("n_frames", "0", "n_frames should be a number from 1 on, is '0'"),
        ("n_frames", "-4", "n_frames should be a number from 1 on, is '-4'"),
        ("n_frames", "12.5", "n_frames should be a number from 1 on, is '12.5'"),
        ("n_frames", "²", "n_frames should be a number from 1 on"),
        ("n_frames", "9" * 4000, "n_frames should be a number from 1 on"),
        ("audio", "", "the row has no audio"),
    ],
)
def test_a_cell_that_is_wrong_is_named(folder, name, value, message):
    with_cell(folder, name, lambda _: value)
    task, _, _ = build(folder)
    with pytest.raises(DataError, match=rf"broken\.tsv, line 3: {message}"):
        task.reader().read("broken", is_train=False)


def test_a_row_that_ends_early_is_named(folder):
    header, rows = rows_of(folder)
    write(folder, header, [rows[0], rows[1][:2], rows[2]])
    task, _, _ = build(folder)
    with pytest.raises(
        DataError, match=r"broken\.tsv, line 3: expected the columns id, audio, n_f"
    ):
        task.reader().read("broken", is_train=False)


@pytest.mark.parametrize("column", ["id", "audio", "n_frames", "tgt_text"])
def test_a_missing_column_is_named(folder, column):
    header, rows = rows_of(folder)
    place = header.index(column)
    write(
        folder, [*header[:place], *header[place + 1 :]], [r[:place] + r[place + 1 :] for r in rows]
    )
    task, _, _ = build(folder)
    with pytest.raises(DataError, match=rf"broken\.tsv, line 2: .* found no {column} in the row"):
        task.reader().read("broken", is_train=False)


@pytest.mark.parametrize(
    ("spoil", "options", "message"),
    [
        (lambda d: shutil.rmtree(d), [], "expected the folder of the data, found none"),
        (
            lambda d: (d / "config_st.yaml").unlink(),
            [],
            "there is no file .*config_st.yaml; of thi",
        ),
        (
            lambda d: (d / "config_st.yaml").write_text("a: [", encoding="utf-8"),
            [],
            "no YAML that can be read",
        ),
        (
            lambda d: (d / "config_st.yaml").write_text("[1]", encoding="utf-8"),
            [],
            "expected settings of the data, fo",
        ),
        (
            lambda d: (d / "config_st.yaml").write_text(
                "a: !!python/object/apply:os.system [ls]", encoding="utf-8"
            ),
            [],
            "no YAML that can be read: could not determine a constructor",
        ),
        (
            lambda d: (d / "config_st.yaml").write_text(
                "vocab_filename: none.txt", encoding="utf-8"
            ),
            [],
            "its vocabulary .*none.txt doesn't exist",
        ),
        (
            lambda d: (d / "config_st.yaml").write_text("vocab_filename: 3", encoding="utf-8"),
            [],
            "vocab_filename should be a file, is 3",
        ),
        (
            lambda d: next(d.glob("spm_*.txt")).write_text("a 1\nb\n", encoding="utf-8"),
            [],
            "spm.*txt, line 2: expected a symbol, a space and a number, found 'b'",
        ),
        (lambda d: None, ["--train-subset=tain"], "--train-subset tain: the names of training sub"),
        (lambda d: None, ["--train-subset=train_x"], "train_x.tsv: no such file; there are dev,"),
        (lambda d: None, ["--valid-subset=none"], "none.tsv: no such file; there are dev,"),
    ],
)
def test_a_folder_that_is_none_is_one_line(train, data, tmp_path, spoil, options, message):
    folder = tmp_path / "data"
    shutil.copytree(data, folder)
    spoil(folder)
    with pytest.raises(SystemExit, match=f"^fairseq-gist: error: .*{message}") as error:
        train(tmp_path / "run", str(folder), *options, "--max-update=1", replace_data=True)
    assert str(error.value).isprintable()
    assert not list(tmp_path.glob("run/*.pt"))


@pytest.mark.parametrize("workers", [0, 1])
def test_training_on_a_broken_row_ends_in_one_line(folder, tmp_path, repo_root, workers):
    row = with_cell(folder, "audio", AUDIO["not a number"], n_frames="20")
    shutil.copy(folder / "broken.tsv", folder / "train_broken.tsv")
    program = "from fairseq_cli.train import cli_main; cli_main()"
    recipe = [one for one in RECIPE if not one.startswith(("--train-subset", "--num-workers"))]
    done = forking.run(
        [
            sys.executable, "-W", "ignore", "-c", program, str(folder),
            "--user-dir", str(repo_root / "fairseq_gist"), "--task=gist_speech_to_text",
            "--criterion=gist_label_smoothed_cross_entropy", *SMALL_MODEL, *recipe,
            "--train-subset=train_broken", f"--num-workers={workers}", "--max-epoch=1",
            f"--save-dir={tmp_path}", "--disable-validation",
        ],
        capture_output=True,
        text=True,
        timeout=300,
    )  # fmt: skip
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(f"fairseq-gist: error: train_broken.tsv, row '{row}': its audio "), last
    assert last.endswith("its features have numbers that aren't finite")
    assert "Traceback" not in done.stderr
