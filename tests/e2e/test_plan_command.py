"""``fairseq-gist plan``: each source of units, what it prints and writes, and what it refuses."""

import pytest
import torch

from fairseq_gist.cli.main import main as gist
from fairseq_gist.host.checkpoints import read_checkpoint
from fairseq_gist.loading.arch_models import model_of_arch
from fairseq_gist.sharing.plan import SharingPlan
from fairseq_gist.surgery.apply import apply_plan
from fairseq_gist.surgery.plan_buffer import plan_in_state
from fairseq_gist.surgery.state import parameters_in_state
from fairseq_gist.surgery.units import count_parameters
from tests.e2e.helpers import build

EIGHT = "de,es,fr,it,nl,pt,ro,ru"
XS = ["--arch", "s2t_transformer_xs", "--dict-size", "100", "--languages", EIGHT]


@pytest.fixture(scope="module")
def shared(data, differentiated, tmp_path_factory):
    """A checkpoint of the small model that was never differentiated."""
    _, model, _ = build(data)
    content = read_checkpoint(str(differentiated.checkpoint))
    path = tmp_path_factory.mktemp("shared") / "shared.pt"
    torch.save({**content, "model": model.state_dict(), "last_optimizer_state": None}, path)
    return str(path)


def test_an_architecture_is_enough(tmp_path, capsys):
    out = tmp_path / "plan.json"
    for arch in ("s2t_transformer_xs", "gist_s2t_transformer_xs"):
        command = ["plan", "key-value", "--arch", arch, "--dict-size", "100", "--count"]
        assert gist([*command, "--languages", "ru,de", "-o", str(out)]) == 0
        printed = capsys.readouterr().out
        plan = SharingPlan.load(out)
        assert plan.languages == ("de", "ru")
        model = model_of_arch(arch, 100, plan.languages)
        before = count_parameters(model)
        apply_plan(model, plan, model.routing)
        after = count_parameters(model)
        assert printed == f"key-value {after:,} ({after / before:.2f} times shared)\n"


def test_a_random_plan_as_a_table(tmp_path, capsys):
    out = tmp_path / "plan.json"
    command = ["plan", "random", *XS, "--plan-seed", "3", "--size-budget", "1.5", "-o", str(out)]
    assert gist(command) == 0
    printed = capsys.readouterr().out
    assert "decoder.layers.2.fc2" in printed
    assert "times the shared model's" in printed
    plan = SharingPlan.load(out)
    assert (plan.provenance["policy"], plan.provenance["plan_seed"]) == ("random", 3)
    assert gist(["plan", "random", *XS, "--plan-seed", "3", "--size-budget", "1.5", "--count"]) == 0
    assert f"random {plan.parameters:,} (1." in capsys.readouterr().out


def test_a_shared_checkpoint_becomes_what_the_plan_says(shared, tmp_path, capsys):
    out, split = tmp_path / "plan.json", tmp_path / "split.pt"
    command = ["plan", "encoder-only", "--checkpoint", shared, "--languages", EIGHT]
    assert gist([*command, "--count", "-o", str(out)]) == 0
    assert gist(["apply", shared, str(out), "-o", str(split)]) == 0
    after = parameters_in_state(read_checkpoint(str(split))["model"])
    assert f"encoder-only {after:,} (" in capsys.readouterr().out


def test_a_differentiated_checkpoint_is_split_further(differentiated, tmp_path, capsys):
    out, split = tmp_path / "plan.json", tmp_path / "split.pt"
    checkpoint = str(differentiated.checkpoint)
    before = plan_in_state(read_checkpoint(checkpoint)["model"])
    command = ["plan", "random", "--checkpoint", checkpoint, "--size-budget", "2.5"]
    assert gist([*command, "-o", str(out)]) == 0
    assert SharingPlan.load(out).refines(before)
    assert gist(["apply", checkpoint, str(out), "-o", str(split)]) == 0
    capsys.readouterr()
    assert gist(["plan", "shared", "--checkpoint", checkpoint, "--count"]) == 1
    assert "would join languages that it has separated" in capsys.readouterr().err
    joined = tmp_path / "joined.json"
    SharingPlan.shared(before.languages, before.units).save(joined)
    assert gist([*command, "--within", str(joined), "--count"]) == 1
    assert "would join languages that it has separated" in capsys.readouterr().err


def test_statistics_are_enough_where_embeddings_are_shared(differentiated, shared, tmp_path):
    statistics = ["--statistics", str(differentiated.folder / "statistics.npz")]
    checkpoint = ["--checkpoint", shared, "--languages", EIGHT]
    for policy in ("attention", "language-specific"):
        plans = []
        for source in (statistics, checkpoint):
            out = tmp_path / "plan.json"
            assert gist(["plan", policy, *source, "-o", str(out)]) == 0
            plans.append(SharingPlan.load(out))
        assert plans[0] == plans[1]
        assert plans[0].provenance == plans[1].provenance


@pytest.mark.parametrize(
    "options",
    [
        ["gradient", "--linkage", "average", "--size-budget", "1.3"],
        [
            "bipartition",
            "--bipartition-splits=4",
            "--bipartition-threshold=0.01",
            "--bipartition-granularity=module",
        ],
        ["gradient", "--units", r"decoder\.layers\.1\..*", "--size-budget", "1.1"],
    ],
)
def test_plans_from_gradients_can_be_applied(differentiated, shared, tmp_path, options, capsys):
    statistics = str(differentiated.folder / "statistics.npz")
    out, split = tmp_path / "plan.json", tmp_path / "split.pt"
    assert gist(["plan", *options, "--statistics", statistics, "-o", str(out)]) == 0
    assert "times the shared model's" in capsys.readouterr().out
    assert gist(["apply", shared, str(out), "-o", str(split)]) == 0
    size = SharingPlan.load(out).parameters
    assert parameters_in_state(read_checkpoint(str(split))["model"]) == size


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["gradient", *XS, "--count"], "policy 'gradient' decides from gradients: record them"),
        (["bipartition", "--checkpoint", "SHARED", "--count"], "with --statistics"),
        (
            ["encoder-only", "--statistics", "STATISTICS", "--count"],
            "name a checkpoint or an architecture instead",
        ),
        (["shared", "--checkpoint", "SHARED", "--count"], "so it doesn't say its languages; name"),
        (
            ["shared", "--checkpoint", "SPLIT", "--languages", "de,es", "--count"],
            "leave the option",
        ),
        (["shared", *XS], "-o: name the file to write, or ask for --count alone"),
        (
            ["shared", *XS, "--plan-seed", "3", "--count"],
            "--plan-seed: is for gdps-random, permuted, random; policy 'shared' does",
        ),
        (["random", *XS, "--size-budget", "0.5", "--count"], "0.5 is less than the fully shared"),
        (["shared", "--arch", "transformer", *XS[2:], "--count"], "s2t_transformer_m, "),
        (["shared", *XS[:2], "--languages", EIGHT, "--count"], "--arch needs the size of the voc"),
        (["shared", *XS[:4], "--count"], "--arch needs the size of the vocabulary"),
        (["shared", *XS[:2], "--dict-size", "9", *XS[4:], "--count"], "has 12 symbols at least"),
        (["shared", *XS[:4], "--languages", "de,,es", "--count"], "found 'de,,es'"),
        (["shared", *XS[:4], "--languages", "de,de", "--count"], "each once, found 'de,de'"),
        (["shared", *XS[:4], "--languages", "de es", "--count"], "commas between, each once"),
        (["shared", *XS[:4], "--languages", "de", "--count"], "expected two or more, that may"),
        (
            ["shared", "--checkpoint", "SHARED", "--seamless-path", "x", "--count"],
            "--seamless-path is for --arch only; the other sources need no folder",
        ),
        (
            ["shared", "--statistics", "STATISTICS", "--seamless-path", "x", "--count"],
            "--seamless-path is for --arch only",
        ),
        (["shared", "--checkpoint", "SHARED", "--dict-size", "9", "--count"], "for --arch only"),
        (["shared", "--statistics", "STATISTICS", "--languages", "de", "--count"], "already"),
    ],
)
def test_what_cannot_be_is_refused(differentiated, shared, tmp_path, capsys, options, message):
    names = {
        "SHARED": shared,
        "SPLIT": str(differentiated.checkpoint),
        "STATISTICS": str(differentiated.folder / "statistics.npz"),
    }
    out = tmp_path / "plan.json"
    command = ["plan", *(names.get(word, word) for word in options)]
    if "--count" in options:
        command += ["-o", str(out)]
    assert gist(command) == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("fairseq-gist plan: error: ")
    assert message in error, error
    assert not out.exists()


def test_one_source_is_named(capsys):
    for sources in ([], ["--statistics", "s.npz", *XS]):
        with pytest.raises(SystemExit):
            gist(["plan", "shared", *sources, "--count"])
        assert "--arch" in capsys.readouterr().err
