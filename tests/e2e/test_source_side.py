"""Languages that differ in what is spoken: everything per source language, tagged or not."""

import json
import logging

import numpy as np
import pytest
import torch
from fairseq import checkpoint_utils

from fairseq_gist.cli.main import main as gist
from fairseq_gist.gradients.statistics import GradientStatistics
from fairseq_gist.host.checkpoints import read_checkpoint
from fairseq_gist.recording.held_out import HeldOut
from fairseq_gist.surgery.plan_buffer import plan_in_state, plan_of
from tests.e2e.conftest import SMALL_MODEL, assert_same_tensors
from tests.e2e.helpers import batch_of, build, differentiate_at_random, rows_of, translate
from tests.e2e.test_checkpoints import fairseq, hypotheses
from tests.e2e.test_gradients import compare_with_oracle

EVERY = r"(en|de)coder\.(?!embed_tokens|output_projection).*"
LAYERS = r"encoder\.transformer_layers\..*"
KEY = "--language-key=src"
UNTAGGED = "--ignore-prefix-size=0"
DIFFERENTIATION = [
    f"--units={LAYERS}",
    "--differentiate-at=10",
    "--gradient-window=8",
    "--gradient-chunks=4",
    "--size-budget=1.5",
    "--max-tokens=1500",
]


def options(data):
    """What the data ask for on the command line of fairseq-train."""
    return [KEY, *([] if data.name == "tagged" else [UNTAGGED])]


def prefix_size(data):
    return int(data.name == "tagged")


@pytest.fixture(params=["spoken", "spoken_tagged"])
def either(request):
    """The data without a language tag, and with one."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def into_english(train):
    def run(folder, data, *extra, **changes):
        return train(folder, str(data), *options(data), *extra, replace_data=True, **changes)

    return run


@pytest.fixture(scope="module")
def split(train, spoken, tmp_path_factory):
    """A run that split its encoder by source language after 10 of 12 updates."""
    folder = tmp_path_factory.mktemp("split")
    arguments = [str(spoken), KEY, UNTAGGED, "--max-update=12", *DIFFERENTIATION]
    return train(folder, *arguments, "--save-interval-updates=6", replace_data=True)


def test_languages_are_those_of_the_training_rows(either):
    task, model, _ = build(either, *options(either))
    assert task.languages == ["de", "es", "ru"]
    assert model.routing.languages == ("de", "es", "ru")
    sample = batch_of(task, utterances=24)
    rows = task.reader().read("dev", is_train=False)
    spoken_language = [rows.rows.src_langs[row] for row in sample["id"].tolist()]
    ids = sample["net_input"]["lang_ids"].tolist()
    assert [task.languages[one] for one in ids] == spoken_language


@pytest.mark.parametrize("pattern", [None, EVERY], ids=["decoder", "every unit"])
def test_a_mixed_batch_gives_what_one_language_at_a_time_gives(either, pattern):
    task, model, _ = build(either, *options(either))
    differentiate_at_random(model, task.languages, pattern=pattern).eval()
    sample = batch_of(task, utterances=24, subset="tst-COMMON")
    mixed = translate(task, model, sample, prefix_size(either))
    ids = sample["net_input"]["lang_ids"]
    largest = 0.0
    for language in range(3):
        rows = (ids == language).nonzero().flatten()
        alone = translate(task, model, rows_of(sample, rows), prefix_size(either))
        for row, own in zip(rows.tolist(), alone):
            assert [tokens for tokens, _ in own] == [tokens for tokens, _ in mixed[row]]
            largest = max(largest, *(abs(a[1] - b[1]) for a, b in zip(own, mixed[row])))
    print(f"largest difference of scores: {largest}")  # noqa: T201
    assert largest < 2e-6, f"scores differ by up to {largest}"


def test_other_languages_translate_the_same_audio_otherwise(spoken):
    task, model, _ = build(spoken, *options(spoken))
    differentiate_at_random(model, task.languages, pattern=LAYERS).eval()
    net_input = batch_of(task, utterances=6)["net_input"]
    before = model(**net_input)[0]
    net_input["lang_ids"] = (net_input["lang_ids"] + 1) % 3
    assert (model(**net_input)[0] - before).abs().max() > 1e-3  # and no tag objects


@pytest.mark.parametrize("is_split", [False, True], ids=["shared", "split at random"])
def test_recorded_gradients_equal_those_of_the_split_batch(either, is_split):
    task, model, criterion = build(either, *options(either))
    if is_split:
        differentiate_at_random(model, task.languages, pattern=EVERY)
    worst = compare_with_oracle(task, model.eval(), criterion, batch_of(task, 24), EVERY)
    print(f"largest relative difference: {worst}")  # noqa: T201
    assert worst < 1e-5, f"largest relative difference {worst}"


def test_the_encoder_is_split_and_the_checkpoint_says_its_languages(split):
    content = split.load()
    plan = plan_in_state(content["model"])
    assert plan.languages == ("de", "es", "ru")
    of_encoder = [unit for unit, groups in plan.units.items() if len(groups) > 1]
    assert of_encoder
    assert all(unit.startswith("encoder.transformer_layers.") for unit in of_encoder)
    assert content["cfg"]["model"].language_key == "src"
    assert content["cfg"]["model"].languages == "de,es,ru"


@pytest.mark.parametrize("stop", [6, 11], ids=["inside the window", "after the split"])
def test_resumed_equals_uninterrupted(into_english, spoken, split, tmp_path, stop):
    first = into_english(tmp_path, spoken, f"--max-update={stop}", *DIFFERENTIATION)
    second = into_english(tmp_path, spoken, "--max-update=12", *DIFFERENTIATION)
    assert first.steps + second.steps == split.steps
    resumed, whole = second.load(), split.load()
    assert_same_tensors(resumed["model"], whole["model"])
    ours, theirs = (one["last_optimizer_state"]["state"] for one in (resumed, whole))
    assert list(ours) == list(theirs)
    for parameter, state in ours.items():
        assert_same_tensors(state, theirs[parameter])


def test_the_split_leaves_the_next_loss(into_english, spoken, split, tmp_path):
    shared = into_english(
        tmp_path, spoken, "--max-update=12", *DIFFERENTIATION, "--differentiate-by=shared"
    )
    difference = abs(shared.steps[10].loss - split.steps[10].loss)
    print(f"loss of the next batch: {split.steps[10].loss}, difference {difference}")  # noqa: T201
    assert shared.steps[:10] == split.steps[:10]
    assert difference <= 1e-6 * abs(split.steps[10].loss)
    assert shared.steps[11].loss != split.steps[11].loss


GENERATE = [
    "--config-yaml=config_st.yaml",
    "--max-tokens=4000",
    "--beam=5",
    "--max-len-b=15",
    "--cpu",
    "--num-workers=0",
]


@pytest.fixture
def plugin(repo_root):
    return repo_root / "fairseq_gist"


@pytest.mark.slow
def test_translating_and_validating_need_no_option(split, spoken, tmp_path, plugin):
    """Only the checkpoint says the languages: the folder has no training data any more."""
    data = tmp_path / "data"
    data.mkdir()
    for path in spoken.iterdir():
        if path.is_file() and not path.name.startswith("train"):
            (data / path.name).symlink_to(path)
    generated = fairseq(
        "generate", data, *GENERATE, "--gen-subset=tst-COMMON", "--task=gist_speech_to_text",
        f"--path={split.checkpoint}", f"--results-path={tmp_path / 'out'}", plugin=plugin,
    )  # fmt: skip
    assert generated.returncode == 0, generated.stderr[-2000:]
    assert len(hypotheses(tmp_path / "out")) == 24
    validated = fairseq(
        "validate", data, "--task=gist_speech_to_text", "--config-yaml=config_st.yaml",
        "--valid-subset=dev", "--max-tokens=4000", "--cpu", f"--path={split.checkpoint}",
        "--num-workers=0", plugin=plugin,
    )  # fmt: skip
    assert validated.returncode == 0, validated.stderr[-2000:]
    assert "loss_ru" in validated.stderr + validated.stdout

    scores = tmp_path / "scores.json"
    arguments = ["--data", str(spoken), "--subset=tst-COMMON", "-o", str(scores)]
    assert gist(["score", f"tiny={tmp_path / 'out'}", *arguments, KEY]) == 0
    system = json.loads(scores.read_text(encoding="utf-8"))["systems"][0]
    assert system["references"] == 24
    assert {"de", "es", "ru"} <= set(system["metrics"]["bleu"]["scores"])

    refused = fairseq(
        "generate", data, *GENERATE, "--gen-subset=tst-COMMON", "--task=gist_speech_to_text",
        "--languages=de,ru", f"--path={split.checkpoint}", plugin=plugin,
    )  # fmt: skip
    assert refused.returncode == 1
    last = refused.stderr.strip().splitlines()[-1]
    assert "--languages: the checkpoint's model has de, es, ru, found de, ru" in last


@pytest.mark.slow
def test_exported_gives_the_hypotheses_of_the_differentiated(split, spoken, tmp_path, plugin):
    for language in ("de", "ru"):
        exported = tmp_path / f"{language}.pt"
        arguments = ["--language", language, "-o", str(exported)]
        assert gist(["export", str(split.checkpoint), *arguments]) == 0
        common = [spoken, *GENERATE, f"--gen-subset=tst-COMMON_{language}"]
        ours = fairseq(
            "generate", *common, "--task=gist_speech_to_text", f"--path={split.checkpoint}",
            f"--results-path={tmp_path / 'ours'}", plugin=plugin,
        )  # fmt: skip
        stock = fairseq(
            "generate", *common, "--task=speech_to_text", f"--path={exported}",
            f"--results-path={tmp_path / 'stock'}",
        )  # fmt: skip
        assert ours.returncode == 0, ours.stderr[-2000:]
        assert stock.returncode == 0, stock.stderr[-2000:]
    largest = same_hypotheses(tmp_path / "ours", tmp_path / "stock", 16)
    print(f"largest difference of scores: {largest}")  # noqa: T201
    assert largest < 1e-5  # stock attention multiplies matrices of another shape


def same_hypotheses(one, other, count):
    """Compare ids and tokens; return the largest difference of their scores."""
    ours, theirs = ([line.split("\t") for line in hypotheses(folder)] for folder in (one, other))
    assert len(ours) == count
    assert [(row[0], row[2]) for row in ours] == [(row[0], row[2]) for row in theirs]
    return max(abs(float(a[1]) - float(b[1])) for a, b in zip(ours, theirs))


@pytest.mark.slow
def test_interactive_takes_the_source_language(split, spoken, tmp_path, plugin):
    rows = (spoken / "tst-COMMON_ru.tsv").read_text(encoding="utf-8").splitlines()[1:3]
    source = tmp_path / "interactive.txt"
    source.write_text(
        "".join(f"{spoken / row.split(chr(9))[1]}\n" for row in rows), encoding="utf-8"
    )
    arguments = [
        spoken, "--task=gist_speech_to_text", "--config-yaml=config_st.yaml",
        "--max-tokens=4000", "--cpu", "--beam=5", "--max-len-b=15", f"--input={source}",
        f"--path={split.checkpoint}",
    ]  # fmt: skip
    done = fairseq("interactive", *arguments, "--source-language=ru", plugin=plugin)
    assert done.returncode == 0, done.stderr[-2000:]
    assert len([line for line in done.stdout.splitlines() if line.startswith("H-")]) == 2
    refused = fairseq("interactive", *arguments, plugin=plugin)
    assert refused.returncode == 1
    last = refused.stderr.strip().splitlines()[-1]
    expected = "--source-language: expected one of de, es, ru, none was given"
    assert last.startswith(f"fairseq-gist: error: {expected}")


def test_a_tag_of_the_only_target_needs_no_option(spoken_tagged):
    task, model, _ = build(spoken_tagged, *options(spoken_tagged), "--source-language=es")
    sample = batch_of(task, utterances=3)
    del sample["net_input"]["lang_ids"]
    found = translate(task, model.eval(), sample, prefix_size=0)
    tag = task.target_dictionary.index("<lang:en>")
    assert all(tokens[0] == tag for row in found for tokens, _ in row)


def test_without_a_column_of_targets_the_only_tag_is_theirs(spoken_tagged, tmp_path):
    for path in spoken_tagged.iterdir():
        if path.suffix != ".tsv":
            (tmp_path / path.name).symlink_to(path)
    for name in ("train", "dev"):
        lines = (spoken_tagged / f"{name}.tsv").read_text(encoding="utf-8").splitlines()
        assert lines[0].endswith("\ttgt_lang")
        short = [line.rpartition("\t")[0] for line in lines]
        (tmp_path / f"{name}.tsv").write_text("\n".join(short) + "\n", encoding="utf-8")
    task, model, _ = build(tmp_path, KEY)
    sample = batch_of(task, utterances=6)
    tag = task.target_dictionary.index("<lang:en>")
    assert (sample["target"][:, 0] == tag).all()
    model(**sample["net_input"])  # no tag is taken for that of a source


def chunks_of(task):
    held_out = HeldOut.read(task.reader(), "multiway")
    return [list(held_out.load(batches)) for batches in held_out.deal(4, max_tokens=20000)]


def test_pairs_that_share_audio_are_encoded_once(data):
    task, _, _ = build(data, "--language-key=pair")
    chunks = chunks_of(task)
    batches = [batch for batches in chunks for batch in batches]
    assert all("utterances" in batch["net_input"] for batch in batches)
    assert sum(len(batch["target"]) for batch in batches) == 64


def test_held_out_gradients_are_of_the_same_phrases_in_every_chunk(split, spoken, tmp_path):
    task, _, _ = build(spoken, *options(spoken))
    chunks = chunks_of(task)
    for batches in chunks:
        rows = [(language, tuple(target.tolist())) for batch in batches for language, target
                in zip(batch["net_input"]["lang_ids"].tolist(), batch["target"])]  # fmt: skip
        said = [{text for one, text in rows if one == language} for language in range(3)]
        assert said[0] == said[1] == said[2]
        assert len(rows) == 6

    found = []
    for chunk_count in ("4", "8"):
        out = tmp_path / f"{chunk_count}.npz"
        command = [
            "record",
            str(split.checkpoint),
            str(spoken),
            "--cpu",
            f"--gradient-chunks={chunk_count}",
        ]
        assert gist([*command, f"--units={LAYERS}", "-o", str(out)]) == 0
        found.append(GradientStatistics.load(out))
    for statistics, count in zip(found, (4, 8)):
        assert statistics.languages == ("de", "es", "ru")
        assert statistics.probe_languages.tolist() == [0, 1, 2] * count
        assert all(unit.startswith("encoder.") for unit in statistics.units)
        assert (np.diagonal(statistics.gram, axis1=1, axis2=2) > 0).all()


@pytest.mark.slow
def test_differentiating_by_held_out_gradients(into_english, either, tmp_path):
    run = into_english(
        tmp_path, either, "--max-update=3", f"--units={EVERY}", "--differentiate-at=2",
        "--gradients-from=multiway", "--gradient-chunks=4", "--size-budget=1.5",
    )  # fmt: skip
    plan = plan_in_state(run.load()["model"])
    stacks = {unit.split(".")[0] for unit, groups in plan.units.items() if len(groups) > 1}
    assert "encoder" in stacks


def test_plan_apply_and_average_know_the_languages(
    split, train, into_english, spoken, tmp_path, capsys
):
    """From a stock checkpoint to a split one, which says its languages from then on."""
    stock = train(
        tmp_path / "stock", str(spoken), "--task=speech_to_text", "--max-update=1", UNTAGGED,
        "--criterion=label_smoothed_cross_entropy", "--required-batch-size-multiple=1",
        model=[option.replace("gist_", "") for option in SMALL_MODEL], replace_data=True,
    )  # fmt: skip
    statistics, plan, out = (str(tmp_path / name) for name in ("s.npz", "plan.json", "split.pt"))
    record = ["record", str(stock.checkpoint), str(spoken), "--cpu", "--gradient-chunks=4", KEY]
    assert gist([*record, f"--units={LAYERS}", "-o", statistics]) == 0, capsys.readouterr().err
    assert gist(["plan", "gradient", "--statistics", statistics, "-o", plan]) == 0
    assert gist(["apply", str(stock.checkpoint), plan, KEY, "-o", out]) == 0
    settings = read_checkpoint(out)["cfg"]["model"]
    assert (settings.language_key, settings.languages) == ("src", "de,es,ru")
    task, model, _ = build(spoken, UNTAGGED)
    (loaded,), _ = checkpoint_utils.load_model_ensemble([out], task=task)
    assert (task.language_key, task.languages) == ("src", ["de", "es", "ru"])
    assert plan_of(loaded).languages == ("de", "es", "ru")
    model.load_state_dict(stock.load()["model"])
    sample = batch_of(task, utterances=6)
    after = loaded.eval()(**sample["net_input"])[0]
    del sample["net_input"]["lang_ids"]
    difference = (model.eval()(**sample["net_input"])[0] - after).abs().max().item()
    print(f"logits before and after the split differ by {difference}")  # noqa: T201
    assert difference < 5e-6

    tuned = into_english(
        tmp_path / "tuned", spoken, f"--finetune-from-model={out}", "--max-update=1"
    )
    assert plan_in_state(tuned.load()["model"]) == plan_of(loaded)
    average = str(tmp_path / "average.pt")
    assert gist(["average", str(split.checkpoint), str(split.checkpoint), "-o", average]) == 0
    assert_same_tensors(read_checkpoint(average)["model"], dict(split.load()["model"]))
    assert read_checkpoint(average)["cfg"]["model"].language_key == "src"


def test_languages_of_a_shared_checkpoint_are_known_to_plan(into_english, spoken, tmp_path, capsys):
    run = into_english(tmp_path, spoken, "--max-update=1")
    command = ["plan", "random", "--checkpoint", str(run.checkpoint), "--size-budget=1.2"]
    assert gist([*command, "-o", str(tmp_path / "plan.json")]) == 0, capsys.readouterr().err
    assert json.loads((tmp_path / "plan.json").read_text(encoding="utf-8"))["languages"] == [
        "de",
        "es",
        "ru",
    ]


def test_losses_sampling_and_patience_are_per_source_language(
    into_english, spoken, tmp_path, caplog
):
    own = caplog.at_level(logging.INFO, logger="fairseq_gist")
    with own, caplog.at_level(logging.INFO, logger="fairseq"):
        into_english(
            tmp_path, spoken, "--sampling-temperature=inf", "--max-epoch=1", "--patience=3",
            "--log-format=json", "--best-checkpoint-metric=loss_average",
            recipe_changes={"--valid-subset": "dev_de,dev_ru,dev"},
        )  # fmt: skip
    assert "ru 16 rows, 16.7% -> 33.3% of an epoch, 32 rows" in caplog.text
    lines = [json.loads(r.getMessage()) for r in caplog.records if r.name.startswith("dev")]
    assert [{key for key in line if "_loss_" in key and not key.endswith("average")}
            for line in lines] == [
        {"dev_de_loss_de"}, {"dev_ru_loss_ru"}, {"dev_loss_de", "dev_loss_es", "dev_loss_ru"}
    ]  # fmt: skip
    assert "valid on the average of 3 subsets" in caplog.text or any(
        record.name == "valid_average" for record in caplog.records
    )


def test_subsets_of_one_language_each(into_english, spoken, tmp_path):
    """No manifest is named 'train' here, and two languages are trained on."""
    run = into_english(
        tmp_path, spoken, "--max-update=1",
        recipe_changes={"--train-subset": "train_de,train_ru", "--valid-subset": "dev_de,dev_ru"},
    )  # fmt: skip
    assert run.load()["cfg"]["model"].languages == "de,ru"
    with pytest.raises(SystemExit, match=r"dev_es.tsv, line 2: language 'es' \(--language-key src"):
        into_english(
            tmp_path / "other", spoken, "--max-update=1",
            recipe_changes={"--train-subset": "train_de", "--valid-subset": "dev_es"},
        )  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--language-key=source"],
            "--language-key: expected one of tgt, src, pair, found 'source'",
        ),
        ([KEY, "--train-subset=train_x"], "there are no training data that say the model's lang"),
    ],
)
def test_what_can_not_be_is_refused(spoken, arguments, message):
    with pytest.raises(SystemExit, match=message):
        build(spoken, UNTAGGED, *arguments)


@pytest.mark.parametrize("tagged", [True, False], ids=["tagged", "untagged"])
def test_pairs_of_languages(data, spoken, tagged):
    """One to many with tags, whose halves are compared; many to one without."""
    where = data if tagged else spoken
    extra = [] if tagged else [UNTAGGED]
    task, model, _ = build(where, "--language-key=pair", *extra)
    expected = ["de-en", "es-en", "ru-en"]
    if tagged:
        expected = [f"en-{one}" for one in ("de", "es", "fr", "it", "nl", "pt", "ro", "ru")]
    assert task.languages == expected
    differentiate_at_random(model, task.languages, pattern=EVERY).eval()
    sample = batch_of(task, utterances=3)
    before = model(**sample["net_input"])[0]
    sample["net_input"]["lang_ids"] = (sample["net_input"]["lang_ids"] + 1) % 3
    if tagged:
        with pytest.raises(SystemExit, match="begins with the tag of 'en-"):
            translate(task, model, sample)
    else:
        assert (model(**sample["net_input"])[0] - before).abs().max() > 1e-3
    assert task.model_languages.asked_for(*expected[0].split("-")) == expected[0]


def test_an_ensemble_of_other_languages_is_refused(into_english, spoken, tmp_path):
    one = into_english(tmp_path / "one", spoken, "--max-update=1")
    other = into_english(
        tmp_path / "other", spoken, "--max-update=1",
        recipe_changes={"--train-subset": "train_de", "--valid-subset": "dev_de"},
    )  # fmt: skip
    task, _, _ = build(spoken, UNTAGGED)
    paths = [str(one.checkpoint), str(other.checkpoint)]
    with pytest.raises(SystemExit, match="checkpoint's model has de, found de, es, ru"):
        checkpoint_utils.load_model_ensemble(paths, task=task)


def test_gradients_of_a_split_model_train_every_copy(split):
    state = split.load()["model"]
    copies = [key for key in state if ".copies.1." in key and key.endswith("weight")]
    assert copies
    for key in copies:
        assert not torch.equal(state[key], state[key.replace(".copies.1.", ".copies.0.")]), key
