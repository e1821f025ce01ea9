"""A process that is forked is as one that an interpreter was started for."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

pytest.importorskip("fairseq")

from tests import forking

PYTHON = [sys.executable, "-W", "ignore"]
ENVIRONMENT = {**forking._begun_in, "OMP_NUM_THREADS": "1"}
SITUATION = """
import json, logging, multiprocessing.process, os, random, signal, sys, threading, warnings
import numpy
def of(name):
    return [type(one).__name__ for one in logging.getLogger(name).handlers]
print("to the end", end="")
main = sys.modules["__main__"]
found = {
    "argv": sys.argv, "orig_argv": getattr(sys, "orig_argv", None), "path": sys.path,
    "name": __name__, "file": getattr(main, "__file__", None), "is main": vars(main) is globals(),
    "spec": getattr(main.__spec__, "name", None),
    "cwd": [os.getcwd(), multiprocessing.process.ORIGINAL_DIR],
    "environment": {k: v for k, v in os.environ.items() if k not in ("_", "LC_CTYPE")},
    "filters": [str(one) for one in warnings.filters], "options": sys.warnoptions,
    "root": [logging.root.level, of(None), of("fairseq"), logging.getLogger("fairseq").level],
    "signals": {str(one): str(signal.getsignal(one)) for one in signal.Signals},
    "threads": len(os.listdir("/proc/self/task")), "main": str(threading.main_thread().name),
    "files": sorted(int(one) for one in os.listdir("/proc/self/fd"))[:-1],
    "group": os.getpgrp() == os.getppid() or os.getpgrp() == os.getpid(),
    "ours": sorted(name for name in sys.modules if name.startswith(("fairseq_gist", "tests."))),
    "streams": [(s.encoding, s.errors, s.line_buffering, s.fileno()) for s in
                (sys.stdout, sys.stderr)],
    "flags": str(sys.flags),
}
json.dump(found, sys.stderr)
"""


INTERRUPTIBLE = "import os, signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
"""What a shell starts in the background ignores ctrl-C, and so does what that starts."""


def both(way, *words, **options):
    """Return what comes of a forked process and of a fresh one, which are given the same."""
    options = {"env": ENVIRONMENT, "text": True, "stdout": -1, "stderr": -1, **options}
    processes = [
        kind([*PYTHON, way, *words], **options) for kind in (forking.Popen, subprocess.Popen)
    ]
    assert processes[0].is_forked
    ends = [(*one.communicate(timeout=100), one.returncode) for one in processes]
    return ends


def forked(text):
    """Return what a forked process prints."""
    with forking.Popen([*PYTHON, "-c", text], stdout=-1, text=True, env=ENVIRONMENT) as process:
        assert process.is_forked
        return process.communicate(timeout=100)[0]


def program(text):
    return textwrap.dedent(text)


@pytest.mark.parametrize("way", ["-c", "-m", "file"])
@pytest.mark.parametrize("session", [False, True])
def test_it_finds_what_a_fresh_one_does(tmp_path, way, session):
    (tmp_path / "situation.py").write_text(SITUATION, encoding="utf-8")
    words = {"-c": ["-c", SITUATION], "-m": ["-m", "situation"]}
    words = words.get(way, [str(tmp_path / "situation.py")])
    options = {"cwd": tmp_path, "start_new_session": session}
    (out, forked, code), (_, fresh, _) = both(*words, "an option", "--x=1", **options)
    assert (out, code) == ("to the end", 0)
    forked, fresh = json.loads(forked), json.loads(fresh)
    filters, expected = forked.pop("filters"), fresh.pop("filters")
    assert forked == fresh
    assert [one for one in filters if one in expected] == expected  # others are torch's, scipy's


@pytest.mark.parametrize(
    "first", ["logging.basicConfig(stream=sys.stdout)", "import fairseq_cli.train"]
)
def test_fairseq_changes_what_it_would_have_changed(first):
    """And is imported no sooner than it is asked for."""
    text = f"""
    import json, logging, sys
    names = [name for name in sys.modules if name.startswith("fairseq")]
    {first}
    import fairseq.data, fairseq.models.fairseq_model as model
    from fairseq.data import Dictionary
    import fairseq
    assert fairseq.data is sys.modules["fairseq.data"] and fairseq is sys.modules["fairseq"]
    root = logging.root
    spec = fairseq.__spec__
    print(json.dumps([
        names, root.level, [(one.stream.fileno(), one.formatter._fmt) for one in root.handlers],
        spec.origin, spec.submodule_search_locations, fairseq.__file__, type(spec.loader).__name__,
    ]))
    """
    (forked, _, _), (fresh, _, _) = both("-c", program(text))
    assert json.loads(forked.splitlines()[-1]) == json.loads(fresh.splitlines()[-1])


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("pass", 0),
        ("import sys; sys.exit(3)", 3),
        ("import sys; sys.exit('a word')", 1),
        ("1 / 0", 1),
        ("import os; os._exit(7)", 7),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
        (f"{INTERRUPTIBLE}; os.kill(os.getpid(), signal.SIGINT); input()", -signal.SIGINT),
        ("import atexit; atexit.register(print, 'end'); print('begin')", 0),
        ("import threading; threading.Thread(target=print, args=['in a thread']).start()", 0),
        ("from multiprocessing import Process; Process(target=print, args='x').start()", 0),
    ],
)
def test_it_ends_as_a_fresh_one(text, code):
    (*forked, status), (*fresh, expected) = both("-c", text)
    # a traceback tells of the server's lines, too
    assert [one.splitlines()[-1:] for one in forked] == [one.splitlines()[-1:] for one in fresh]
    assert status == expected == code


def test_chance_is_its_own():
    """Numbers are others in each process, and strings in one of two orders."""
    text = "import random, numpy, torch; print(random.random(), numpy.random.rand(), torch.rand(1))"
    outs = [forked(text).split() for _ in range(4)]
    assert [len({out[place] for out in outs}) for place in range(3)] == [4, 4, 4]
    assert len({forked("print(hash('a word'))") for _ in range(4)}) == 2


def test_spawned_workers_and_what_is_read():
    text = """
    import concurrent.futures, multiprocessing, sys
    for way in ("fork", "spawn"):
        with concurrent.futures.ProcessPoolExecutor(
            2, mp_context=multiprocessing.get_context(way)
        ) as pool:
            print(sorted(pool.map(abs, [-3, 2, -1])), flush=True)
    print(sys.stdin.read())
    """
    process = forking.Popen(
        [*PYTHON, "-c", program(text)], stdin=-1, stdout=-1, text=True, env=ENVIRONMENT
    )
    assert process.is_forked
    assert process.communicate("a word")[0] == "[1, 2, 3]\n[1, 2, 3]\na word\n"


def test_its_group_can_be_killed():
    text = "import subprocess; print('on', flush=True); subprocess.run(['sleep', '4321.5'])"
    options = {"stdout": -1, "text": True, "env": ENVIRONMENT}
    process = forking.Popen([*PYTHON, "-c", text], start_new_session=True, **options)
    assert process.is_forked
    assert os.getpgid(process.pid) == process.pid
    assert process.stdout.readline() == "on\n"
    assert process.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=0.2)
    os.killpg(process.pid, signal.SIGTERM)
    assert process.stdout.read() == ""  # the other one has it, too
    assert process.wait(timeout=10) == -signal.SIGTERM
    process.stdout.close()


@pytest.mark.parametrize(
    "change",
    [
        {"env": {**ENVIRONMENT, "HF_HUB_OFFLINE": "1"}},
        {"env": {**ENVIRONMENT, "OMP_NUM_THREADS": "2"}},
        {"env": {**ENVIRONMENT, "PYTHONPATH": "/elsewhere"}},
        {"env": {**ENVIRONMENT, "COVERAGE_PROCESS_START": "x"}},
        {"preexec_fn": int},
        {"python": [sys.executable]},
        {"python": [sys.executable, "-W", "error"]},
        {"python": [*PYTHON, "-u"]},
    ],
    ids=[
        "offline",
        "threads",
        "path",
        "coverage",
        "before-it",
        "warnings",
        "as-errors",
        "unbuffered",
    ],
)
def test_what_is_read_at_the_start_asks_for_a_fresh_one(change):
    options = {"env": ENVIRONMENT, **change}
    python = options.pop("python", PYTHON)
    with forking.Popen([*python, "-c", ""], **options) as process:
        assert not process.is_forked
    assert process.returncode == 0


def test_all_of_it_ends_with_the_process_that_asked(tmp_path):
    """However that ends; what was forked as well."""
    text = f"""
    import os, signal, sys
    sys.path.insert(0, {str(forking.REPO)!r})
    from tests import forking
    command = [sys.executable, "-W", "ignore", "-c", "import time; time.sleep(1000)"]
    process = forking.Popen(command)
    assert process.is_forked
    print(process.pid, forking._servers[0]._process.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run(
        [*PYTHON, "-c", program(text)], stdout=-1, text=True, env=ENVIRONMENT, check=False
    )
    left = list(map(int, done.stdout.split()))
    assert len(left) == 2
    for _ in range(100):
        left = [pid for pid in left if _lives(pid)]
        if not left:
            return
        time.sleep(0.1)
    pytest.fail(f"{left} are left")


def _lives(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
