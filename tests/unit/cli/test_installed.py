"""What an installed package says of itself: where it lies, and its examples."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import fairseq_gist
from fairseq_gist.cli.main import main

PLUGIN = Path(fairseq_gist.__file__).resolve().parent


def test_the_folder_of_the_plugin_is_all_that_is_printed(capsys):
    assert main(["user-dir"]) == 0
    said = capsys.readouterr()
    assert (said.out, said.err) == (f"{PLUGIN}\n", "")


FINDS_THE_TASK = """
import argparse, sys
from fairseq import tasks, utils
utils.import_user_module(argparse.Namespace(user_dir=sys.argv[1]))
sys.exit("gist_speech_to_text" not in tasks.TASK_REGISTRY)
"""


def test_fairseq_takes_that_folder(capsys, tmp_path):
    main(["user-dir"])
    folder = capsys.readouterr().out.strip()
    command = [sys.executable, "-W", "ignore", "-c", FINDS_THE_TASK, folder]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_folder_is_told_without_torch_and_fairseq():
    code = (
        "import sys; from fairseq_gist.cli.main import main; main(['user-dir']); "
        "sys.exit(bool({'torch', 'numpy', 'fairseq'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def files(folder):
    return {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("is_there", [False, True], ids=["new", "empty"])
def test_examples_are_copied(repo_root, tmp_path, is_there):
    folder = tmp_path / "below" / "examples"
    if is_there:
        folder.mkdir(parents=True)
    assert main(["examples", str(folder)]) == 0
    copied = files(folder)
    ours = files(repo_root / "examples")
    assert copied.keys() == {path for path in ours if path.suffix != ".pyc"}
    for path, copy in copied.items():
        lines, own = copy.read_bytes().split(b"\n"), ours[path].read_bytes().split(b"\n")
        assert len(lines) == len(own)
        for line, original in zip(lines, own):
            had_link = path.suffix == ".md" and b"](../../docs/" in original
            assert line != original if had_link else line == original
        assert os.access(copy, os.X_OK) == os.access(ours[path], os.X_OK)
    assert [path.name for path in folder.parent.iterdir()] == ["examples"]


def links(page):
    return re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8"))


def test_links_of_copied_pages_lead_somewhere(repo_root, tmp_path):
    folder = tmp_path / "examples"
    main(["examples", str(folder)])
    pages = sorted(folder.rglob("*.md"))
    assert len(pages) >= 5
    for page in pages:
        to = [link for link in links(page) if "://" not in link]
        assert [link for link in to if not (page.parent / link).exists()] == []
        original = repo_root / "examples" / page.relative_to(folder)
        assert to == [link for link in links(original) if "://" not in link and "docs/" not in link]
    text = (folder / "table1" / "README.md").read_text(encoding="utf-8")
    assert "what else the command can (docs/experiments.md of the sources)" in text


@pytest.fixture
def installed(tmp_path, repo_root):
    """A package as a wheel leaves it: its examples inside, compiled by pip, nothing beside it."""
    package = tmp_path / "site-packages" / "fairseq_gist"
    shutil.copytree(PLUGIN, package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(repo_root / "examples", package / "examples", dirs_exist_ok=True)
    subprocess.run(
        [sys.executable, "-m", "compileall", "-q", str(package / "examples")], check=True
    )
    return package


def run(package, folder, *words):
    return subprocess.run(
        [sys.executable, "-m", "fairseq_gist.cli.main", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(package.parent)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_installed_package_brings_its_own(installed, repo_root, tmp_path):
    assert run(installed, tmp_path, "user-dir").stdout == f"{installed}\n"
    done = run(installed, tmp_path, "examples", "out")
    assert (done.returncode, done.stdout, done.stderr) == (0, "out\n", "")
    ours = {path for path in files(repo_root / "examples") if path.suffix != ".pyc"}
    assert files(tmp_path / "out").keys() == ours


def test_copied_examples_call_the_scripts_beside_them(installed, tmp_path):
    run(installed, tmp_path, "examples", "out")
    done = run(installed, tmp_path, "experiment", "out/time_to_loss/time_to_loss.toml", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert f"python {tmp_path}/out/time_to_loss/reached.py" in done.stdout
    assert f"--user-dir {installed} " in done.stdout


def test_a_package_without_examples_says_so(installed, tmp_path):
    shutil.rmtree(installed / "examples")
    done = run(installed, tmp_path, "examples", "out")
    assert done.returncode == 1
    assert f"{installed / 'examples'}: expected the examples, found none" in done.stderr
    assert not (tmp_path / "out").exists()


def a_file(path):
    path.write_text("mine\n", encoding="utf-8")


def a_full_folder(path):
    path.mkdir()
    a_file(path / "notes")


@pytest.mark.parametrize(
    ("make", "found"), [(a_file, "a file"), (a_full_folder, "a folder with files in it")]
)
def test_nothing_is_written_over(tmp_path, capsys, make, found):
    folder = tmp_path / "out"
    make(folder)
    before = {path: path.stat() for path in tmp_path.rglob("*")}
    assert main(["examples", str(folder)]) == 1
    line = f"{folder}: expected a new or empty folder, found {found}; name another\n"
    assert capsys.readouterr().err == f"fairseq-gist examples: error: {line}"
    assert {path: path.stat() for path in tmp_path.rglob("*")} == before


def test_the_current_folder_stays_the_current_one(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["examples", "."]) == 1
    assert "expected a folder other than the current one" in capsys.readouterr().err
