"""One more language of a Whisper: refused as a step of its own, and learned with the others."""

import re
import shutil
import sys

import pytest

from fairseq_gist.cli.main import main as gist
from tests.e2e.whisper.conftest import PREFIX

if sys.version_info < (3, 11):
    pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def without_russian(whisper_data, tmp_path_factory):
    """The same data, but two spoken languages."""
    out = tmp_path_factory.mktemp("two") / "data"
    shutil.copytree(whisper_data, out)
    for path in out.glob("*.tsv"):
        lines = path.read_text(encoding="utf-8").splitlines()
        left = [line for line in lines if "\tru\t" not in line]
        path.write_text("\n".join([*left, ""]), encoding="utf-8")
    return out


def test_it_is_refused_with_what_to_do(differentiated, whisper_data, tmp_path, capsys):
    command = ["add-language", str(differentiated.checkpoint), str(whisper_data), "--cpu"]
    out = tmp_path / "out.pt"
    assert gist([*command, "--language=it", "--like=es", "-o", str(out)]) == 1
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert re.search(
        r"is a gist_whisper, whose vocabulary comes with all languages that it will ever have; "
        r"train one that isn't differentiated, --whisper-path itself or a checkpoint, with data "
        r"that have 'it' among their languages$",
        told,
    ), told
    assert not out.exists()


@pytest.mark.slow
def test_a_shared_checkpoint_is_trained_with_more_languages(
    train, train_whisper, without_russian, model_options, tmp_path
):
    before = train(
        tmp_path / "two", str(without_russian), "--language-key=src", *model_options,
        "--max-tokens=600", "--max-update=1", model=[], replace_data=True, recipe_changes=PREFIX,
    )  # fmt: skip
    assert before.load()["cfg"]["model"].languages == "de,es"
    start = f"--finetune-from-model={before.checkpoint}"
    after = train_whisper(tmp_path / "three", start, "--max-update=1")
    assert after.load()["cfg"]["model"].languages == "de,es,ru"
