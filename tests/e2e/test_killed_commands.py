"""Commands that are killed or interrupted in their middle, and given again until they end."""

import hashlib
import logging
import os
import random
import re
import shutil
import signal
import time
from pathlib import Path
from typing import Callable, List, NamedTuple, Optional

import pytest

from fairseq_gist.cli.main import main as gist
from tests.e2e.ranks import start, wait
from tests.e2e.test_kills import FIRST_LINE
from tests.regression import make
from tests.regression.grown import grown
from tests.regression.test_files import OURS
from tests.unit.corpora.people import packing
from tests.unit.experiments.toy import TOML

logger = logging.getLogger(__name__)

KILLS = int(os.environ.get("KILLS", "2"))
"""Of each command; ``KILLS=20 pytest tests/e2e/test_killed_commands.py --log-cli-level=INFO`` says
which."""

SIGNALS = ("SIGKILL", "SIGINT")
DATA = Path(make.__file__).parent / "data" / "one_to_many"
TIMES = re.compile(r'"seconds": [\d.e-]+|\b\d{18,}\b')
"""How long something took, and when a file was written."""


class Work(NamedTuple):
    """A command, what it needs, and what it makes."""

    words: List[str]
    needs: Optional[Callable[[Path], object]] = None
    """Makes that in a folder, which is the command's FOLDER."""


def _data(folder: Path) -> None:
    make.usable(DATA, folder / "data")


def _with_french(folder: Path) -> None:
    _data(folder)
    grown(DATA, folder / "grown", "fr", like="es")


def _spoken(folder: Path) -> None:
    command = ["corpus", "cldr", str(folder / "corpus"), "--size=tiny", "--workers=1"]
    assert gist([*command, "--direction=many-to-one", "--languages=de,ru", "--sizes=ru=8"]) == 0


def _packages(folder: Path) -> None:
    (folder / "debs").mkdir()
    for write in (packing.fillets, packing.tuxpaint, packing.asterisk):
        write(folder / "debs")


def _toy(folder: Path) -> None:
    text = TOML.replace(">> {folder}/model", "> {folder}/model")  # a step that can be given again
    (folder / "toy.toml").write_text(text, encoding="utf-8")


SHARED, PLANS = f"{OURS / 'shared.pt'}", OURS / "plans"
COMMANDS = {
    "average": Work(["average", SHARED, f"{OURS / 'window.pt'}", "-o", "FOLDER/out/average.pt"]),
    "export": Work(
        ["export", f"{OURS / 'differentiated.pt'}", "--language=de", "-o", "FOLDER/out/german.pt"]
    ),
    "apply": Work(["apply", SHARED, f"{PLANS / 'gradient.json'}", "-o", "FOLDER/out/split.pt"]),
    "add-language": Work(
        [
            "add-language", f"{OURS / 'differentiated.pt'}", "FOLDER/grown", "--language=fr",
            "--data-before=FOLDER/data", "--own-copies", "--gradient-chunks=4", "--max-tokens=400",
            "-o", "FOLDER/out/french.pt",
        ],
        _with_french,
    ),
    "plan": Work(
        ["plan", "gradient", f"--statistics={OURS / 'whole.npz'}", "-o", "FOLDER/out/plan.json"]
    ),
    "record": Work(
        [
            "record", SHARED, "FOLDER/data", "--subset=multiway", "--gradient-chunks=4",
            "-o", "FOLDER/out/statistics.npz",
        ],
        _data,
    ),
    "report": Work(["report", f"{OURS}", "-o", "FOLDER/out"]),
    "experiment": Work(["experiment", "FOLDER/toy.toml", "-o", "FOLDER/out"], _toy),
    "prepare": Work(
        [
            "prepare", "FOLDER/corpus", "--target=en", "--vocab-size=100", "--workers=2",
            "--out=FOLDER/out",
        ],
        _spoken,
    ),
    "corpus cldr": Work(
        [
            "corpus", "cldr", "FOLDER/out", "--size=tiny", "--direction=many-to-one",
            "--languages=de,ru", "--sizes=ru=8", "--workers=2",
        ]
    ),
    "corpus people": Work(
        [
            "corpus", "people", "FOLDER/out", "--packages=FOLDER/debs", "--any-version",
            "--workers=2",
        ],
        _packages,
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_given_again_makes_what_it_would_have_made(tmp_path, name):
    """The same files, byte for byte, but for the times in an experiment's record."""
    work = COMMANDS[name]
    if name.startswith("corpus") or name == "prepare":
        _needs_extras(name)
    if work.needs:
        work.needs(tmp_path)
    out = tmp_path / "out"
    ended = _run(work, tmp_path, "never", "SIGKILL")
    assert ended.status == 0, ended.output[-3000:]
    events, seconds = FIRST_LINE.search(ended.output).groups()
    whole = _content(out)
    shutil.rmtree(out)
    chance = random.Random(name)
    for number in range(KILLS):
        kind, delay = SIGNALS[number % 2], chance.choice([0, chance.random() / 200])
        in_file = f"file:{chance.randint(1, int(events))}:{delay}"
        moment = chance.choice([in_file, f"seconds:{chance.uniform(0, float(seconds)):.3f}"])
        ended = _run(work, tmp_path, moment, kind)
        logger.info(f"{name}: {kind} at {moment}: status {ended.status}")
        if ended.status == 0:  # it was done before
            assert _content(out) == whole
            shutil.rmtree(out)
        elif kind == "SIGINT":
            assert ended.status == 130, ended.output[-3000:]
            said = f"fairseq-gist {work.words[0]}: interrupted"
            assert ended.output.splitlines()[-1] == said, ended.output[-3000:]
            assert "Traceback" not in ended.output
        else:
            assert ended.status == -signal.SIGKILL, ended.output[-3000:]
    ended = _run(work, tmp_path, "never", "SIGKILL")
    assert ended.status == 0, ended.output[-3000:]
    assert _content(out) == whole


def _needs_extras(name):
    for package in ("babel", "num2words", "espeakng_loader", "sentencepiece", "kaldi_native_fbank"):
        pytest.importorskip(package)
    if name == "corpus people":
        pytest.importorskip("G722")


def _run(work, folder, moment, kind):
    words = [word.replace("FOLDER", str(folder)) for word in work.words]
    process = start(
        [moment, kind, str(folder / "out"), "gist", *words],
        ["-m", "tests.e2e.killing"],
        fresh=True,  # it may end while it imports
        start_new_session=True,
    )
    [ended] = wait([process])
    _assert_nobody_is_left(process.pid)
    return ended


def _assert_nobody_is_left(group):
    """What it had started ends with it, soon."""
    for _ in range(100):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    os.killpg(group, signal.SIGKILL)
    pytest.fail("a process that the command had started goes on without it")


def _content(out):
    """Return the content of each file, `{name: digest}`."""
    return {
        str(path.relative_to(out)): hashlib.sha256(_lasting(path)).hexdigest()
        for path in sorted(out.rglob("*"))
        if path.is_file()
    }


def _lasting(path):
    content = path.read_bytes()
    if path.suffix in (".json", ".jsonl"):
        return TIMES.sub("", content.decode()).encode()
    return content
