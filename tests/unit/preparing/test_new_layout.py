"""A new layout is one file: what is laid out so can be prepared."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from fairseq_gist.errors import OptionError
from fairseq_gist.files import read_table
from fairseq_gist.preparing import layouts
from fairseq_gist.preparing.options import Options
from fairseq_gist.preparing.preparation import prepare


@pytest.fixture(autouse=True)
def added(monkeypatch):
    """A place where the layout's file has been added."""
    folder = Path(__file__).parent / "added"
    monkeypatch.setattr(layouts, "__path__", [*layouts.__path__, str(folder)])
    yield
    sys.modules.pop(f"{layouts.__name__}.pairs")


@pytest.fixture
def root(tmp_path):
    draw = np.random.default_rng(1)
    for language in ("de", "fr"):
        for split in ("train", "dev", "tst-COMMON"):
            lines = ["audio\ttranscript\ttranslation"]
            for number in range(4):
                name = f"{split}_{number}.flac"
                lines.append(f"{name}\tnumber {number}\t{language} {number}")
                (tmp_path / language).mkdir(exist_ok=True)
                noise = 0.1 * draw.normal(size=8000)
                soundfile.write(tmp_path / language / name, noise, 16000)
            text = "\n".join(lines) + "\n"
            (tmp_path / language / f"{split}.tsv").write_text(text, encoding="utf-8")
    return tmp_path


def test_it_is_prepared(root):
    record = prepare(root, root / "out", Options(layout="pairs", vocab_size=16), workers=1)
    assert record["options"]["layout"] == "pairs"
    rows = read_table(root / "out" / "train.tsv")
    assert len(rows) == 8
    assert {row["tgt_text"] for row in rows} >= {"de 0", "fr 3"}
    assert {row["n_frames"] for row in rows} == {"48"}


def test_an_unknown_layout_is_refused(root):
    with pytest.raises(OptionError, match="--layout: expected one of .*mustc, pairs"):
        prepare(root, root / "out", Options(layout="ctm"), workers=1)
