"""Files and folders are written whole or not at all, whatever comes between."""

import os
import resource
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch

from fairseq_gist.errors import StorageError
from fairseq_gist.files import replacing, replacing_folder
from fairseq_gist.gradients.statistics_file import write_arrays
from fairseq_gist.host.checkpoints import write_checkpoint
from tests.regression.test_files import OURS

BIG = {"model": {"weight": torch.zeros(100_000)}}


class Interrupted:
    """Ctrl-C in the middle of being saved."""

    def __reduce__(self):
        raise KeyboardInterrupt

    def __array__(self, dtype=None, copy=None):
        raise KeyboardInterrupt


def python(program, *arguments, limit=None, **options):
    """Run a program in a process, of which files can be no larger than ``limit`` bytes."""

    def prepare():
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell's background jobs ignore it
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    words = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(program)]
    return subprocess.Popen(
        [*words, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=prepare,
        **options,
    )


COMMAND = "import sys; from fairseq_gist.cli.main import main; sys.exit(main(sys.argv[1:]))"
COMMANDS = {
    "average": ["average", OURS / "shared.pt", "-o", "out.pt"],
    "export": ["export", OURS / "differentiated.pt", "--language=de", "-o", "out.pt"],
    "plan": ["plan", "gradient", f"--statistics={OURS / 'whole.npz'}", "-o", "out.json"],
    "report": ["report", OURS / "plans", "-o", "out"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_full_disk_is_one_line_with_file_and_need(tmp_path, command):
    done = python(COMMAND, *COMMANDS[command], limit=1000, cwd=tmp_path)
    _, error = done.communicate(timeout=120)
    assert done.returncode == 1, error
    last = error.strip().splitlines()[-1]
    assert last.startswith(f"fairseq-gist {command}: error: ")
    assert "out" in last
    assert "not written, as the disk is full or a limit is reached: " in last
    assert " are free in " in last
    assert "Traceback" not in error
    assert list(tmp_path.iterdir()) == []


def test_the_need_is_that_of_the_tensors(tmp_path):
    program = """
        import sys, torch
        from fairseq_gist.host.checkpoints import write_checkpoint
        tied = torch.zeros(100_000)
        write_checkpoint({"model": {"a": tied, "b": tied, "c": torch.zeros(5)}}, sys.argv[1])
    """
    done = python(program, tmp_path / "x.pt", limit=5000)
    assert "it needs 401.2 kB" in done.communicate(timeout=120)[1]


@pytest.mark.parametrize("write", [
    lambda path: write_checkpoint({**BIG, "last": Interrupted()}, str(path)),
    lambda path: write_arrays(path, {"a": np.zeros(9), "b": Interrupted()}),
], ids=["checkpoint", "statistics"])  # fmt: skip
def test_ctrl_c_is_ctrl_c_though_closing_fails_after_it(tmp_path, write):
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


def test_a_command_that_is_interrupted_says_so_and_no_more(tmp_path):
    done = python(
        """
        import os, signal, sys, threading, torch
        from fairseq_gist.cli.main import main
        save = torch.save
        def interrupted(content, path):  # in the middle, as far as anybody can tell
            class Now:
                def __reduce__(self):
                    os.kill(os.getpid(), signal.SIGINT)
                    return (dict, ())
            save({**content, "now": Now()}, path)
        torch.save = interrupted
        sys.exit(main(sys.argv[1:]))
        """,
        *COMMANDS["average"],
        cwd=tmp_path,
    )
    _, error = done.communicate(timeout=120)
    assert done.returncode == 130
    assert error.strip().splitlines()[-1] == "fairseq-gist average: interrupted"
    assert "Traceback" not in error
    assert list(tmp_path.iterdir()) == []


WRITING = """
    import sys, time
    from pathlib import Path
    from fairseq_gist.files import replacing, replacing_folder
    way = {"file": replacing, "folder": replacing_folder}[sys.argv[1]]
    with way(Path(sys.argv[2])) as path:
        print("writing", flush=True)
        time.sleep(60)
"""


def is_writing(way, path):
    """Start a process that writes, and is at it."""
    process = python(WRITING, way, path)
    assert process.stdout.readline() == "writing\n"
    return process


def overwrite(way, path):
    program = WRITING.replace(
        "time.sleep(60)", "(path / 'x' if path.is_dir() else path).write_text('new')"
    )
    assert python(program, way, path).wait(60) == 0


@pytest.mark.parametrize(
    ("way", "name"), [("file", "stats.npz"), ("file", "plain"), ("folder", "stats.npz")]
)
def test_what_a_killed_run_left_is_removed_by_the_next(tmp_path, way, name):
    for _ in range(2):
        process = is_writing(way, tmp_path / name)
        process.send_signal(signal.SIGKILL)
        process.wait(60)
    (tmp_path / f".{name}.notours{'' if way == 'folder' else '.npz'}").write_text(
        "mine", encoding="utf-8"
    )
    (tmp_path / ".other.npz.0123abcd.npz").write_text("of another file", encoding="utf-8")
    assert len(list(tmp_path.iterdir())) == 3  # the second has removed what the first left
    overwrite(way, tmp_path / name)
    left = {path.name for path in tmp_path.iterdir()}
    assert len(left) == 3
    assert {name, ".other.npz.0123abcd.npz"} < left


@pytest.mark.parametrize("way", ["file", "folder"])
def test_what_another_process_writes_at_this_time_stays(tmp_path, way):
    process = is_writing(way, tmp_path / "it")
    overwrite(way, tmp_path / "it")
    assert len(list(tmp_path.iterdir())) == 2
    process.send_signal(signal.SIGINT)  # which lets it clean up
    process.wait(60)
    assert [path.name for path in tmp_path.iterdir()] == ["it"]


def half(folder):
    with replacing_folder(folder) as new:
        (new / "b").mkdir()
        (new / "b").mkdir()


def test_a_folder_is_replaced_whole_or_stays(tmp_path):
    folder = tmp_path / "report"
    with replacing_folder(folder) as new:
        (new / "a").write_text("1", encoding="utf-8")
    with pytest.raises(FileExistsError):
        half(folder)
    assert [path.name for path in folder.iterdir()] == ["a"]
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def fail(path, error):
    with replacing(path) as temporary:
        temporary.write_text("abc", encoding="utf-8")
        raise error


def test_other_errors_stay_what_they_are(tmp_path):
    with pytest.raises(OSError, match="something else"):
        fail(tmp_path / "x", OSError("something else"))
    with pytest.raises(StorageError, match="x: not written.*: 3 bytes of it were written, "):
        fail(tmp_path / "x", OSError(28, os.strerror(28)))
    with pytest.raises(TypeError, match="pickle"):
        write_checkpoint({**BIG, "lock": os.scandir(tmp_path)}, str(tmp_path / "x"))


def test_a_folder_is_looked_into_once_however_many_files_are_written(tmp_path, monkeypatch):
    """Thousands of recordings lie in one."""
    looked, scandir = [], os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: looked.append(path) or scandir(path))
    for number in range(20):
        with replacing(tmp_path / f"{number}.wav") as path:
            path.write_text("x", encoding="utf-8")
    assert looked == [tmp_path]
