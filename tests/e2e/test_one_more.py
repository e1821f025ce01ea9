"""One more language: what the others keep, what it begins with, what is trained of it."""

import logging
import math
import re
import shutil
from typing import NamedTuple

import pytest
import torch
from fairseq import checkpoint_utils

from fairseq_gist.cli.main import main as gist
from fairseq_gist.host.checkpoints import read_checkpoint, write_checkpoint
from fairseq_gist.nn.grouped import GroupedModule
from fairseq_gist.surgery.adapters import split_adapters
from fairseq_gist.surgery.apply import apply_plan
from fairseq_gist.surgery.plan_buffer import plan_in_state
from tests.e2e.conftest import assert_same_tensors, used
from tests.e2e.helpers import batch_of, build, differentiate_at_random, disturb_copies, translate
from tests.e2e.test_checkpoints import GENERATE, fairseq, hypotheses
from tests.e2e.test_division import divided_plan
from tests.e2e.test_low_rank import disturbed, low_rank_plan
from tests.e2e.whisper.helpers import rows_of_language

OLD = ["de", "es", "it"]
VOCABULARY = "spm_unigram130_st"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folders(data, tmp_path_factory):
    """Data in three languages, and in these and a fourth with another script."""
    out = tmp_path_factory.mktemp("one-more")
    common = ["prepare", str(data.parent), "--workers=1", "--specaugment=none"]
    before, after = out / "before", out / "after"
    command = [*common, f"--out={before}", f"--languages={','.join(OLD)}", "--vocab-size=130"]
    assert gist(command) == 0
    command = [*common, f"--out={after}", f"--languages={','.join(OLD)},ru", "--vocab-size=80"]
    assert gist([*command, f"--vocabulary={before / VOCABULARY}", "--grow-vocabulary"]) == 0
    return before, after


@pytest.fixture(scope="module")
def shared(train, folders, tmp_path_factory):
    """A checkpoint of three languages that share everything."""
    folder = tmp_path_factory.mktemp("shared")
    run = train(folder, str(folders[0]), "--max-update=3", replace_data=True)
    return run.checkpoint


def low_rank(task, model):
    apply_plan(model, low_rank_plan(model, task.languages), model.routing)
    disturbed(model)


def divided(task, model):
    apply_plan(model, divided_plan(task, model), model.routing)
    disturb_copies(model)


def with_adapters(_, model):
    split_adapters(model, model.routing)
    disturb_copies(model)


SPLITS = {
    "shared": lambda task, model: None,
    "split": lambda task, model: differentiate_at_random(model, task.languages),
    "low-rank": low_rank,
    "divided": divided,
    "adapters": with_adapters,
}
"""Ways in which the three languages share, copies apart."""


@pytest.fixture(scope="module")
def checkpoints(folders, shared, tmp_path_factory):
    """Checkpoints of each kind."""
    out = tmp_path_factory.mktemp("kinds")
    for kind, split in SPLITS.items():
        options = ["--adapter-dim=4"] if kind == "adapters" else []
        task, model, _ = build(folders[0], *options)
        content = read_checkpoint(str(shared))
        model.load_state_dict(content["model"])
        split(task, model)
        settings = {**vars(content["cfg"]["model"]), "adapter_dim": 4 if options else None}
        content["cfg"]["model"] = type(content["cfg"]["model"])(**settings)
        write_checkpoint({**content, "model": model.state_dict()}, str(out / f"{kind}.pt"))
    return out


def add(checkpoint, folders, output, *options, like="it"):
    """Have the checkpoint take Russian."""
    command = ["add-language", str(checkpoint), str(folders[1]), "--language=ru", "--cpu"]
    command += [] if like is None else [f"--like={like}"]
    assert gist([*command, *options, "-o", str(output)]) == 0
    return output


def opened(checkpoint, folder):
    """Return task and model of a checkpoint."""
    task, _, _ = build(folder)
    (model,), _ = checkpoint_utils.load_model_ensemble([str(checkpoint)], task=task)
    return task, model.eval()


class Heard(NamedTuple):
    """What a model makes of a batch: decoder's features, logits of them, and hypotheses."""

    features: torch.Tensor
    logits: torch.Tensor
    hypotheses: list


def heard(checkpoint, folder, language, symbols=None):
    """Return what a model makes of a language, of the same utterances whatever the folder.

    With ``symbols``, of a vocabulary that ends there: a softmax has something for each of its
    symbols, so that log-probabilities alone are a little less with more of them.
    """
    task, model = opened(checkpoint, folder)
    sample = rows_of_language(batch_of(task, 4), task.languages.index(language))
    projection, seen = model.decoder.output_projection, []
    if symbols is not None:
        projection.register_forward_hook(
            lambda module, inputs, logits: logits.index_fill(
                -1, torch.arange(symbols, logits.size(-1)), -math.inf
            )
        )
    hook = projection.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        logits = model(**sample["net_input"])[0]
    hook.remove()
    return Heard(seen[0], logits[..., :symbols], translate(task, model, sample))


def assert_heard_alike(one, other, language, rounding=0.0):
    """Compare what two models make of a language; ``rounding`` is allowed of its logits."""
    assert torch.equal(one.features, other.features), language
    difference = (one.logits - other.logits).abs().max().item()
    assert difference <= rounding, f"{language}: largest difference of logits {difference}"
    texts, same_texts = (
        [[tokens for tokens, _ in row] for row in own.hypotheses] for own in (one, other)
    )
    assert same_texts == texts
    scores, same_scores = (
        torch.tensor([score for row in own.hypotheses for _, score in row]) for own in (one, other)
    )
    assert (scores - same_scores).abs().max().item() <= rounding


@pytest.mark.parametrize("own", [[], ["--own-copies"]], ids=["joining", "owning"])
@pytest.mark.parametrize("kind", SPLITS)
def test_the_others_translate_as_before(checkpoints, folders, tmp_path, kind, own):
    before = checkpoints / f"{kind}.pt"
    after = add(before, folders, tmp_path / "with-ru.pt", *own)
    for language in OLD:
        said = heard(before, folders[0], language)
        again = heard(after, folders[1], language, said.logits.size(-1))
        # products with a matrix of more rows may round otherwise, as those of torch 1.12 do
        assert_heard_alike(again, said, f"{kind}, {language}", rounding=2e-6)


def test_it_begins_as_the_relative(checkpoints, folders, tmp_path):
    after = add(checkpoints / "split.pt", folders, tmp_path / "with-ru.pt", "--own-copies")
    task, model = opened(after, folders[1])
    italian, russian = (task.languages.index(one) for one in ("it", "ru"))
    tags = [task.target_dictionary.index(f"<lang:{one}>") for one in ("it", "ru")]
    found = set()
    for path, module in model.named_modules():
        if isinstance(module, GroupedModule):
            assert module.group_of.count(module.group_of[russian]) == 1, path
            theirs, ours = (module.copies[module.group_of[one]] for one in (italian, russian))
            assert_same_tensors(theirs.state_dict(), ours.state_dict())
            found.add(path)
            if path == "decoder.output_projection":
                assert torch.equal(ours.weight[tags[0]], ours.weight[tags[1]])
    assert {"decoder.embed_tokens", "decoder.output_projection", "decoder.layer_norm"} < found
    plan = plan_in_state(read_checkpoint(str(after))["model"])
    assert plan.provenance["added"] == [{"language": "ru", "as": "it"}]


@pytest.fixture(scope="module")
def alone(train, checkpoints, folders, tmp_path_factory):
    """A run that trained the new language alone, from a checkpoint where it has its own copies."""
    out = tmp_path_factory.mktemp("alone")
    start = add(checkpoints / "split.pt", folders, out / "with-ru.pt", "--own-copies")
    return start, train_alone(train, folders, out / "run", start, 4)


def train_alone(train, folders, out, start, updates):
    return train(
        out, str(folders[1]), f"--finetune-from-model={start}", "--train-only=language:ru",
        f"--max-update={updates}", "--save-interval-updates=2", replace_data=True,
    )  # fmt: skip


def test_trained_alone_it_leaves_the_others_as_they_are(alone, folders):
    start, run = alone
    before, after = read_checkpoint(str(start))["model"], run.load()["model"]
    plan = plan_in_state(after)
    moved = {key for key in used(after) if not torch.equal(after[key], before[key])}
    groups = {(path, groups.index(("ru",))) for path, groups in plan.units.items()}
    assert moved
    for key in moved - {"decoder.output_projection.copies"}:
        path, group = re.match(r"(.+)\.copies\.(\d+)\.", key).groups()
        path = path.replace("output_projection", "embed_tokens")  # which is tied to it
        assert (path, int(group)) in groups, key
    for language in OLD:
        one, other = (heard(path, folders[1], language) for path in (start, run.checkpoint))
        assert_heard_alike(one, other, language)
    one, other = (heard(path, folders[1], "ru") for path in (start, run.checkpoint))
    assert one.hypotheses != other.hypotheses


def test_only_its_rows_are_read(alone, folders, train, tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        train_alone(train, folders, tmp_path, alone[0], 1)
    told = [one for one in caplog.messages if "rows are read, those of 'ru'" in one]
    assert len(told) == 1
    assert re.search(r"train\.tsv: (\d+) of (\d+) rows", told[0]).groups() == ("40", "160")
    assert any(
        re.match(r"--train-only language:ru: [\d,]+ of [\d,]+ par", m) for m in caplog.messages
    )


def test_resumed_equals_uninterrupted(alone, folders, train, tmp_path):
    start, whole = alone
    shutil.copy(whole.folder / "checkpoint_1_2.pt", tmp_path / "checkpoint_last.pt")
    again = train_alone(train, folders, tmp_path, start, 4)
    assert again.steps == whole.steps[2:]
    assert_same_tensors(again.load()["model"], whole.load()["model"])


def test_it_is_averaged_exported_and_translated(alone, folders, tmp_path, repo_root):
    _, run = alone
    files = [str(run.folder / "checkpoint_1_2.pt"), str(run.checkpoint)]
    assert gist(["average", *files, "-o", str(tmp_path / "average.pt")]) == 0
    exported = str(tmp_path / "ru.pt")
    command = ["export", str(tmp_path / "average.pt"), "--language=ru", "-o", exported]
    assert gist(command) == 0
    common = [folders[1], *GENERATE, "--gen-subset=tst-COMMON_ru"]
    for task, path in (
        ("gist_speech_to_text", tmp_path / "average.pt"),
        ("speech_to_text", exported),
    ):
        done = fairseq(
            "generate", *common, f"--task={task}", f"--path={path}",
            f"--results-path={tmp_path / task}",
            plugin=repo_root / "fairseq_gist" if task[0] == "g" else None,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-2000:]
    ours, stock = (
        hypotheses(tmp_path / task) for task in ("gist_speech_to_text", "speech_to_text")
    )
    assert len(ours) == 8
    assert ours == stock


def test_with_all_others_all_is_trained(train, checkpoints, folders, tmp_path):
    start = add(checkpoints / "low-rank.pt", folders, tmp_path / "with-ru.pt")
    run = train(
        tmp_path / "run", str(folders[1]), f"--finetune-from-model={start}", "--max-update=2",
        "--multiway-batches", replace_data=True,
    )  # fmt: skip
    before, after = read_checkpoint(str(start))["model"], run.load()["model"]
    assert plan_in_state(after) == plan_in_state(before)
    same = {key for key in used(after) if torch.equal(after[key], before[key])}
    assert all(re.search(r"version|gist_plan|plan", key) for key in same), same


def test_the_nearest_is_found_by_gradients(checkpoints, folders, tmp_path, caplog):
    options = ["--gradient-chunks=2", "--max-tokens=4000"]
    with caplog.at_level(logging.INFO):
        output = add(checkpoints / "shared.pt", folders, tmp_path / "ru.pt", *options, like=None)
    line = next(one for one in caplog.messages if "in the place of each" in one)
    found = re.findall(r"(\w\w) (\d\.\d{3})", line)
    assert sorted(name for name, _ in found) == OLD
    norms = [float(norm) for _, norm in found]
    assert norms == sorted(norms)
    assert f"begins as '{found[0][0]}', with no copies" in caplog.messages[-1]
    _, model = opened(output, folders[1])
    assert list(model.routing.languages) == [*OLD, "ru"]


REFUSED = {
    "unknown relative": (["--like=pt"], r"--like: .* has no language 'pt'; it has de, es, it"),
    "known language": (
        ["--language=de", "--like=it"],
        r"--language: .* has 'de' already, among",
    ),
    "no tag": (["--language=pt", "--like=it"], r"--language: .* has no tag '<lang:pt>', but those"),
    "data without it": (["BEFORE", "--like=it"], r"--language: .* has no tag '<lang:ru>', but"),
    "other vocabulary": (["OTHER", "--like=it"], r"is another one than that of .*: symbol \d+ is"),
    "several": (["MORE", "--language=pt", "--like=it"], r"--language: .* has a tag of 'fr' too"),
    "no data": (["NOWHERE", "--like=it"], r"NOWHERE: expected the folder of the data, found none"),
}


@pytest.mark.parametrize("why", REFUSED)
def test_what_is_refused(data, checkpoints, folders, tmp_path, capsys, why):
    options, message = REFUSED[why]
    other = shutil.copytree(folders[1], tmp_path / "other")
    dictionary = other / f"{VOCABULARY}.txt"
    first, *rest = dictionary.read_text(encoding="utf-8").splitlines()
    dictionary.write_text("\n".join([*rest, first, ""]), encoding="utf-8")
    places = {"BEFORE": folders[0], "OTHER": other, "MORE": data, "NOWHERE": "NOWHERE"}
    folder = str(next((places[one] for one in options if one in places), folders[1]))
    options = [one for one in options if one not in places]
    command = ["add-language", str(checkpoints / "shared.pt"), folder, "--language=ru", *options]
    assert gist([*command, "-o", str(tmp_path / "out.pt")]) == 1
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert re.search(message, line), line
    assert not (tmp_path / "out.pt").exists()


def test_a_language_that_owns_nothing_is_not_trained_alone(train, checkpoints, folders, tmp_path):
    start = add(checkpoints / "shared.pt", folders, tmp_path / "with-ru.pt", like="de")
    with pytest.raises(SystemExit, match="--train-only language:xx: the model has no language"):
        train(
            tmp_path / "run", str(folders[1]), "--train-only=language:xx", "--max-update=1",
            replace_data=True,
        )  # fmt: skip
    with pytest.raises(SystemExit, match="language:ru: the language owns nothing by itself; start"):
        train(
            tmp_path / "run", str(folders[1]), "--train-only=language:ru", "--max-update=1",
            f"--finetune-from-model={start}", replace_data=True,
        )  # fmt: skip
