"""A new policy is one file: the documentation's, put beside the others, is known everywhere."""

import importlib
import subprocess
import sys

import pytest

import fairseq_gist.policies
from fairseq_gist.errors import OptionError, PlanError
from fairseq_gist.policies import decide, find_policies, policy_options
from fairseq_gist.policies.situation import Situation
from fairseq_gist.sharing.plan import SharingPlan
from tests.unit.made_up import grouped, shape_of_sizes, statistics_of

LANGUAGES = ("de", "es", "nl", "pt")
SIZES = {"decoder.layers.0.fc1": 100, "decoder.layers.0.fc2": 50, "encoder.layer_norm": 4}


@pytest.fixture
def folder(repo_root, tmp_path):
    """A folder with the one file, as it stands in the documentation."""
    page = (repo_root / "docs" / "policies.md").read_text(encoding="utf-8")
    source = page.split("```python\n")[1].split("```")[0]
    (tmp_path / "alphabet.py").write_text(source, encoding="utf-8")
    return tmp_path


@pytest.fixture
def added(folder, monkeypatch):
    paths = [*fairseq_gist.policies.__path__, str(folder)]
    monkeypatch.setattr(fairseq_gist.policies, "__path__", paths)
    importlib.invalidate_caches()
    yield
    sys.modules.pop("fairseq_gist.policies.alphabet", None)
    vars(fairseq_gist.policies).pop("alphabet", None)


def situation(**more):
    return Situation(shape_of_sizes(LANGUAGES, SIZES, 1000), **more)


@pytest.mark.usefixtures("added")
def test_it_is_found_and_decides():
    assert "alphabet" in find_policies()
    assert policy_options()["alphabet_from"].defaults == {"alphabet": "m"}
    plan = decide("alphabet", situation())
    halves = (("de", "es"), ("nl", "pt"))
    assert dict(plan.units) == {"decoder.layers.0.fc1": halves, "decoder.layers.0.fc2": halves}
    assert dict(plan.provenance) == {"policy": "alphabet", "alphabet_from": "m"}
    assert plan.parameters == 1150
    assert len(decide("alphabet", situation(), alphabet_from="a").units) == 2
    with pytest.raises(OptionError, match="--alphabet-from: is for alphabet; policy 'random' doe"):
        decide("random", situation(), alphabet_from="a")


@pytest.mark.usefixtures("added")
def test_it_goes_within_a_plan_or_is_refused():
    embed = SharingPlan.language_specific(LANGUAGES, ["encoder.layer_norm"])
    plan = decide("alphabet", situation(within=embed))
    assert plan.units["encoder.layer_norm"] == embed.units["encoder.layer_norm"]
    assert plan.parameters == 1150 + 3 * 4
    alone = SharingPlan.language_specific(LANGUAGES, SIZES)
    with pytest.raises(PlanError, match="would join languages"):
        decide("alphabet", situation(within=alone))


IN_TRAINING = """
import fairseq_gist.policies
fairseq_gist.policies.__path__.append({folder!r})
from fairseq_gist.training.options import DifferentiationOptions, moments, policy_at
options = DifferentiationOptions(
    differentiate_at="3", differentiate_by="alphabet", alphabet_from="e"
)
print(policy_at(options, moments(options)[0]).options)
print(DifferentiationOptions.__dataclass_fields__["alphabet_from"].metadata["help"])
"""

ON_THE_COMMAND_LINE = """
import sys
import fairseq_gist.policies
fairseq_gist.policies.__path__.append({folder!r})
from fairseq_gist.cli.main import main
sys.exit(main({command!r}))
"""


def test_both_front_ends_know_it(folder, repo_root):
    def run(script, **names):
        command = [sys.executable, "-c", script.format(folder=str(folder), **names)]
        return subprocess.run(command, text=True, capture_output=True, check=True, cwd=repo_root)

    printed = run(IN_TRAINING).stdout
    assert "Options(alphabet_from='e')" in printed
    assert "(default: m, for alphabet)" in printed

    vectors = {name: grouped([LANGUAGES]) for name in SIZES}
    statistics_of(vectors, SIZES, languages=LANGUAGES, shared=1000).save(folder / "s.npz")
    command = ["plan", "alphabet", "--statistics", str(folder / "s.npz")]
    plan = str(folder / "plan.json")
    printed = run(ON_THE_COMMAND_LINE, command=[*command, "--alphabet-from=e", "-o", plan]).stdout
    assert "de | es nl pt" in printed
    assert SharingPlan.load(plan).provenance["alphabet_from"] == "e"
    assert "--alphabet-from" in run(ON_THE_COMMAND_LINE, command=["plan", "--help"]).stdout


def test_two_policies_of_one_name_are_refused(added, folder):
    (folder / "again.py").write_text(
        (folder / "alphabet.py").read_text(encoding="utf-8"), encoding="utf-8"
    )
    try:
        with pytest.raises(TypeError, match="are both called 'alphabet'"):
            find_policies()
    finally:
        sys.modules.pop("fairseq_gist.policies.again", None)
        vars(fairseq_gist.policies).pop("again", None)
