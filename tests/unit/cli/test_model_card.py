"""The card beside an exported model."""

import shutil
from argparse import Namespace

import pytest
import yaml

from fairseq_gist.architectures.exporting import Export
from fairseq_gist.cli.main import main
from fairseq_gist.cli.model_card import write_card
from fairseq_gist.evaluation.scores import CorpusScores, Scored
from fairseq_gist.evaluation.scores_file import read_all_scores, write_scores
from fairseq_gist.files.outputs import CARD, CHANGED_CARD, kind_of
from fairseq_gist.host.checkpoints import read_checkpoint
from fairseq_gist.surgery.plan_buffer import plan_in_state
from fairseq_gist.surgery.state import parameters_in_state
from tests.regression.test_files import OURS

TO_FILL_IN = "**To be filled in:**"


def export(folder, *more):
    shutil.copyfile(OURS / "differentiated.pt", folder / "differentiated.pt")
    command = ["export", str(folder / "differentiated.pt"), "--language=de"]
    return main([*command, "-o", str(folder / "german.pt"), *more])


def front_of(text):
    return yaml.safe_load(text.split("---\n")[1])


def test_it_says_what_is_known_and_asks_for_the_rest(tmp_path):
    assert export(tmp_path) == 0
    text = (tmp_path / "german.md").read_text(encoding="utf-8")
    assert front_of(text)["language"] == ["de"]
    assert "license" not in front_of(text)
    state = read_checkpoint(str(tmp_path / "german.pt"))["model"]
    whole = read_checkpoint(str(OURS / "differentiated.pt"))["model"]
    plan = plan_in_state(whole)
    split = sum(len(groups) > 1 for groups in plan.units.values())
    assert f"| parameters | {parameters_in_state(state):,} |" in text
    assert (
        f"with {parameters_in_state(whole):,} parameters. {split} of its {len(plan.units)}" in text
    )
    assert "| architecture | s2t_transformer_xs |" in text
    assert text.count(TO_FILL_IN) == 3
    assert str(tmp_path) not in text


def test_scores_are_those_of_the_language(tmp_path):
    scores = OURS / "scores.json"
    assert export(tmp_path, f"--scores={scores}") == 0
    text = (tmp_path / "german.md").read_text(encoding="utf-8")
    (run,) = read_all_scores(scores)
    for scored in run.scores.by_metric.values():
        row = f"| {run.name} | {run.subset} | {scored.metric.title} | {scored.scores['de']:.2f} |"
        assert row in text.splitlines()
    assert text.count(TO_FILL_IN) == 2


def test_scores_without_the_language_are_told(tmp_path, capsys):
    (run,) = read_all_scores(OURS / "scores.json")
    spanish = {
        name: Scored.of(own.metric, own.signature, {"es": own.statistics["es"]})
        for name, own in run.scores.by_metric.items()
    }
    kept = CorpusScores({"es": run.scores.sentences["es"]}, spanish)
    write_scores(tmp_path / "scores.json", [run._replace(scores=kept)])
    assert export(tmp_path, f"--scores={tmp_path / 'scores.json'}") == 1
    assert "expected scores of 'de', found none" in capsys.readouterr().err
    assert not (tmp_path / "german.pt").exists()


def test_what_somebody_has_filled_in_is_kept(tmp_path, capsys):
    assert export(tmp_path) == 0
    card = tmp_path / "german.md"
    assert kind_of(card) == CARD
    assert export(tmp_path) == 0
    filled = card.read_text(encoding="utf-8").replace(TO_FILL_IN, "MIT")
    card.write_text(filled, encoding="utf-8")
    assert kind_of(card) == CHANGED_CARD
    (tmp_path / "german.pt").unlink()
    assert export(tmp_path) == 1
    assert "german.md: that is a model card that was changed by hand" in capsys.readouterr().err
    assert card.read_text(encoding="utf-8") == filled
    assert not (tmp_path / "german.pt").exists()
    assert export(tmp_path, "--force") == 0
    assert kind_of(card) == CARD


def test_a_text_of_ones_own_is_no_card(tmp_path, capsys):
    for text in ("my notes", "---\nlanguage: de\n---\n# mine\n"):
        (tmp_path / "german.md").write_text(text, encoding="utf-8")
        assert export(tmp_path) == 1
        assert "that is another file, and would become a model card" in capsys.readouterr().err
        assert (tmp_path / "german.md").read_text(encoding="utf-8") == text
        assert not (tmp_path / "german.pt").exists()


@pytest.mark.parametrize(
    ("language", "key", "codes"),
    [("no", "tgt", ["no"]), ("de", "src", ["de"]), ("de-en", "pair", ["de", "en"])],
)
def test_languages_are_words_to_whoever_reads_yaml(language, key, codes):
    one = Export(
        language=language,
        state={},
        content={"model": {}},
        settings=Namespace(language_key=key, arch="gist_s2t_transformer_s"),
        options=None,
        output="out.pt",
        checkpoint="in.pt",
    )
    text = write_card(one, "fairseq", None, [])
    assert front_of(text)["language"] == codes
    assert "never split" in text
