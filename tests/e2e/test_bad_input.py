"""What a user can get wrong: one clear line, exit code 1 or 2, nothing half written."""

import json
import logging
import shutil

import pytest
import torch

from fairseq_gist.cli.main import main as gist
from fairseq_gist.surgery.plan_buffer import plan_in_state

SPLIT = ["--differentiate-at=6", "--gradient-window=4", "--gradient-chunks=4", "--max-update=8"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--differentiate-at=0"], "--differentiate-at: 0 is before any gradient"),
        (["--differentiate-at=6,4"], "updates must rise, found '6,4'"),
        (["--differentiate-at=soon"], "expected numbers of updates, found 'soon'"),
        (["--size-budget=0.5"], "--size-budget: 0.5 is less than the fully shared model"),
        (["--size-budget=large"], "expected a multiple such as 2.5 or parameters"),
        (["--size-budget=1.5,2.0"], "expected one for all or 1, one for each"),
        (["--differentiate-by=magic"], "permuted, random, ranked, found 'magic'"),
        (["--gradient-chunks=2"], "at least 4 are needed to tell a gradient from noise"),
        (["--gradient-window=3"], "3 updates can't be divided into 4 chunks"),
        (["--units=encoder.nothing"], "matches none of the"),
        (["--units=("], "is no regular expression"),
        (["--store-ema"], "--store-ema: its shadow model can't follow a split"),
        (["--differentiate-at=2"], "2 updates between 0 and 2 don't make 4 chunks"),
        (["--gradients-from=nowhere"], "nowhere.tsv: no such file"),
        (["--languages=de,xx"], "--languages: 'xx' has no tag '<lang:xx>' in the vocabulary"),
        (["--save-gradient-statistics=/proc/none/s.npz"], "--save-gradient-statistics /proc/none"),
        (["--save-gradient-statistics=/dev/null"], "/dev/null is no ordinary file"),
        (["--homogeneous-batches", "--multiway-batches"], "exclude each other"),
        (["--max-target-tokens=9"], "--max-target-tokens is for --multiway-batches only"),
        (
            ["--multiway-batches", "--max-target-tokens=0"],
            "--max-target-tokens: expected 1 or more",
        ),
        (["--sharing-plan=missing.json"], "cannot read the sharing plan missing.json"),
        (["--arch=s2t_transformer_xs"], "can't be differentiated; use --arch gist_s2t"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_options_of_training(train, tmp_path, options, message):
    model = None
    if "--arch=s2t_transformer_xs" in options:
        model = [*options, "--encoder-layers=1", "--decoder-layers=1"]
        options = []
    with pytest.raises(SystemExit) as error:
        train(tmp_path / "run", *SPLIT, *options, model=model)
    line = str(error.value)
    assert message in line, line
    assert line.startswith("fairseq-gist: error: ")
    assert "\n" not in line
    assert not list(tmp_path.glob("**/*.pt"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"--criterion": "cross_entropy"},
            "--criterion cross_entropy would have the model learn what begins a target without "
            "being its choice; take gist_label_smoothed_cross_entropy with --ignore-prefix-size 1",
        ),
        (
            {"--ignore-prefix-size": "0"},
            "--ignore-prefix-size: every target begins with the tag of its language, which the "
            "model doesn't choose; expected 1, found 0",
        ),
    ],
)
def test_a_criterion_has_to_leave_the_tag_out(train, tmp_path, changes, message):
    unread = ["--label-smoothing", "--ignore-prefix-size"] if "--criterion" in changes else []
    extra = [f"{name}={value}" for name, value in changes.items()]
    with pytest.raises(SystemExit, match=f"^fairseq-gist: error: {message}$"):
        train(tmp_path / "run", "--max-update=2", *extra, drop=unread)


def test_differentiating_after_the_last_update_is_a_warning(train, tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        run = train(
            tmp_path, "--max-update=2", "--differentiate-at=50", "--gradient-chunks=4",
            "--gradient-window=4",
        )  # fmt: skip
    assert "--differentiate-at 50 is after the last update (--max-update 2)" in caplog.text
    assert plan_in_state(run.load()["model"]) is None


@pytest.fixture(scope="module")
def plan(differentiated):
    return json.loads(plan_in_state(differentiated.load()["model"]).to_json())


UNIT = "decoder.layers.0.self_attn.q_proj"


def _unknown_unit(plan):
    plan["units"]["decoder.layers.9.fc1"] = plan["units"][UNIT]


def _shallower(plan):
    """Make it one for a model that has no second layer in its decoder."""
    for unit in [one for one in plan["units"] if one.startswith("decoder.layers.1.")]:
        del plan["units"][unit]
        plan["shared_parameters"] -= plan["sizes"].pop(unit)


def _unknown_language(plan):
    plan["units"][UNIT] = [["de", "es", "fr", "it", "nl", "pt", "ro", "ru", "xx"]]


def _missing_language(plan):
    plan["units"][UNIT] = [["de", "es", "fr", "it", "nl", "pt", "ro"]]


def _twice(plan):
    plan["units"][UNIT] = [["de", "de", "es", "fr", "it", "nl", "pt", "ro", "ru"]]


def _other_languages(plan):
    plan["languages"] = ["de", "fr"]
    plan["units"] = {unit: [["de"], ["fr"]] for unit in plan["units"]}


def _deeper(plan):
    plan["units"].update(
        {u.replace("layers.1", "layers.2"): g for u, g in plan["units"].items() if ".1." in u}
    )


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_unknown_unit, "names 'decoder.layers.9.fc1', which is no unit of the model"),
        (_shallower, "doesn't say how 'decoder.layers.1."),
        (_unknown_language, f"unit '{UNIT}': unknown language 'xx'"),
        (_missing_language, f"unit '{UNIT}': no group has language 'ru'"),
        (_twice, f"unit '{UNIT}': language 'de' is listed twice"),
        (_other_languages, "the plan lacks 'es'"),
        (_deeper, "Was the plan made for another architecture?"),
    ],
)
def test_plans(train, tmp_path, plan, spoil, message, differentiated):
    spoiled = json.loads(json.dumps(plan))
    spoil(spoiled)
    file, out = tmp_path / "plan.json", tmp_path / "out.pt"
    file.write_text(json.dumps(spoiled), encoding="utf-8")
    with pytest.raises(SystemExit) as error:
        train(tmp_path / "run", "--max-update=1", f"--sharing-plan={file}")
    assert message in str(error.value), error.value
    assert gist(["apply", str(differentiated.checkpoint), str(file), "-o", str(out)]) == 1
    assert not out.exists()


def test_a_unit_listed_twice(train, tmp_path, plan):
    text = json.dumps(plan)
    double = text.replace(f'"{UNIT}":', f'"{UNIT}": [["de"]], "{UNIT}":', 1)
    double = text.replace('"units": {', f'"units": {{"{UNIT}": [["de"]], ', 1)
    file = tmp_path / "plan.json"
    file.write_text(double, encoding="utf-8")
    with pytest.raises(SystemExit, match=f"'{UNIT}' is listed twice"):
        train(tmp_path / "run", "--max-update=1", f"--sharing-plan={file}")


def _copy(data, tmp_path):
    folder = tmp_path / "data"
    shutil.copytree(data, folder)
    config = folder / "config_st.yaml"
    config.write_text(
        config.read_text(encoding="utf-8").replace(str(data), str(folder)), encoding="utf-8"
    )
    return folder


def _without_column(source, target, name="tgt_lang"):
    rows = [line.split("\t") for line in source.read_text(encoding="utf-8").splitlines()]
    column = rows[0].index(name)
    lines = ["\t".join(row[:column] + row[column + 1 :]) for row in rows]
    target.write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_a_manifest_whose_language_nothing_tells(train, tmp_path, data):
    folder = _copy(data, tmp_path)
    _without_column(folder / "train.tsv", folder / "train.tsv")
    with pytest.raises(SystemExit, match=r"train.tsv, line 2: the target language is in no column"):
        train(tmp_path / "run", str(folder), "--max-update=1", replace_data=True)


def test_manifests_of_fairseqs_own_preparation(train, tmp_path, data, caplog):
    folder = _copy(data, tmp_path)
    for language in ("de", "es"):
        for split in ("train", "dev"):
            source = folder / f"{split}_{language}.tsv"
            _without_column(source, folder / f"{split}_{language}_st.tsv")
    with caplog.at_level(logging.INFO):
        run = train(
            tmp_path / "run", str(folder), "--max-update=2", replace_data=True,
            recipe_changes={
                "--train-subset": "train_de_st,train_es_st",
                "--valid-subset": "dev_de_st,dev_es_st",
            },
        )  # fmt: skip
    assert run.checkpoint.is_file()
    said = [r.message for r in caplog.records if "from the subset's name" in r.message]
    assert len(said) == 4, said


def test_a_language_without_a_tag(train, tmp_path, data):
    folder = _copy(data, tmp_path)
    manifest = folder / "train.tsv"
    manifest.write_text(
        manifest.read_text(encoding="utf-8").replace("\ten\tde\n", "\ten\tsv\n"), encoding="utf-8"
    )
    with pytest.raises(SystemExit, match=r"language 'sv' has no tag '<lang:sv>'"):
        train(tmp_path / "run", str(folder), "--max-update=1", replace_data=True)


def test_statistics_for_other_units(differentiated, tmp_path, plan, capsys):
    other = dict(plan, units={"encoder.layers.0.fc1": [plan["languages"]]})
    within, out = tmp_path / "within.json", tmp_path / "plan.json"
    within.write_text(json.dumps(other), encoding="utf-8")
    statistics = str(differentiated.folder / "statistics.npz")
    decide = ["plan", "gradient", "--statistics", statistics, "-o", str(out)]
    assert gist([*decide, "--units", "encoder.*"]) == 1
    error = capsys.readouterr().err.strip()
    assert "the gradient statistics are for other units" in error
    assert len(error.splitlines()) == 1
    assert not out.exists()


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["show", "nothing.pt"], "there is no checkpoint nothing.pt"),
        (["show", "nothing.json"], "cannot read the sharing plan nothing.json"),
        (["export", "CHECKPOINT", "--language", "xx", "-o", "OUT"], "has no language 'xx'"),
        (["plan", "gradient", "--statistics", "no.npz", "-o", "OUT"], "gradient statistics no.npz"),
        (["record", "CHECKPOINT", "nowhere", "-o", "OUT"], "nowhere"),
        (["record", "CHECKPOINT", "DATA", "--subset", "none", "-o", "OUT"], "none"),
        (["average", "STATISTICS", "-o", "OUT"], "is no checkpoint that torch can read"),
        (["average", "NO MODEL", "-o", "OUT"], "it has no 'model' in it"),
        (["average", "CHECKPOINT", "-o", "DATA"], "that is a folder; name a file"),
        (["record", "CHECKPOINT", "DATA", "-o", "DATA"], "that is a folder; name a file"),
        (["export", "CHECKPOINT", "--language", "de", "-o", "DATA"], "that is a folder"),
        (["plan", "gradient", "--statistics", "STATISTICS", "-o", "DATA"], "that is a folder"),
        (["apply", "CHECKPOINT", "PLAN", "-o", "DATA"], "that is a folder; name a file"),
    ],
)
def test_commands(differentiated, data, tmp_path, capsys, command, message):
    names = {
        "CHECKPOINT": str(differentiated.checkpoint),
        "OUT": str(tmp_path / "out"),
        "DATA": str(data),
        "STATISTICS": str(differentiated.folder / "statistics.npz"),
        "NO MODEL": str(tmp_path / "none.pt"),
    }
    torch.save({"model": None}, names["NO MODEL"])
    try:
        code = gist([names.get(word, word) for word in command])
        error = capsys.readouterr().err
    except SystemExit as exit_:
        code, error = 1, str(exit_.code)
    assert code == 1
    assert message in error
    assert len(error.strip().splitlines()[-1:]) == 1
    assert "Traceback" not in error
    assert not (tmp_path / "out").exists()
