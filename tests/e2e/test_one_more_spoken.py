"""One more spoken language, of a Conformer with batch norms: nothing has tags, all is split."""

import logging
import re

import pytest
import torch
from fairseq import checkpoint_utils

from fairseq_gist.cli.main import main as gist
from fairseq_gist.host.checkpoints import read_checkpoint, write_checkpoint
from fairseq_gist.nn.grouped import GroupedModule
from fairseq_gist.nn.leaves.batch_norm import GroupedBatchNorm
from fairseq_gist.surgery.plan_buffer import plan_in_state
from tests.e2e.conftest import used
from tests.e2e.helpers import build, differentiate_at_random, translate
from tests.regression import make
from tests.regression.grown import grown
from tests.regression.test_files import HERE, OURS

OLD = ["de", "es", "ru"]
EVERY = r"(en|de)coder\.(?!embed_tokens|output_projection).*"
SOURCE = ["--language-key=src", "--ignore-prefix-size=0"]
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Data in three spoken languages, and in a fourth, too, which sounds as Russian."""
    out = tmp_path_factory.mktemp("spoken")
    data = HERE / "data" / "into_english"
    return make.usable(data, out / "before"), grown(data, out / "after", "uk", like="ru")


@pytest.fixture(scope="module")
def checkpoints(folders, tmp_path_factory):
    """What was trained a little: sharing all, split at random, with neurons of its own."""
    out = tmp_path_factory.mktemp("kinds")
    content = read_checkpoint(str(OURS / "conformer_shared.pt"))
    task, model, _ = build(folders[0], *SOURCE, model=make.CONFORMER)
    model.load_state_dict(content["model"])
    differentiate_at_random(model, task.languages, pattern=EVERY)
    write_checkpoint({**content, "model": model.state_dict()}, str(out / "split.pt"))
    return {
        "shared": OURS / "conformer_shared.pt",
        "split": out / "split.pt",
        "neurons": OURS / "conformer.pt",
    }


def add(checkpoint, folders, output, *options):
    """Have the checkpoint take Ukrainian."""
    command = ["add-language", str(checkpoint), str(folders[1]), "--language=uk", "--cpu"]
    command += [f"--data-before={folders[0]}", *options, "-o", str(output)]
    assert gist(command) == 0
    return output


def heard(checkpoint, folder, language):
    """Return logits and hypotheses of a language's first utterances."""
    task, _, _ = build(folder, *SOURCE, model=make.CONFORMER)
    (model,), _ = checkpoint_utils.load_model_ensemble([str(checkpoint)], task=task)
    rows = task.reader().read("dev", is_train=False)
    own = [row for row, spoken in enumerate(rows.rows.src_langs) if spoken == language]
    sample = rows.collater([rows[row] for row in own])
    with torch.no_grad():
        return model.eval()(**sample["net_input"])[0], translate(task, model, sample, 0)


def assert_heard_alike(one, other, language):
    difference = (one[0] - other[0]).abs().max().item()
    assert difference == 0.0, f"{language}: largest difference of logits {difference}"
    assert one[1] == other[1]


@pytest.mark.parametrize("own", [[], ["--own-copies", f"--units={EVERY}"]], ids=["joins", "owns"])
@pytest.mark.parametrize("kind", ["shared", "split", "neurons"])
def test_the_others_translate_as_before_and_it_as_its_relative(
    checkpoints, folders, tmp_path, kind, own
):
    before = checkpoints[kind]
    after = add(before, folders, tmp_path / "with-uk.pt", "--like=ru", *own)
    said = {language: heard(before, folders[0], language) for language in OLD}
    for language in OLD:
        assert_heard_alike(heard(after, folders[1], language), said[language], language)
    assert_heard_alike(heard(after, folders[1], "uk"), said["ru"], "uk")
    settings = read_checkpoint(str(after))["cfg"]["model"]
    assert (settings.language_key, settings.languages) == ("src", "de,es,ru,uk")


def test_its_batch_norms_are_its_own_with_the_statistics_of_all(checkpoints, folders, tmp_path):
    options = ["--like=ru", "--own-copies", f"--units={EVERY}"]
    after = add(checkpoints["split"], folders, tmp_path / "with-uk.pt", *options)
    task, _, _ = build(folders[1], *SOURCE, model=make.CONFORMER)
    (model,), _ = checkpoint_utils.load_model_ensemble([str(after)], task=task)
    norms = [module for module in model.modules() if isinstance(module, GroupedBatchNorm)]
    assert len(norms) == 2
    ukrainian, russian = (task.languages.index(one) for one in ("uk", "ru"))
    for module in model.modules():
        if isinstance(module, GroupedModule):
            assert module.group_of.count(module.group_of[ukrainian]) == 1
    for norm in norms:
        own = norm.copies[norm.group_of[ukrainian]].state_dict()
        theirs = norm.copies[norm.group_of[russian]].state_dict()
        assert all(torch.equal(own[name], theirs[name]) for name in own)
        assert own["running_mean"].abs().max() > 0


def trained_alone(train, folders, out, start):
    return train(
        out, str(folders[1]), *SOURCE, f"--finetune-from-model={start}", "--max-update=2",
        "--train-only=language:uk", model=make.CONFORMER, replace_data=True,
        recipe_changes={"--max-tokens": "400"}, drop=["--ignore-prefix-size"],
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["shared", "split", "neurons"])
def test_trained_alone_it_leaves_the_others_as_they_are(
    train, checkpoints, folders, tmp_path, kind
):
    """Running statistics of batch norms too, which are everybody's."""
    options = ["--like=ru", "--own-copies", f"--units={EVERY}"]
    start = add(checkpoints[kind], folders, tmp_path / "with-uk.pt", *options)
    run = trained_alone(train, folders, tmp_path / "run", start)
    before, after = read_checkpoint(str(start))["model"], run.load()["model"]
    moved = {key for key in used(after) if not torch.equal(after[key], before[key])}
    assert any("batch_norm.copies" in key for key in moved) or kind == "neurons"
    assert not [key for key in moved if key.endswith(STATISTICS)]
    plan = plan_in_state(after)
    for key in moved:
        path, group = re.match(r"(.+)\.copies\.(\d+)\.", key).groups()
        assert plan.units[path][int(group)] == ("uk",), key
    for language in OLD:
        assert_heard_alike(
            heard(start, folders[1], language),
            heard(run.checkpoint, folders[1], language),
            language,
        )
    assert not torch.equal(
        heard(start, folders[1], "uk")[0], heard(run.checkpoint, folders[1], "uk")[0]
    )


def test_the_nearest_is_found_by_gradients(checkpoints, folders, tmp_path, caplog):
    options = ["--gradient-chunks=4", "--max-tokens=400", f"--units={EVERY}"]
    with caplog.at_level(logging.INFO):
        output = add(checkpoints["split"], folders, tmp_path / "uk.pt", *options)
    line = next(one for one in caplog.messages if "in the place of each" in one)
    found = re.findall(r"(\w\w) (\d+\.\d{3})", line)
    assert sorted(name for name, _ in found) == OLD
    content = read_checkpoint(str(output))
    assert plan_in_state(content["model"]).provenance["added"] == [
        {"language": "uk", "as": found[0][0]}
    ]


def test_what_it_owned_is_exported(checkpoints, folders, tmp_path):
    after = add(checkpoints["neurons"], folders, tmp_path / "with-uk.pt", "--like=ru")
    for source, language in ((checkpoints["neurons"], "ru"), (after, "uk")):
        command = ["export", str(source), f"--language={language}"]
        assert gist([*command, "-o", str(tmp_path / f"{language}.pt")]) == 0
    one, other = (read_checkpoint(str(tmp_path / f"{name}.pt"))["model"] for name in ("ru", "uk"))
    assert list(one) == list(other)
    assert all(torch.equal(one[key], other[key]) for key in used(one))
