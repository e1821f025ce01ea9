"""Language embeddings: a vector for each language before the first layer."""

import pytest
import torch

from fairseq_gist.architectures import recognise
from fairseq_gist.cli.main import main as gist
from fairseq_gist.host.checkpoints import read_checkpoint
from fairseq_gist.nn.language_embedding import LanguageEmbedding
from fairseq_gist.surgery.plan_buffer import plan_in_state, plan_of
from fairseq_gist.surgery.state import parameters_in_state
from fairseq_gist.surgery.units import count_parameters
from tests.e2e.conftest import assert_same_tensors
from tests.e2e.helpers import batch_of, build, rows_of, translate
from tests.e2e.test_conformer import CONFORMER
from tests.e2e.test_gradients import compare_with_oracle

WIDTH, LANGUAGES = 32, 8
BOTH = "--language-embedding=encoder,decoder"
UNITS = r".+\.language_embedding"


def output(model, sample):
    with torch.no_grad():
        return model.eval()(**sample["net_input"])[0]


def disturbed(model):
    torch.manual_seed(3)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, LanguageEmbedding):
                module.weight.add_(0.3 * torch.randn_like(module.weight))
    return model


def built(data, *options, model=None):
    """Build a model as training does, every language with a vector of its own."""
    task, found, criterion = build(data, *options, model=model)
    return task, found.eval(), criterion


@pytest.mark.parametrize("model", [None, CONFORMER], ids=["transformer", "conformer"])
@pytest.mark.parametrize("where", ["encoder", "decoder", "encoder,decoder"])
def test_a_fresh_one_changes_nothing_and_is_all_that_is_split(data, where, model):
    task, plain, _ = built(data, model=model)
    _, embedded, _ = built(data, f"--language-embedding={where}", model=model)
    embedded.load_state_dict(plain.state_dict(), strict=True)
    sample = batch_of(task, utterances=4)
    difference = (output(embedded, sample) - output(plain, sample)).abs().max().item()
    assert difference <= (1e-5 if "encoder" in where else 0.0), f"largest difference {difference}"
    stacks = where.split(",")
    more = count_parameters(embedded) - count_parameters(plain)
    assert more == LANGUAGES * WIDTH * len(stacks)
    split = {unit: groups for unit, groups in plan_of(embedded).units.items() if len(groups) > 1}
    assert sorted(unit.partition(".")[0] for unit in split) == sorted(stacks)
    assert all(len(groups) == LANGUAGES for groups in split.values())


@pytest.mark.parametrize("model", [None, CONFORMER], ids=["transformer", "conformer"])
def test_gradients_and_mixed_batches(data, model):
    task, embedded, criterion = built(data, BOTH, model=model)
    sample = batch_of(task, utterances=4)
    worst = compare_with_oracle(task, disturbed(embedded), criterion, sample, UNITS)
    assert worst < 1e-5, f"largest relative difference {worst}"
    mixed, ids = output(embedded, sample), sample["net_input"]["lang_ids"]
    for language in range(len(task.languages)):
        rows = (ids == language).nonzero().flatten()
        alone = output(embedded, rows_of(sample, rows, task.target_dictionary.pad()))[: len(rows)]
        difference = (mixed[rows][:, : alone.size(1)] - alone).abs().max().item()
        assert difference < 1e-5, f"{task.languages[language]}: {difference}"


def test_an_utterance_is_encoded_for_every_language(data):
    """Its first layer reads other numbers for each."""
    task, embedded, _ = built(data, BOTH, "--multiway-batches")
    sample = batch_of(task, 3, subset="multiway", multiway=True)
    once = output(disturbed(embedded), sample)
    repeated = dict(sample["net_input"])
    of = repeated.pop("utterances")
    repeated["src_tokens"] = repeated["src_tokens"][of]
    repeated["src_lengths"] = repeated["src_lengths"][of]
    difference = (output(embedded, {"net_input": repeated}) - once).abs().max().item()
    assert difference < 1e-5, f"largest difference of logits {difference}"


def test_it_trains_alone_resumes_averages_and_translates(train, tmp_path, data, capsys):
    start = train(tmp_path / "start", "--max-update=3")
    options = [f"--finetune-from-model={start.checkpoint}", BOTH,
               "--train-only=language-embeddings"]  # fmt: skip
    whole = train(tmp_path / "whole", "--max-update=5", *options)
    first = train(tmp_path / "parts", "--max-update=3", *options)
    second = train(tmp_path / "parts", "--max-update=5", *options)
    assert first.steps + second.steps == whole.steps
    state = whole.load()["model"]
    assert_same_tensors(state, second.load()["model"])
    before = start.load()["model"]
    vectors = {key: tensor for key, tensor in state.items() if ".language_embedding." in key}
    assert len(vectors) == 2 * LANGUAGES
    assert all(tensor.any() for tensor in vectors.values())
    own = filter(recognise(before).is_parameter, before)  # fairseq 0.12.2 has more than these
    assert all(torch.equal(before[key], state[key]) for key in own)
    assert plan_in_state(state).is_default
    last = str(whole.checkpoint)
    assert gist(["average", last, last, "-o", str(tmp_path / "average.pt")]) == 0
    assert_same_tensors(read_checkpoint(str(tmp_path / "average.pt"))["model"], state)
    task, model, _ = built(data, BOTH)
    model.load_state_dict(state, strict=True)
    assert count_parameters(model) == parameters_in_state(state)
    assert all(translate(task, model, batch_of(task, 2, subset="tst-COMMON")))
    assert gist(["export", last, "--language=de", "-o", str(tmp_path / "de.pt")]) == 1
    assert "the checkpoint has language embeddings, which a stock model" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="language embeddings in its decoder and encoder, the mod"):
        train(tmp_path / "none", "--max-update=1", f"--finetune-from-model={last}")


def test_it_stands_beside_a_split_and_adapters(train, tmp_path):
    run = train(tmp_path / "run", "--max-update=6", BOTH, "--adapter-dim=4", "--differentiate-at=4",
                "--gradient-window=4", "--gradient-chunks=4", "--size-budget=1.3")  # fmt: skip
    plan = plan_in_state(run.load()["model"])
    split = {unit for unit, groups in plan.units.items() if len(groups) > 1}
    assert any("fc" in unit or "proj" in unit for unit in split)
    apart = {unit for unit in split if "language_embedding" in unit or ".adapter." in unit}
    assert len([unit for unit in apart if "language_embedding" in unit]) == 2
    assert len(apart) > 2


@pytest.mark.parametrize("where", ["encode", "encoder decoder", "encoder,"])
def test_what_is_no_stack(train, tmp_path, where):
    with pytest.raises(SystemExit, match="--language-embedding: expected encoder, decoder or both"):
        train(tmp_path / "run", "--max-update=1", f"--language-embedding={where}")
