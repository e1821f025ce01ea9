"""Files in the place of others, and plans and languages of other models: one line, exit code 1."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from fairseq_gist.cli.main import main as gist
from fairseq_gist.host.checkpoints import read_checkpoint
from tests.regression.test_files import OURS


@pytest.fixture
def files(tmp_path):
    """Names of files -> paths; ``OUT`` isn't there."""
    (tmp_path / "empty.pt").touch()
    (tmp_path / "text.pt").write_text("no checkpoint", encoding="utf-8")
    (tmp_path / "cut.pt").write_bytes((OURS / "shared.pt").read_bytes()[:3000])
    plan = json.loads((OURS / "plans" / "gradient.json").read_text(encoding="utf-8"))
    del plan["signature"]
    plan["languages"] = ["de", "es"]
    plan["units"] = {
        unit: [kept for group in groups for kept in [[x for x in group if x != "ru"]] if kept]
        for unit, groups in plan["units"].items()
    }
    (tmp_path / "two.json").write_text(json.dumps(plan), encoding="utf-8")
    wrong = read_checkpoint(str(OURS / "shared.pt"))
    wrong["model"]["decoder.layers.0.fc1.weight"][0, 0] = float("nan")
    torch.save(wrong, tmp_path / "nan.pt")
    beside = tmp_path / "beside"
    shutil.copytree(OURS.parent / "data" / "one_to_many", beside)
    shutil.copy(OURS / "shared.pt", beside)
    soundfile.write(str(tmp_path / "sound.wav"), np.sin(np.arange(16000) / 9), 16000)
    own = {
        "NAN": "nan.pt",
        "BESIDE": "beside/shared.pt",
        "SOUND": "sound.wav",
        "EMPTY": "empty.pt",
        "TEXT": "text.pt",
        "CUT OFF": "cut.pt",
        "TWO": "two.json",
        "OUT": "out",
        "FOLDER": ".",
    }
    made = {
        "SHARED": "shared.pt",
        "DATA": "../data/one_to_many",
        "SPLIT": "differentiated.pt",
        "SPOKEN": "conformer_shared.pt",
        "STATISTICS": "whole.npz",
        "PLANS": "plans",
        "SCORES": "scores.json",
        "PLAN": "plans/gradient.json",
        "NEURONS": "plans/gdps.json",
    }
    return {
        **{name: str(tmp_path / file) for name, file in own.items()},
        **{name: str(OURS / file) for name, file in made.items()},
    }


RANDOM = ["plan", "random", "--checkpoint"]
ADD = ["add-language", "--language=fr", "--like=de", "--cpu"]
BEFORE = ["--data-before", "DATA"]
GRADIENT = ["plan", "gradient", "--statistics"]


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["show", "FOLDER"], "is a folder, expected a checkpoint, such as its cut.pt, empty.pt"),
        (["show", "PLANS"], "is a folder, expected a checkpoint\n"),
        (["show", "STATISTICS"], "is gradient statistics, which have no plan: 'fairseq-gist plan'"),
        (["show", "SCORES"], "expected a sharing plan, or a checkpoint, found scores"),
        (
            ["average", "SHARED", "NAN", "-o", "OUT"],
            "nan.pt: 'decoder.layers.0.fc1.weight' has",
        ),
        (
            ["export", "NAN", "--language=de", "-o", "OUT"],
            "no finite numbers; did its training",
        ),
        (["translate", "NAN", "SOUND", "--language=de"], "no finite numbers; did its training div"),
        (["translate", "FOLDER", "SOUND", "--language=de"], "found one without config.json"),
        (
            ["apply", "SHARED", "PLAN", "--language-key=pair", "-o", "OUT"],
            "such as en-de, found",
        ),
        (["apply", "SPOKEN", "PLAN", "--language-key=tgt", "-o", "OUT"], "key 'src', found 'tgt'"),
        ([*RANDOM, "SHARED", "--languages=de,deu", "-o", "OUT"], "'de' and 'deu' are one language"),
        (["export", "STATISTICS", "--language=de", "-o", "OUT"], "it is gradient statistics"),
        ([*ADD, "PLAN", "FOLDER", "-o", "OUT"], "it is a sharing plan"),
        ([*ADD, "SHARED", "TEXT", "-o", "OUT"], "config_st.yaml, which says its vocabulary, is "),
        ([*ADD, "SHARED", "TEXT", *BEFORE, "-o", "OUT"], "text.pt: expected the folder of the"),
        ([*ADD, "SHARED", "DATA", *BEFORE, "-o", "OUT"], "has no tag '<lang:fr>', but those of"),
        ([*ADD, "SHARED", "FOLDER", *BEFORE, "-o", "OUT"], "config_st.yaml: there is no file"),
        (["average", "PLAN", "-o", "OUT"], "it is a sharing plan"),
        (["show", "EMPTY"], "or a damaged one: the file is empty"),
        (["show", "TEXT"], "or a damaged one: it begins like no file that torch writes"),
        (["show", "CUT OFF"], "or a damaged one: its archive is cut off, or was changed"),
        (["apply", "SHARED", "PLANS", "-o", "OUT"], "plans: a folder, expected a file"),
        ([*GRADIENT, "PLANS", "-o", "OUT"], "plans: a folder, expected a file"),
        ([*GRADIENT, "OUT", "-o", "OUT"], "cannot read gradient statistics"),
        (["export", "SHARED", "--language=zz", "-o", "OUT"], "'zz' is no code of a language; "),
        (["export", "BESIDE", "--language=fr", "-o", "OUT"], "no language 'fr'; it has de, es, ru"),
        (["export", "SPLIT", "--language=zz", "-o", "OUT"], "no language 'zz'; it has de, es, ru"),
        (["export", "SPOKEN", "--language=fr", "-o", "OUT"], "no language 'fr'; it has de, es, ru"),
        (["apply", "SPOKEN", "TWO", "-o", "OUT"], "is for languages de, es, and the model of "),
        (["apply", "SPLIT", "TWO", "-o", "OUT"], "the plan lacks 'ru'"),
        (
            [*GRADIENT, "STATISTICS", "--within", "NEURONS", "-o", "OUT"],
            "which is no unit of the model (8 of 8); was the plan made for another architecture?",
        ),
        (
            [*RANDOM, "SHARED", "--languages=de,es,ru", "--within", "NEURONS", "-o", "OUT"],
            "which is no unit of the model (8 of 8); was the plan made for another architecture?",
        ),
        (
            [*RANDOM, "SPOKEN", "--units", "encoder.layers.*", "-o", "OUT"],
            r"; try 'encoder\.conformer_layers\..*'",
        ),
    ],
)
def test_what_is_wrong_is_told(files, capsys, command, message):
    assert gist([files.get(word, word) for word in command]) == 1
    told = capsys.readouterr().err
    assert message in told
    assert len(told.strip().splitlines()) == 1
    assert "Traceback" not in told
    assert not Path(files["OUT"]).exists()


def test_a_plan_by_another_name_is_shown(files, tmp_path, capsys):
    (tmp_path / "a plan").write_bytes((OURS / "plans" / "gradient.json").read_bytes())
    assert gist(["show", str(tmp_path / "a plan")]) == 0
    assert "units are split among de, es, ru" in capsys.readouterr().out


def test_the_model_of_every_language_is_called_so(files, caplog):
    with caplog.at_level("INFO"):
        assert gist(["export", files["SHARED"], "--language=fr", "-o", files["OUT"]]) == 0
    assert "was never split: its model is that of every language" in caplog.text
