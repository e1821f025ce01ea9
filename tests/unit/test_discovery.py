"""What installed packages bring: found by their entry points, and left out where it can't be."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fairseq_gist.architectures import all_architectures, of_arch
from fairseq_gist.corpora import all_corpora
from fairseq_gist.discovery import tolerated
from fairseq_gist.evaluation.metrics import all_metrics, metric_called
from fairseq_gist.evaluation.metrics.base import Texts
from fairseq_gist.policies import decide, find_policies, policy_options
from fairseq_gist.policies.situation import Situation
from fairseq_gist.preparing.layouts import all_layouts
from tests.unit.made_up import shape_of_sizes

INSTALLED = Path(__file__).parents[1] / "installed"
ALL = (all_architectures, all_corpora, all_layouts, all_metrics, find_policies)


def install(folder, name, entry_points, **modules):
    """Write a package as pip leaves it."""
    about = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8"
    )
    (about / "entry_points.txt").write_text(entry_points, encoding="utf-8")
    for module, source in modules.items():
        (folder / f"{module}.py").write_text(source, encoding="utf-8")


def names():
    return [list(room()) for room in ALL]


def test_one_of_each_kind_is_found_and_works(monkeypatch):
    before = names()
    monkeypatch.syspath_prepend(str(INSTALLED))
    after = names()
    added = [sorted({*now} - {*then}) for now, then in zip(after, before)]
    assert added == [["extra_transformer"], ["silence"], ["lines"], ["shorter"], ["backwards"]]
    shape = shape_of_sizes(("de", "es", "fr"), {"decoder.layers.0.fc1": 10}, 100)
    plan = decide("backwards", Situation(shape), backwards_last=2)
    assert dict(plan.units) == {"decoder.layers.0.fc1": (("de",), ("es", "fr"))}
    assert policy_options()["backwards_last"].defaults == {"backwards": 1}
    texts = Texts(hypotheses=["ab", "abc"], references=["abcd", "a"], sources=["", ""], language="")
    assert metric_called("shorter")().measure(texts).statistics.tolist() == [[2.0], [0.0]]
    assert of_arch("gist_extra_transformer_s").name == "extra_transformer"


METRIC = """
from fairseq_gist.evaluation.metrics.base import AveragedMetric
class METRIC(AveragedMetric):
    name, summary, title = {name!r}, "of another", "of another"
    def measure(self, texts): ...
"""
POLICY = """
from dataclasses import dataclass
from fairseq_gist.policies.base import Policy, option
class POLICY(Policy):
    name, summary = "clashing", "of another"
    @dataclass(frozen=True)
    class Options:
        copies: float = option(0.1, "how loud")
    def decide(self, situation): ...
"""
FAULTS = {
    "missing": ("metrics", "ModuleNotFoundError: No module named 'faulty_missing'", None),
    "ends": ("metrics", "SystemExit: 3", "raise SystemExit(3)"),
    "empty": ("metrics", "module faulty_empty has no METRIC", ""),
    "other": ("metrics", "expected a subclass of Metric, found 7", "METRIC = 7"),
    "twice": ("metrics", "fairseq-gist has another one called 'bleu'", METRIC.format(name="bleu")),
    "unnamed": ("metrics", "expected a name of letters, digits", METRIC.format(name="a b")),
    "abstract": (
        "layouts",
        "it has no files, folder, languages, listing, segments, wav",
        "from fairseq_gist.preparing.layouts import Layout\n"
        "class LAYOUT(Layout): name, summary = 'half', 'half of one'",
    ),
    "options": ("policies", "option 'copies' is another one for 'clashing' than for", POLICY),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_can_not_be_is_told_in_a_line_and_all_others_work(
    fault, tmp_path, monkeypatch, caplog
):
    room, wrong, source = FAULTS[fault]
    before = names()
    module = f"faulty_{fault}"
    install(
        tmp_path,
        f"gist-{fault}",
        f"[fairseq_gist.{room}]\nmine = {module}\n",
        **({} if source is None else {module: source}),
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    with caplog.at_level("WARNING"):
        assert names() == before
        assert names() == before
    (said,) = [record.getMessage() for record in caplog.records]  # once
    where = f"package gist-{fault} (fairseq_gist.{room}: mine = {module}): "
    assert said.startswith(where + wrong)
    assert said.endswith("; it is left out: mend the package or uninstall it")
    assert "\n" not in said


def test_of_two_with_one_name_the_first_package_has_it(tmp_path, monkeypatch, caplog):
    for name in ("gist-one", "gist-two"):
        module = name.replace("-", "_")
        entry_points = f"[fairseq_gist.metrics]\nmine = {module}:METRIC\n"
        install(tmp_path, name, entry_points, **{module: METRIC.format(name="mine")})
    monkeypatch.syspath_prepend(str(tmp_path))
    with caplog.at_level("WARNING"):
        assert all_metrics()["mine"].__module__ == "gist_one"
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith("package gist-two (")
    assert "package gist-one has another one called 'mine'" in said


def test_a_damaged_distribution_of_others_is_no_matter(tmp_path, monkeypatch):
    before = names()
    install(tmp_path, "anybody", "no section = here\n[[[")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert names() == before


def test_what_is_ones_own_is_not_tolerated():
    with pytest.raises(ValueError, match="of one's own"), tolerated(object()):
        raise ValueError("of one's own")


def test_fairseq_knows_the_architecture_and_a_broken_one_is_in_nobodys_way(tmp_path):
    pytest.importorskip("fairseq")
    source = (INSTALLED / "gist_extras" / "architectures.py").read_text(encoding="utf-8")
    source = source.replace("extra_transformer", "broken").replace("gist_extras.model", "nowhere")
    entry_points = "[fairseq_gist.architectures]\nbroken = gist_broken\n"
    install(tmp_path, "gist-broken", entry_points, gist_broken=source)
    program = (
        "from fairseq_gist.tasks.registration import register; register()\n"
        "from fairseq.models import ARCH_MODEL_REGISTRY as known\n"
        "print([f'gist_{name}_s' in known for name in ('extra_transformer', 's2t_transformer')])"
    )
    path = os.pathsep.join([str(Path(__file__).parents[2]), str(INSTALLED), str(tmp_path)])
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert "[True, True]" in done.stdout
    said = "package gist-broken (fairseq_gist.architectures: broken = gist_broken): "
    assert f"{said}ModuleNotFoundError: No module named 'nowhere'" in done.stderr
