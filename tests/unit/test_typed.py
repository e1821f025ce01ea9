"""Types of the public interface, as a user's type checker sees them."""

import subprocess
import sys

import pytest

USER = """
from fairseq_gist import load
from fairseq_gist.translating.translator import Translator

model: Translator = load("checkpoint_best.pt", device="cpu")
model.translate("talk.wav", "de")
wrong: int = load("checkpoint_best.pt")
model.translates("talk.wav", "de")
"""


@pytest.mark.slow
def test_what_is_loaded_has_a_type(repo_root, tmp_path):
    pytest.importorskip("mypy")
    (tmp_path / "user.py").write_text(USER, encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--config-file", str(repo_root / "pyproject.toml")]
    command += ["--cache-dir", str(tmp_path / "cache"), str(tmp_path / "user.py")]
    done = subprocess.run(command, cwd=repo_root, capture_output=True, text=True, check=False)
    errors = [line.split("error: ")[1] for line in done.stdout.splitlines() if "error: " in line]
    assert len(errors) == 2, done.stdout
    assert 'expression has type "Translator", variable has type "int"' in errors[0]
    assert '"Translator" has no attribute "translates"' in errors[1]
