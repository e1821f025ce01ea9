"""COMET without its package gives what the package gave."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from fairseq_gist.cli.main import main
from fairseq_gist.errors import GistError, OptionError
from fairseq_gist.evaluation import read_all_scores
from fairseq_gist.evaluation.metrics.base import Texts
from fairseq_gist.evaluation.metrics.comet import Comet, CometOptions
from tests.unit.translations import GOOD, ROWS, WORSE, write_manifest, write_output

HERE = Path(__file__).parent
ENCODER = HERE / "encoder"
EXPECTED = json.loads((HERE / "expected.json").read_text(encoding="utf-8"))
SOURCES, HYPOTHESES, REFERENCES = zip(*EXPECTED["texts"])


@pytest.fixture
def transformers():
    """On the classic stack there is none, nor can there be."""
    return pytest.importorskip("transformers")


def comet(path, encoder=ENCODER):
    return Comet(CometOptions(path=Path(path), encoder_path=encoder))


def measured(path, language="de", rows=slice(None)):
    texts = Texts(language, HYPOTHESES[rows], REFERENCES[rows], SOURCES[rows])
    return comet(HERE / path).measure(texts)


@pytest.mark.parametrize("kind", EXPECTED["scores"])
def test_scores_are_those_of_the_package(transformers, kind):
    found = measured(kind).statistics[:, 0]
    difference = abs(found - EXPECTED["scores"][kind]).max()
    print(kind, difference)  # noqa: T201
    assert difference < 2e-6
    assert found.std() > 0.01  # so that a wrong row would show


def test_a_row_has_its_score_whatever_is_beside_it(transformers):
    found = measured("softmax", rows=slice(2, 3)).statistics[0, 0]
    assert found == pytest.approx(EXPECTED["scores"]["softmax"][2], abs=2e-6)


def test_which_model_it_was_stands_in_the_signature(transformers):
    one, other = measured("softmax").signature, measured("patched").signature
    assert one.startswith("regression_metric|encoder:xlm-roberta-tiny|sha256:")
    assert one != other


def test_a_language_that_the_encoder_does_not_know_is_told(transformers, caplog):
    assert "unknown" not in measured("softmax", "deu").signature
    assert measured("softmax", "bem").signature.endswith("|unknown:bem")
    assert "was not trained on 'bem'" in caplog.text


def test_tables_and_scores_files_have_it(transformers, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_manifest(tmp_path / "data", "tst", ROWS)
    write_output(tmp_path / "good", "tst", dict(enumerate(GOOD)), GOOD)
    write_output(tmp_path / "worse", "tst", dict(enumerate(WORSE)), GOOD)
    options = ["--metrics", "bleu,comet", "--comet-path", str(HERE / "sparsemax")]
    options += ["--comet-encoder-path", str(ENCODER), "--bootstrap-samples", "50"]
    data = ["--data", "data", "--subset", "tst"]
    assert main(["score", "good=good", "worse=worse", *data, *options, "-o", "s.json"]) == 0
    first = capsys.readouterr().out
    assert "COMET" in first
    (good, worse) = read_all_scores(Path("s.json"))
    assert good.scores.of("comet")["average"] != worse.scores.of("comet")["average"]
    assert str(HERE) not in Path("s.json").read_text(encoding="utf-8")
    assert main(["score", "good=s.json", "worse=s.json", "--bootstrap-samples", "50"]) == 0
    assert capsys.readouterr().out == first


def changed(tmp_path, **changes):
    """Return a copy of a model whose settings have been changed."""
    import torch

    folder = shutil.copytree(HERE / "softmax", tmp_path / "model")
    path = folder / "checkpoints" / "model.ckpt"
    content = torch.load(str(path))
    content["hyper_parameters"].update(changes)
    torch.save(content, str(path))
    return folder


def test_without_what_was_said_it_cannot_be(transformers):
    with pytest.raises(OptionError, match="1 of 2 rows in 'de' have no src_text"):
        comet(HERE / "softmax").measure(Texts("de", ["a", "b"], ["a", "b"], ["A", " "]))


def test_what_is_missing_is_said_before_the_work(tmp_path, monkeypatch):
    with pytest.raises(OptionError, match="--comet-path: the metric 'comet' needs a folder"):
        Comet().check()
    with pytest.raises(OptionError, match="there is no such folder; expected the folder of a COM"):
        comet(tmp_path / "none").check()
    (tmp_path / "hparams.yaml").write_text("class_identifier: unified_metric\n", encoding="utf-8")
    with pytest.raises(OptionError, match="found 'unified_metric'"):
        comet(tmp_path).check()
    (tmp_path / "hparams.yaml").write_text(
        "class_identifier: regression_metric\n", encoding="utf-8"
    )
    with pytest.raises(OptionError, match="model.ckpt"):
        comet(tmp_path).check()
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(OptionError, match=r"pip install 'fairseq-gist\[comet\]'"):
        comet(HERE / "softmax").check()


def test_wrong_models_and_encoders_are_told(transformers, tmp_path):
    with pytest.raises(OptionError, match="'xlm-roberta-tiny', which is not in the cache of Hug"):
        comet(HERE / "softmax", None).check()
    with pytest.raises(OptionError, match="no config.json there; name a folder with config.json"):
        comet(HERE / "softmax", tmp_path).check()
    with pytest.raises(OptionError, match="its pool is 'max'; what can be computed here is avg"):
        comet(changed(tmp_path, pool="max")).check()
    small = shutil.copytree(ENCODER, tmp_path / "small")
    settings = json.loads((small / "config.json").read_text(encoding="utf-8"))
    (small / "config.json").write_text(json.dumps({**settings, "hidden_size": 4}), encoding="utf-8")
    with pytest.raises(GistError, match="its parameters don't fit its settings and the XLM-R of"):
        comet(HERE / "softmax", small).check()
    cut = shutil.copytree(HERE / "softmax", tmp_path / "cut")
    (cut / "checkpoints" / "model.ckpt").write_bytes(b"PK\x03\x04")
    with pytest.raises(GistError, match=r"model.ckpt is no checkpoint that torch can read, or"):
        comet(cut).check()
