"""A new figure is one file: its chapter has it then, in its place."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from fairseq_gist.evaluation import Run, score_corpus, write_scores
from fairseq_gist.evaluation.references import Reference
from fairseq_gist.report import figures
from fairseq_gist.report.chapters import chapters_of
from fairseq_gist.report.sources import find_content
from tests.unit.translations import GOOD, ROWS, WORSE


@pytest.fixture
def added(monkeypatch):
    folder = Path(__file__).parent / "added"
    monkeypatch.setattr(figures, "__path__", [*figures.__path__, str(folder)])
    yield
    sys.modules.pop(f"{figures.__name__}.seeds")


@pytest.mark.usefixtures("added")
def test_its_chapter_has_it(tmp_path):
    rows = [Reference(language, text, source) for language, source, text in ROWS]
    runs = [
        Run(name, "tst", None, score_corpus(texts, rows), Path(name))
        for name, texts in (("a", GOOD), ("b", WORSE), ("b", GOOD))
    ]
    write_scores(tmp_path / "scores.json", runs)
    chapters = chapters_of(find_content([tmp_path], lambda _: None))
    results = [chapter for chapter in chapters if "Results" in chapter.title]
    names = [figure.name for figure in results[0].figures]
    assert names == ["results-bleu", "seeds-bleu", "results-chrf", "seeds-chrf"]
    (drawn,) = [figure for figure in results[0].figures if figure.name == "seeds-bleu"]
    assert drawn.table.column("system") == ["a", "b"]
    drawn.draw()
