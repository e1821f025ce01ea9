"""What the commands need to know of a SeamlessM4T, and say where they don't."""

import sys

import pytest
import torch

from fairseq_gist.cli.main import main as gist
from fairseq_gist.host.checkpoints import read_checkpoint
from fairseq_gist.sharing.plan import SharingPlan
from tests.e2e.helpers import build

if sys.version_info < (3, 11):
    pytest.importorskip("transformers")


def test_a_plan_is_made_from_the_folder_alone(folder, tmp_path, capsys):
    out = tmp_path / "plan.json"
    command = ["plan", "cross-attention", "--arch=seamless_m4t", "--languages=de,es"]
    command += [f"--seamless-path={folder}", "-o", str(out)]
    assert gist([*command, "--dict-size=90"]) == 1
    assert "--dict-size: the vocabulary is that of --seamless-path" in capsys.readouterr().err
    assert gist(command) == 0, capsys.readouterr().err
    plan = SharingPlan.load(out)
    assert len(plan.units["decoder.layers.0.cross_attention.q_proj"]) == 1
    assert len(plan.units["decoder.layers.0.ffn.fc1"]) == 2


def test_a_checkpoint_that_does_not_say_its_folder(differentiated, folder, tmp_path, capsys):
    content = read_checkpoint(str(differentiated.checkpoint))
    del content["cfg"]["model"].seamless_path
    silent, out = tmp_path / "silent.pt", tmp_path / "out"
    torch.save(content, silent)
    export = ["export", str(silent), "--language=de", "-o", str(out)]
    assert gist(export) == 1
    found = capsys.readouterr().err
    assert f"{silent} doesn't say from which folder its model was trained: name it, with" in found
    assert gist([*export, f"--seamless-path={folder}"]) == 0, capsys.readouterr().err
    assert (out / "model.safetensors").is_file()


def test_settings_of_a_checkpoint_build_it_again(differentiated, seamless_data, model_options):
    """Which has options that models of before didn't have."""
    settings = read_checkpoint(str(differentiated.checkpoint))["cfg"]["model"]
    for name in ("adapter_dim", "checkpoint_activations", "offload_activations"):
        vars(settings).pop(name, None)
    task, _, _ = build(seamless_data, "--language-key=src", model=model_options)
    assert task.build_model(settings, from_checkpoint=True).routing.languages == ("de", "es", "ru")
