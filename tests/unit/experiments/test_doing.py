"""Steps are done once, in order, and once more when what they were made with has changed."""

from __future__ import annotations

import functools
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

import pytest

from fairseq_gist.errors import GistError
from fairseq_gist.experiments import Choices, dry_run
from tests.unit.experiments.toy import TOML, Toy

ALL = [
    "data",
    "base, seed 1: train", "base, seed 1: score",
    "wide, seed 1: train", "wide, seed 1: score",
    "wide-3, seed 1: train", "wide-3, seed 1: score",
    "wide-5, seed 1: train", "wide-5, seed 1: score",
    "base, seed 2: train", "base, seed 2: score",
    "wide, seed 2: train", "wide, seed 2: score",
]  # fmt: skip


def records(toy):
    lines = (toy.out / "runs.jsonl").read_text(encoding="utf-8").splitlines()
    return {(run["system"], run["seed"]): run for run in map(json.loads, lines)}


def test_every_step_is_done_once(toy):
    assert toy.do() == ALL
    assert toy.do() == []
    assert not list(toy.out.glob("*/left"))
    assert (toy.out / "wide-1" / "model").read_text(
        encoding="utf-8"
    ) == "--updates 2 --word plain --width 7\n"


def test_a_run_is_a_line_of_the_record(toy):
    toy.do()
    toy.do()
    found = records(toy)
    assert len((toy.out / "runs.jsonl").read_text(encoding="utf-8").splitlines()) == len(found) == 6
    wide = found["wide", 2]
    assert wide["figures"] == {"size": 35, "width": 7}
    assert wide["seconds"] > 0
    assert wide["signature"] == found["wide", 1]["signature"] or wide["seed"] == 2
    assert len({run["signature"] for run in found.values()}) > 3


def test_only_what_is_asked_for_and_what_it_needs(toy):
    assert toy.do("seeds=1", only=["wide-5"]) == [
        "data", "base, seed 1: train", "base, seed 1: score",
        "wide-5, seed 1: train", "wide-5, seed 1: score",
    ]  # fmt: skip
    with pytest.raises(GistError, match="--only: expected some of base, wide.*, found 'narrow'"):
        toy.do(only=["narrow"])


def test_a_model_that_is_given_is_not_trained(toy, tmp_path):
    (tmp_path / "given").write_text("x", encoding="utf-8")
    toy.file.write_text(TOML.replace('always = ["base"]', 'only = ["wide"]'), encoding="utf-8")
    done = toy.do(f"start={tmp_path / 'given'}", "seeds=1")
    assert done == ["data", "wide, seed 1: train", "wide, seed 1: score"]
    with pytest.raises(GistError, match="expected files that no step makes, found none of 1: nope"):
        toy.do("start=nope", "seeds=1", again=True)


def test_what_is_gone_is_made_again_and_nothing_else(toy):
    toy.do()
    (toy.out / "scores" / "wide-1.json").unlink()
    assert toy.do() == ["wide, seed 1: score"]
    # what is not needed any more may go
    (toy.out / "base-1" / "model").unlink()
    assert toy.do() == []


def test_other_settings_are_refused_or_made_again(toy):
    toy.do()
    with pytest.raises(GistError, match="was '--updates 2', is '--updates 3'.*-o, or --again"):
        toy.do("updates=3")
    assert (toy.out / "wide-1" / "model").read_text(encoding="utf-8").startswith("--updates 2 ")
    done = toy.do("updates=3", again=True)
    assert done == [step for step in ALL if step != "data"]
    assert (toy.out / "wide-1" / "model").read_text(
        encoding="utf-8"
    ) == "--updates 3 --word plain --width 7\n"
    assert records(toy)["wide", 1]["figures"]["size"] == 35


def test_what_a_step_left_beside_goes_with_it(toy):
    beside = """"sh -c 'touch {folder}/beside.{updates}'"]\nleaves = "{folder}/beside.*"\n"""
    toy.file.write_text(TOML.replace('"touch {folder}/left"]\n', beside), encoding="utf-8")
    toy.do(only=["base"])
    assert [path.name for path in (toy.out / "base-1").glob("beside*")] == ["beside.2"]
    toy.do("updates=3", again=True, only=["base"])
    assert [path.name for path in (toy.out / "base-1").glob("beside*")] == ["beside.3"]


def test_a_folder_in_the_place_of_a_file_is_not_what_a_step_made(toy):
    toy.do(only=["base"])
    (toy.out / "scores" / "base-1.json").unlink()
    (toy.out / "scores" / "base-1.json").mkdir()
    for again in (False, True):
        with pytest.raises(
            GistError, match="base-1.json is a folder, expected the file that 'base, seed 1: score'"
        ):
            toy.do(only=["base"], again=again)
    (toy.out / "scores" / "base-1.json").rmdir()
    assert toy.do(only=["base"]) == ["base, seed 1: score"]


def test_commands_that_differ_in_much_are_said_by_where_it_begins(toy):
    toy.do(only=["base"])
    toy.file.write_text(
        TOML.replace("--word {word}", " ".join(f"--more-{n} {n}" for n in range(99))),
        encoding="utf-8",
    )
    with pytest.raises(
        GistError, match=r"was '2 --word .*', is '2 --more-0 0 --more-1 .*\.\.\.';"
    ) as told:
        toy.do(only=["base"])
    assert len(str(told.value)) < 800


def test_what_stopped_half_way_is_not_gone_on_from_with_other_settings(toy):
    toy.file.write_text(TOML.replace('"touch {folder}/left"', '"false"'), encoding="utf-8")
    with pytest.raises(GistError, match="base, seed 1: train failed with 1, see .*train.log"):
        toy.do()
    toy.file.write_text(TOML, encoding="utf-8")
    with pytest.raises(GistError, match="was '1 false', is '1 touch"):
        toy.do()


def test_what_failed_and_left_nothing_may_be_mended(toy):
    wrong = TOML.replace("'echo data > {out}/data'", "'exit 2'")
    toy.file.write_text(wrong, encoding="utf-8")
    with pytest.raises(GistError, match="data failed with 2"):
        toy.do()
    toy.file.write_text(TOML, encoding="utf-8")
    assert toy.do() == ALL


def test_other_content_of_what_a_step_needs_counts_and_its_time_does_not(toy):
    toy.do()
    data = toy.out / "data"
    text = data.read_text(encoding="utf-8")
    data.write_text(text, encoding="utf-8")
    assert toy.do() == []
    data.write_text("other", encoding="utf-8")
    with pytest.raises(GistError, match="base, seed 1: train: .*out/data is another one now"):
        toy.do()
    assert len(toy.do(again=True)) == len(ALL) - 1


def test_a_folder_may_be_moved(toy):
    toy.do()
    toy.out = toy.out.rename(toy.folder / "elsewhere")
    assert toy.do() == []


def test_scripts_may_be_moved_with_their_description(tmp_path):
    text = 'folders = { scripts = "." }\n' + TOML
    text = text.replace(
        "commands = \"sh -c 'echo data > {out}/data'\"", 'commands = "sh {scripts}/d {out}"'
    )
    toy = Toy(tmp_path / "first", text)
    (toy.folder / "d").write_text("echo data > $1/data\n", encoding="utf-8")
    assert toy.do() == ALL
    toy.folder = toy.folder.rename(tmp_path / "second")
    toy.file, toy.out = toy.folder / "toy.toml", toy.folder / "out"
    assert toy.do() == []


def test_a_failure_stops_all_or_what_needs_it(toy):
    toy.file.write_text(
        TOML.replace('"touch {folder}/left"', "\"sh -c 'echo so; test {width} != 7'\""),
        encoding="utf-8",
    )
    with pytest.raises(GistError, match="wide, seed 1: train failed .* the same command goes on"):
        toy.do()
    assert not (toy.out / "scores" / "wide-3-1.json").exists()
    with pytest.raises(GistError, match="failed: wide, seed 1: train.*; wide, seed 2: train"):
        toy.do(keep_going=True, jobs=2)
    assert (toy.out / "scores" / "wide-3-1.json").exists()
    assert "so" in toy.said  # the end of the log


def test_a_step_that_makes_nothing_is_told(toy):
    toy.file.write_text(TOML.replace("echo data > {out}/data", "true"), encoding="utf-8")
    with pytest.raises(GistError, match="data ended without the file .*/out/data, see"):
        toy.do()


@pytest.mark.parametrize(
    ("now", "message"),
    [
        ("", "_all, step data: expected a command, found '', an empty one"),
        ("echo \\u0000", r"_all, step data: no file or word can have the NUL of '\\x00'"),
    ],
)
def test_commands_that_cannot_be(toy, now, message):
    before = "sh -c 'echo data > {out}/data'"
    assert before in TOML
    toy.file.write_text(TOML.replace(before, now), encoding="utf-8")
    with pytest.raises(GistError, match=message):
        toy.do()
    assert not toy.out.exists()


def test_commands_that_there_are_not(toy):
    toy.file.write_text(
        TOML.replace('"touch {folder}/left"', '"fairseq-teleport"'), encoding="utf-8"
    )
    with pytest.raises(GistError, match="fairseq-teleport is not on the PATH"):
        toy.do()
    assert not toy.out.exists()


def test_steps_go_side_by_side(tmp_path):
    text = TOML.replace('"touch {folder}/left"', '"sleep 0.4"')
    toy = Toy(tmp_path, text)
    began = time.monotonic()
    done = toy.do("widths=1,2,3,4,5,6", "seeds=1", only=[f"wide-{n}" for n in range(1, 7)], jobs=6)
    assert len(done) == 1 + 2 * 7
    assert time.monotonic() - began < 7 * 0.4
    assert len(records(toy)) == 7


def test_hundreds_of_runs_take_little_beside_their_commands(toy):
    widths = ",".join(map(str, range(200)))
    began = time.monotonic()
    toy.do(f"widths={widths}", "seeds=1", jobs=4)
    assert len(records(toy)) == 202
    assert time.monotonic() - began < 60
    began = time.monotonic()
    assert toy.do(f"widths={widths}", "seeds=1", jobs=4) == []
    assert time.monotonic() - began < 10


def test_two_at_work_in_one_folder_are_refused(tmp_path):
    toy = Toy(tmp_path, TOML.replace('"touch {folder}/left"', '"sleep 2"'))
    thread = threading.Thread(target=toy.do, kwargs={"only": ["base"]})
    thread.start()
    while not (toy.out / ".lock").exists():
        time.sleep(0.02)
    time.sleep(0.2)
    with pytest.raises(GistError, match="is at work in another process"):
        Toy(tmp_path, toy.file.read_text(encoding="utf-8")).do(only=["base"])
    thread.join()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_stopped_it_leaves_nothing_behind_and_goes_on(tmp_path, number, status):
    toy = Toy(tmp_path, TOML.replace('"touch {folder}/left"', '"sleep 4321.25"'))
    process = _begun(toy, "4321.25")
    process.send_signal(number)
    assert process.wait(timeout=20) == status
    assert not _sleeping("4321.25")
    assert "base, seed 1: train" in dry_run(toy.experiment(), Choices())


def test_pressed_twice_ctrl_c_waits_for_nobody(tmp_path):
    """A command that doesn't end when it is asked to is killed, and not left behind."""
    stubborn = """"sh -c 'trap \\\"\\\" TERM; sleep 4321.5'\""""
    toy = Toy(tmp_path, TOML.replace('"touch {folder}/left"', stubborn))
    process = _begun(toy, "4321.5")
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    time.sleep(1)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == 130
    assert time.monotonic() - began < 9
    assert not _sleeping("4321.5")


def test_what_a_killed_one_has_started_still_holds_the_folder(tmp_path):
    """Its commands go on writing there: they aren't begun a second time beside themselves."""
    toy = Toy(tmp_path, TOML.replace('"touch {folder}/left"', '"sleep 4321.75"'))
    process = _begun(toy, "4321.75")
    process.kill()
    process.wait()
    with pytest.raises(GistError, match="or commands of one that was killed still run"):
        toy.do()
    for left in _sleeping("4321.75"):
        os.kill(left, signal.SIGKILL)
    time.sleep(0.5)
    toy.file.write_text(TOML, encoding="utf-8")
    assert toy.do(again=True, only=["base"]) == ALL[1:3] + ALL[9:11]


def _begun(toy, seconds):
    """Start it in another process, in which two steps sleep for so long; gives the process."""
    command = [sys.executable, "-m", "fairseq_gist.cli.main", "experiment", str(toy.file)]
    process = subprocess.Popen(
        [*command, "-o", str(toy.out), "--jobs", "2"],
        # what a shell starts in the background ignores ctrl-C, and so do its children
        preexec_fn=functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    for _ in range(200):
        if len(_sleeping(seconds)) == 2:
            return process
        time.sleep(0.1)
    process.terminate()
    raise AssertionError(f"{len(_sleeping(seconds))} of 2 steps have begun")


def _sleeping(seconds):
    listed = subprocess.run(["ps", "-eo", "pid,args"], text=True, capture_output=True, check=True)
    found = (re.match(rf" *(\d+) sleep {seconds}$", line) for line in listed.stdout.splitlines())
    return [int(match[1]) for match in found if match]


def test_a_log_is_of_what_is_there_now(toy):
    """Of one training in all its parts; not of one before, with other settings."""
    text = TOML.replace("echo $* >>", "echo $*; echo $* >>").replace("{folder}/left", "{out}/go/x")
    toy.file.write_text(text, encoding="utf-8")
    log = toy.out / "base-1" / "train.log"
    with pytest.raises(GistError, match="train failed with 1"):
        toy.do(only=["base"])
    (toy.out / "go").mkdir()
    toy.do(only=["base"])
    lines = log.read_text(encoding="utf-8").splitlines()
    assert [lines[0], lines[-1]] == ["--updates 2 --word plain --width 1"] * 2
    assert "touch" in lines[1]
    toy.do("updates=5", only=["base"], again=True)
    assert log.read_text(encoding="utf-8") == "--updates 5 --word plain --width 1\n"
    (toy.out / "base-1" / "model").unlink()
    (toy.out / "scores" / "base-1.json").unlink()
    toy.do("updates=5", only=["base"])
    assert log.read_text(encoding="utf-8") == "--updates 5 --word plain --width 1\n"


def test_steps_with_one_log_add_to_it(toy):
    text = TOML.replace("[steps.data]", '[steps.data]\nlog = "{out}/log"\n')
    text = text.replace("echo data > {out}/data", "echo data | tee {out}/data")
    text += '[steps.more]\nper = "experiment"\nneeds = "{out}/data"\nmakes = "{out}/more"\n'
    text += 'log = "{out}/log"\ncommands = "sh -c \'echo more | tee {out}/more\'"\n'
    toy.file.write_text(text.replace('["score"]', '["score", "more"]'), encoding="utf-8")
    toy.do(only=["base"])
    assert (toy.out / "log").read_text(encoding="utf-8") == "data\nmore\n"


def test_a_full_disk_is_one_line_and_ends_what_runs(toy):
    text = TOML.replace("echo data > {out}/data", "echo data; sleep 4321.125")
    toy.file.write_text(
        text.replace("[steps.data]", '[steps.data]\nshows = "data"\nlog = "/dev/full"'),
        encoding="utf-8",
    )
    began = time.monotonic()
    with pytest.raises(
        GistError, match=f"{toy.out}: No space left on device; what is done is kept"
    ):
        toy.do()
    assert time.monotonic() - began < 20
    assert not _sleeping("4321.125")


def test_a_folder_that_cannot_be_written_in_is_one_line(toy):
    toy.out.write_text("a file", encoding="utf-8")
    with pytest.raises(
        GistError, match=r"-o .*out: expected a folder to write in, found none \(File"
    ):
        toy.do()
    assert toy.out.read_text(encoding="utf-8") == "a file"


@pytest.mark.parametrize("content", ["[", "[]", "{}"])
def test_a_damaged_mark_is_one_line_that_says_what_to_do(toy, content):
    toy.do(only=["base"])
    (toy.out / "done" / "base-1" / "train.json").write_text(content, encoding="utf-8")
    with pytest.raises(
        GistError, match=r"train.json: expected what a step was done with, f"
    ) as told:
        toy.do()
    assert str(told.value).endswith(
        "remove it and what the step made, and base, seed 1: train is done once more"
    )
    assert str(told.value).count("train.json") == 1


def test_a_dry_run_prints_what_is_left_and_writes_nothing(toy):
    text = dry_run(toy.experiment(), Choices())
    assert re.findall("^== (.*)$", text, re.MULTILINE) == ALL
    assert not toy.out.exists()
    toy.do(only=["base"])
    assert "base" not in re.findall("^== (.*)$", dry_run(toy.experiment(), Choices()), re.MULTILINE)
    assert "== wide, seed 1: train" in dry_run(toy.experiment(), Choices())


def test_lines_of_the_output_that_are_wanted_are_shown(toy):
    toy.file.write_text(
        TOML.replace('makes = "{out}/data"', 'makes = "{out}/data"\nshows = "^lo+k"').replace(
            "echo data >", "echo look; echo no; echo data >"
        ),
        encoding="utf-8",
    )
    toy.do()
    assert "look" in toy.said
    assert "no" not in toy.said
    assert (toy.out / "logs" / "_all" / "data.log").read_text(encoding="utf-8") == "look\nno\n"


def test_a_record_that_was_being_written_is_completed(toy):
    toy.do()
    path = toy.out / "runs.jsonl"
    whole = path.read_text(encoding="utf-8")
    path.write_text(whole[:-20], encoding="utf-8")
    toy.do()
    assert sorted(path.read_text(encoding="utf-8").splitlines()) == sorted(whole.splitlines())
    path.write_text("{}\n", encoding="utf-8")
    with pytest.raises(GistError, match="runs.jsonl, line 1: expected a run.*; remove the line"):
        toy.do()


def test_steps_that_need_each_other_or_make_the_same(toy):
    toy.file.write_text(
        TOML.replace(
            'makes = "{out}/data"', 'makes = "{out}/data"\nneeds = "{out}/scores/wide-1.json"'
        ),
        encoding="utf-8",
    )
    with pytest.raises(GistError, match="steps need each other"):
        toy.do()
    toy.file.write_text(
        TOML.replace('folder = "{out}/{system}-{seed}"', 'folder = "{out}/{seed}"'),
        encoding="utf-8",
    )
    with pytest.raises(GistError, match="two steps make .*/out/1/model"):
        toy.do()


def test_what_no_step_has_made_is_not_written_over(toy):
    toy.out.mkdir()
    (toy.out / "data").write_text("mine", encoding="utf-8")
    with pytest.raises(GistError, match="data is there, and no experiment made it; choose an"):
        toy.do()
    assert (toy.out / "data").read_text(encoding="utf-8") == "mine"
    assert toy.do(again=True) == ALL
    assert (toy.out / "data").read_text(encoding="utf-8") == "data\n"
