"""The corpus whose right plan is known."""

import subprocess
import sys
from pathlib import Path

FILE = Path(__file__).parents[3] / "examples" / "evidence" / "contradict.py"


def contradict(*words):
    done = subprocess.run(
        [sys.executable, str(FILE), *map(str, words)], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stderr


def corpus_in(folder):
    for language, text in (("de", "eins\n"), ("es", "uno\n")):
        for split in ("train", "dev", "tst-COMMON"):
            data = folder / f"en-{language}" / "data" / split
            (data / "txt").mkdir(parents=True)
            (data / "wav").mkdir()
            (data / "wav" / "a.wav").write_bytes(b"one")
            for suffix, content in (
                ("yaml", "- {wav: a.wav}\n"),
                ("en", "one\n"),
                (language, text),
            ):
                (data / "txt" / f"{split}.{suffix}").write_text(content, encoding="utf-8")
    return folder


def test_every_language_of_a_group_has_its_text(tmp_path):
    corpus, out = corpus_in(tmp_path / "corpus"), tmp_path / "out"
    assert contradict(corpus, out, "--groups", "es=qaa,qac", "de=qab") == (0, "")
    for code, text in (("qaa", "uno\n"), ("qab", "eins\n"), ("qac", "uno\n")):
        data = out / f"en-{code}" / "data" / "train"
        assert (data / "txt" / f"train.{code}").read_text(encoding="utf-8") == text
        assert (data / "txt" / "train.en").read_text(encoding="utf-8") == "one\n"
        assert (data / "wav" / "a.wav").read_bytes() == b"one"


def test_what_cannot_be(tmp_path):
    corpus, out = corpus_in(tmp_path / "corpus"), tmp_path / "out"
    assert "expected a folder en-fr" in contradict(corpus, out, "--groups", "fr=qaa")[1]
    assert "'qaa' is there twice" in contradict(corpus, out, "--groups", "es=qaa", "de=qaa")[1]
    assert "expected REAL=CODE,CODE" in contradict(corpus, out, "--groups", "es")[1]
    assert not out.exists()
    out.mkdir()
    (out / "mine").touch()
    assert "an empty folder" in contradict(corpus, out, "--groups", "es=qaa", "de=qab")[1]
