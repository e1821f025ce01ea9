"""The options that fairseq-train's own help doesn't show."""

import argparse

import pytest

pytest.importorskip("fairseq")

from fairseq.dataclass.utils import gen_parser_from_dataclass

from fairseq_gist.cli.main import main
from fairseq_gist.tasks.configuration import GistSpeechToTextConfig
from fairseq_gist.tasks.training_parser import training_parser

OF_FAIRSEQ = {"seed", "train_subset", "help"}


def test_every_option_of_the_task_is_there_once_with_its_help():
    whole = argparse.ArgumentParser()
    gen_parser_from_dataclass(whole, GistSpeechToTextConfig())
    expected = {action.dest: action.help for action in whole._actions}
    found = {action.dest: action.help for action in training_parser()._actions}
    assert expected.keys() - found.keys() <= OF_FAIRSEQ
    assert found.keys() - expected.keys() == {
        "adapter_dim", "checkpoint_activations", "language_embedding", "offload_activations",
    }  # fmt: skip
    assert all(found[name] == expected[name] for name in found.keys() & expected.keys())
    assert all(found.values())


def test_the_command_prints_them_in_groups(capsys):
    assert main(["options"]) == 0
    printed = capsys.readouterr().out
    for part in ("Differentiation and policies:\n", "\n  --size-budget ", "\nModels:\n"):
        assert part in printed
    assert "usage" not in printed
