"""What a report is made of: folders, files, and several of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairseq_gist.report.chapters import chapters_of
from fairseq_gist.report.sources import find_content

RUN = Path(__file__).parents[2] / "regression" / "modern"


def _no_plan(path: str) -> None:
    return None


def _missing(contents):
    return [one.title for chapter in chapters_of(contents) for one in chapter.missing]


def test_files_named_together_are_one_run() -> None:
    contents = find_content([RUN / "whole.npz", RUN / "plans" / "gradient.json"], _no_plan)
    assert [content.name for content in contents] == ["whole.npz, gradient.json"]
    assert list(contents[0].statistics) == ["whole.npz"]
    assert list(contents[0].plans) == ["gradient.json"]
    titles = [chapter.title for chapter in chapters_of(contents)]
    assert titles == ["Similarity of gradients", "What was decided", "Training", "Results"]
    assert _missing(contents) == [
        "Similarity and losses over training",
        "Scores by language and system",
    ]


def test_what_one_run_has_does_not_lack_in_the_other(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "plan.json").write_bytes((RUN / "plans" / "gradient.json").read_bytes())
    contents = find_content([folder, RUN / "whole.npz"], _no_plan)
    titles = [chapter.title for chapter in chapters_of(contents)]
    assert titles == [
        "run: What was decided",
        "run: Training",
        "whole.npz: Similarity of gradients",
        "Results",
    ]
    assert len(_missing(contents)) == 2


@pytest.mark.parametrize("name", ["a", "b"])
def test_files_of_one_name_are_told_apart(tmp_path: Path, name: str) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "s.npz").write_bytes((RUN / "whole.npz").read_bytes())
    (content,) = find_content([tmp_path / "a" / "s.npz", tmp_path / "b" / "s.npz"], _no_plan)
    assert f"{name}/s.npz" in content.statistics
