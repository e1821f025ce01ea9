"""The benchmarks' own bookkeeping; what they measure is not tested here."""

import dataclasses
import json
import subprocess
import sys

import pytest

from benchmarks.__main__ import BENCHMARKS
from benchmarks.figures import Figure, compare, read_figures, write_figures
from benchmarks.readme import BEGIN, END, ReadmeError, main, with_table
from benchmarks.table import HEADLINES, as_readable_table, as_table, in_words

FIGURE = Figure(
    name="grouped_mixed",
    value=1.1234,
    unit="of the time",
    a="a step of «ours»",
    b="stock | fairseq",
    pairs=15,
    minimum=1.0,
    maximum=1.25,
    cpu=1.12,
    target="<= 1.10",
    details={"seconds": [1.5, 2.5], "models": [{"groups": 2}]},
)
ALONE = Figure("filterbank_core_seconds", 1234.5, "core-seconds", "an hour", "", 3, 1200.0, 1300.0)


# -- figures


def test_figures_survive_json(tmp_path):
    path = tmp_path / "bench.json"
    write_figures(path, [FIGURE, ALONE])
    assert read_figures(path) == [FIGURE, ALONE]
    entries = json.loads(path.read_text(encoding="utf-8"))
    assert [entry["name"] for entry in entries] == ["grouped_mixed", "filterbank_core_seconds"]
    for entry in entries:
        assert {"name", "value", "unit", "a", "b", "pairs", "min", "max"} <= set(entry)
    assert (entries[0]["min"], entries[0]["max"]) == (1.0, 1.25)


def test_no_file_holds_no_figures(tmp_path):
    assert read_figures(tmp_path / "bench.json") == []


@pytest.mark.parametrize(
    ("value", "target", "met"),
    [
        (1.10, "<= 1.10", True),
        (1.11, "<= 1.10", False),
        (4.2, ">= 4.2", True),
        (4.1, ">= 4.2", False),
        (1.0, "", None),
    ],
)
def test_a_target_is_met_or_not(value, target, met):
    assert dataclasses.replace(FIGURE, value=value, cpu=None, target=target).is_met is met


@pytest.mark.parametrize(("cpu", "met"), [(1.1, True), (1.11, False)])
def test_cpu_time_decides_about_a_target_where_it_is_there(cpu, met):
    assert dataclasses.replace(FIGURE, value=2.21 - cpu, cpu=cpu).is_met is met


@pytest.mark.parametrize("on_device", [False, True])
def test_cpu_time_is_left_out_where_a_device_works(on_device):
    wait = {"wait": lambda: None} if on_device else {}
    words = {"says_a": "one", "says_b": "other"}
    figure = compare("work", lambda: sum(range(9999)), lambda: None, pairs=1, **words, **wait)
    assert (figure.cpu is None) is on_device


@pytest.mark.parametrize("pairs", [1, 4, 5])
def test_pairs_are_counted_and_take_turns(pairs):
    calls = []
    figure = compare(
        "turns",
        lambda: calls.append("a"),
        lambda: calls.append("b"),
        says_a="one",
        says_b="other",
        pairs=pairs,
    )
    assert figure.pairs == pairs
    turns = ["".join(calls[start : start + 2]) for start in range(0, len(calls), 2)]
    assert turns == ["ab", *(("ab", "ba")[pair % 2] for pair in range(pairs))]  # one to warm up
    assert figure.minimum <= figure.value <= figure.maximum


# -- tables


def test_what_is_not_met_is_said():
    for table in (as_table([FIGURE, ALONE]), as_readable_table([FIGURE, ALONE])):
        first, second = table.splitlines()[2:]
        assert "| <= 1.10, **not met** |" in first
        assert "1.123 of the time" in first
        assert "1.000 - 1.250" in first
        assert "against stock \\| fairseq" in first
        assert "1,234 core-seconds" in second
        assert "against" not in second


def test_every_row_has_the_columns_of_the_head():
    for table in (as_table([FIGURE, ALONE]), as_readable_table([FIGURE, ALONE])):
        columns = {line.replace("\\|", "").count("|") for line in table.splitlines()}
        assert len(columns) == 1


@pytest.mark.parametrize("name", [*BENCHMARKS, "grouped_step_8", "something_new"])
def test_every_figure_has_a_name_in_words(name):
    words = in_words(name)
    assert "_" not in words
    assert words[0].isupper()


# -- the README's table


@pytest.fixture
def readme(tmp_path):
    write_figures(tmp_path / "bench.json", [FIGURE, ALONE])
    path = tmp_path / "README.md"
    path.write_bytes(f"# Tïtle\r\n\nbefore\n\n{BEGIN}\nold | table\n{END}\n\nafter".encode())
    return path


def rewrite(readme, *options):
    return main([str(readme.parent / "bench.json"), str(readme), "--every", *options])


def test_only_what_is_between_the_marks_changes(readme):
    assert rewrite(readme) == 0
    before, after = f"# Tïtle\r\n\nbefore\n\n{BEGIN}\n", f"\n{END}\n\nafter"
    text = readme.read_bytes().decode()
    assert text == before + as_readable_table([FIGURE, ALONE]) + after


def test_headlines_come_in_their_order(readme, capsys):
    figures, arguments = (
        readme.parent / "bench.json",
        [str(readme.parent / "bench.json"), str(readme)],
    )
    assert main(arguments) == 2
    assert capsys.readouterr().err == (
        f"{figures}: has no figure '{HEADLINES[0]}'; --missing measures it\n"
    )
    found = [dataclasses.replace(FIGURE, name=name) for name in (*reversed(HEADLINES), "another")]
    write_figures(figures, found)
    assert main(arguments) == 0
    rows = readme.read_text(encoding="utf-8").splitlines()
    shown = [row.split(" | ")[0] for row in rows if row.startswith("| ")][1:]
    assert shown == [f"| {in_words(name)}" for name in HEADLINES]


def test_again_is_the_same(readme):
    rewrite(readme)
    once = readme.read_bytes()
    assert rewrite(readme) == 0
    assert readme.read_bytes() == once


@pytest.mark.parametrize("page", [["README.md"], ["docs/benchmarks.md", "--every"]])
def test_the_pages_show_the_figures_that_are_kept(repo_root, page):
    name, *options = page
    arguments = [str(repo_root / "docs" / "bench.json"), str(repo_root / name), *options]
    assert main([*arguments, "--check"]) == 0


def test_check_changes_nothing(readme, capsys):
    before = readme.read_bytes()
    assert rewrite(readme, "--check") == 1
    assert readme.read_bytes() == before
    assert "the table is not that of" in capsys.readouterr().err
    rewrite(readme)
    assert rewrite(readme, "--check") == 0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("no marks", f"expected the line '{BEGIN}' once, found it 0 times"),
        (f"{BEGIN}\n", f"expected the line '{END}' once, found it 0 times"),
        (f"{BEGIN}\n{BEGIN}\n{END}\n", f"expected the line '{BEGIN}' once, found it 2 times"),
        (f"{END}\n{BEGIN}\n", f"expected '{END}' after '{BEGIN}', found it before"),
    ],
)
def test_marks_that_are_wrong_are_named(readme, capsys, text, says):
    with pytest.raises(ReadmeError, match=says):
        with_table(text, "table")
    readme.write_text(text, encoding="utf-8")
    assert rewrite(readme) == 2
    assert capsys.readouterr().err == f"{readme}: {says}\n"
    assert readme.read_text(encoding="utf-8") == text


def test_files_that_are_missing_or_wrong_are_named(readme, capsys):
    figures = readme.parent / "bench.json"
    readme.unlink()
    assert rewrite(readme) == 2
    assert capsys.readouterr().err == f"{readme}: no such file\n"
    for content, says in (("[]", "holds no figures"), ("{", "not a file of figures")):
        figures.write_text(content, encoding="utf-8")
        assert rewrite(readme) == 2
        assert capsys.readouterr().err.startswith(f"{figures}: {says}")
    figures.unlink()
    assert rewrite(readme) == 2
    assert capsys.readouterr().err == f"{figures}: no such file; python -m benchmarks writes it\n"


# -- the command


def test_an_unknown_benchmark_is_refused(repo_root, tmp_path):
    output = tmp_path / "bench.json"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "no_such", "--output", str(output)],
        cwd=repo_root,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    errors = [line for line in done.stderr.splitlines() if "error" in line]
    assert errors == [
        f"python -m benchmarks: error: there is no benchmark 'no_such'; there are "
        f"{', '.join(BENCHMARKS)}"
    ]
    assert not output.exists()
