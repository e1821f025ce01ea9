"""Checkpoints that are damaged at random: each command ends in one line, or has no problem."""

import random
from argparse import Namespace

import numpy as np
import pytest
import soundfile
import torch

from fairseq_gist.cli.main import main
from fairseq_gist.host.checkpoints import read_checkpoint
from fairseq_gist.surgery.plan_buffer import PLAN_KEY, encode_plan, plan_in_state
from tests.regression.grown import grown
from tests.regression.test_files import OURS
from tests.unit.fuzzing import ODD

COMMANDS = {
    "show": ["show", "FILE"],
    "average": ["average", "FILE", "WHOLE", "-o", "OUT"],
    "export": ["export", "FILE", "--language=de", "-o", "OUT"],
    "apply": ["apply", "FILE", "PLAN", "-o", "OUT"],
    "add-language": [
        "add-language", "FILE", "GROWN", "--data-before=DATA", "--language=fr", "--like=de",
        "--own-copies", "--cpu", "-o", "OUT",
    ],
    "translate": ["translate", "FILE", "SOUND", "--language=de", "--data=DATA", "--cpu"],
    "plan": ["plan", "random", "--checkpoint=FILE", "--size-budget=1.5", "-o", "OUT"],
}  # fmt: skip
TENSORS = [
    torch.zeros(()),
    torch.zeros(0),
    torch.zeros(3, 0),
    torch.full((7,), float("nan")),
    torch.zeros(2, dtype=torch.complex64),
    torch.zeros(4, 4).to_sparse(),
    torch.zeros(1).expand(10**9),
    torch.zeros(3, dtype=torch.int8),
    torch.zeros(2, 3, 4, 5),
    torch.full((9,), -(2**62)),
]


@pytest.fixture(scope="module")
def whole():
    return read_checkpoint(str(OURS / "differentiated.pt"))


def spoiled(content, source):
    """Return a checkpoint with a few entries replaced, renamed or dropped."""
    content = {**content, "model": dict(content["model"]), "cfg": dict(content["cfg"])}
    for _ in range(source.randint(1, 2)):
        part = source.choice(["model", "model", "model", "cfg", "settings", "plan", "top"])
        if part == "settings" and isinstance(content["cfg"], dict):
            settings = vars(content["cfg"]["model"]).copy()
            settings[source.choice(sorted(settings))] = source.choice(ODD)
            content["cfg"]["model"] = type(content["cfg"]["model"])(**settings)
        elif part == "cfg" and isinstance(content["cfg"], dict):
            content["cfg"][source.choice(["model", "task", "x"])] = source.choice(ODD)
        elif part == "plan" and isinstance(content["model"], dict):
            plan = content["model"].get("gist_plan", torch.zeros(9, dtype=torch.long)).clone()
            plan[source.randrange(len(plan))] = source.randrange(-300, 300)
            content["model"]["gist_plan"] = plan
        elif part == "top":
            content[source.choice(["model", "cfg", "args", "extra_state"])] = source.choice(ODD)
        elif isinstance(content["model"], dict) and content["model"]:
            key = source.choice(list(content["model"]))
            way = source.randrange(3)
            old = content["model"].pop(key)
            if way == 0:
                content["model"][key] = source.choice([*TENSORS, *ODD])
            elif way == 1:
                content["model"][f"{key}.copies.0.weight"] = old
    return content


@pytest.mark.parametrize("command", COMMANDS)
def test_a_damaged_checkpoint_is_one_line(whole, tmp_path, capsys, command):
    source, refused = random.Random(7), 0
    places = {
        "FILE": tmp_path / "file.pt",
        "WHOLE": OURS / "differentiated.pt",
        "PLAN": OURS / "plans" / "further.json",
        "OUT": tmp_path / "out",
        "SOUND": tmp_path / "sound.wav",
        "DATA": OURS.parent / "data" / "one_to_many",
    }
    places["GROWN"] = grown(places["DATA"], tmp_path / "grown", "fr", like="es")
    soundfile.write(str(places["SOUND"]), np.zeros(8000), 16000)
    words = COMMANDS[command]
    for word, place in places.items():
        words = [one.replace(word, str(place)) for one in words]
    for _ in range({"apply": 15, "plan": 15, "translate": 6, "add-language": 15}.get(command, 25)):
        torch.save(spoiled(whole, source), places["FILE"])
        status = main(words)
        error = capsys.readouterr().err
        if status:
            refused += 1
            told = error.strip().splitlines()[-1]
            assert told.startswith(f"fairseq-gist {command}: error: "), error
            assert told.isprintable(), told
            assert len(told) < 1100, told
            assert "Traceback" not in error
            assert not places["OUT"].exists()
        places["OUT"].unlink(missing_ok=True)
    assert refused > 5


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("encoder_layers", "x\ny"),
        ("encoder_embed_dim", 10**30),
        ("conv_kernel_sizes", {"a": 1}),
        ("activation_fn", 7),
        ("arch", ["s2t_transformer"]),
        ("_name", {"a": 1}),
        ("language_key", {"a": 1}),
        ("languages", 3),
    ],
)
def test_a_damaged_setting_is_one_line_or_no_problem(whole, tmp_path, capsys, name, value):
    settings = {**vars(whole["cfg"]["model"]), name: value}
    cfg = {**whole["cfg"], "model": Namespace(**settings)}
    torch.save({**whole, "cfg": cfg}, tmp_path / "file.pt")
    plan = str(OURS / "plans" / "further.json")
    for words in (["apply", "FILE", plan], ["export", "FILE", "--language=de"]):
        words = [one.replace("FILE", str(tmp_path / "file.pt")) for one in words]
        if main([*words, "-o", str(tmp_path / "out.pt")]):
            told = capsys.readouterr().err.strip().splitlines()[-1]
            assert told.startswith(f"fairseq-gist {words[0]}: error: "), told
            assert "file.pt" in told
            assert told.isprintable()


@pytest.mark.parametrize("command", ["export", "apply", "add-language"])
def test_a_plan_inside_that_names_no_unit_of_the_model_is_one_line(
    whole, tmp_path, capsys, command
):
    """Also where fairseq, which loads the checkpoint, lets nothing but an exit through."""
    plan = plan_in_state(whole["model"])
    units = {name.replace(".v_proj", "_v_proj"): groups for name, groups in plan.units.items()}
    state = {**whole["model"], PLAN_KEY: encode_plan(plan.replaced(units=units, sizes={}))}
    torch.save({**whole, "model": state}, tmp_path / "file.pt")
    data = OURS.parent / "data" / "one_to_many"
    words = {
        "export": ["--language=de"],
        "apply": [str(OURS / "plans" / "further.json")],
        "add-language": [
            str(grown(data, tmp_path / "grown", "fr", like="es")), f"--data-before={data}",
            "--language=fr", "--like=de", "--cpu",
        ],
    }  # fmt: skip
    out = tmp_path / "out.pt"
    assert main([command, str(tmp_path / "file.pt"), *words[command], "-o", str(out)]) == 1
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert told.startswith(f"fairseq-gist {command}: error: "), told
    assert "_v_proj" in told
    assert not out.exists()
