"""One language's model as a folder of transformers, against the stock checkpoint of fairseq."""

import importlib.util
import json
import shutil

import numpy as np
import pytest
import torch
import yaml
from fairseq import checkpoint_utils
from fairseq.data.audio.feature_transforms.utterance_cmvn import UtteranceCMVN
from fairseq.sequence_generator import SequenceGenerator

from fairseq_gist.cli.main import main as gist
from fairseq_gist.host.checkpoints import read_checkpoint, with_task_settings
from fairseq_gist.sound.filterbank import filterbank
from tests.e2e.helpers import batch_of, build, is_copy, with_copies_apart
from tests.e2e.whisper.helpers import rows_of_language

LONGEST = 14
"""Symbols of a hypothesis, tag and end included."""

needs_transformers = pytest.mark.skipif(
    importlib.util.find_spec("transformers") is None, reason="transformers isn't installed here"
)


@pytest.fixture(scope="module")
def apart(differentiated, tmp_path_factory):
    """The run's checkpoint, whose sentences are made to differ from each other, and to end."""
    content = with_copies_apart(differentiated.checkpoint)
    for name, tensor in content["model"].items():
        if tensor.dim() > 1 and not is_copy(name):
            tensor.mul_(2)
    symbols = content["model"]["decoder.output_projection.weight"]
    symbols[2] = 1.2 * symbols[228]  # the end is like a symbol that is sometimes said
    path = tmp_path_factory.mktemp("apart") / "checkpoint.pt"
    torch.save(content, path)
    return str(path)


@pytest.fixture(scope="module")
def exported(apart, tmp_path_factory):
    """Both forms of the German model: the checkpoint, and the folder."""
    pytest.importorskip("transformers")
    out = tmp_path_factory.mktemp("exported")
    export = ["export", apart, "--language=de"]
    assert gist([*export, "-o", str(out / "de.pt")]) == 0
    assert gist([*export, "--format=huggingface", "-o", str(out / "de")]) == 0
    return out


@pytest.fixture(scope="module")
def rows(data):
    """All German rows of dev as a batch, and the dictionary."""
    task, _, _ = build(data)
    return rows_of_language(batch_of(task, 8), task.languages.index("de")), task.target_dictionary


@pytest.fixture(scope="module")
def models(exported):
    """The stock model and that of transformers."""
    from transformers import AutoModelForSpeechSeq2Seq

    (stock,), _ = checkpoint_utils.load_model_ensemble([str(exported / "de.pt")])
    theirs = AutoModelForSpeechSeq2Seq.from_pretrained(str(exported / "de"))
    assert type(theirs).__name__ == "Speech2TextForConditionalGeneration"
    return stock.eval(), theirs.eval()


def inputs_of(sample):
    features, lengths = sample["net_input"]["src_tokens"], sample["net_input"]["src_lengths"]
    mask = torch.arange(features.size(1))[None] < lengths[:, None]
    return {"input_features": features, "attention_mask": mask.long()}


def test_logits_are_those_of_the_stock_model(models, rows):
    stock, theirs = models
    sample, dictionary = rows
    inputs = {k: v for k, v in sample["net_input"].items() if not k.startswith(("lang", "utter"))}
    assert len(set(inputs["src_lengths"].tolist())) > 1, "padding should be there"
    with torch.no_grad():
        expected = stock(**inputs)[0]
        found = theirs(**inputs_of(sample), decoder_input_ids=inputs["prev_output_tokens"]).logits
    kept = inputs["prev_output_tokens"].ne(dictionary.pad())
    difference = (expected - found)[kept].abs().max().item() / expected[kept].abs().max().item()
    print(f"logits differ by {difference} (relative)")  # noqa: T201
    assert difference < 1e-5


@pytest.mark.parametrize("beam", [1, 4])
def test_hypotheses_are_those_of_fairseq(models, rows, beam):
    stock, theirs = models
    sample, dictionary = rows
    generator = SequenceGenerator(
        [stock], dictionary, beam_size=beam, max_len_b=LONGEST - 1, normalize_scores=False
    )
    inputs = {k: v for k, v in sample["net_input"].items() if k.startswith("src")}
    with torch.no_grad():
        ours = generator.generate(
            [stock], {"net_input": inputs}, prefix_tokens=sample["target"][:, :1]
        )
        settings = {} if beam == 1 else {"length_penalty": 0.0, "early_stopping": True}
        best = theirs.generate(
            **inputs_of(sample), num_beams=beam, max_length=LONGEST + 1, **settings
        )
    compared = 0
    for one, other in zip(ours, best.tolist()):
        said = one[0]["tokens"].tolist()
        if beam == 1:
            assert said[:-1] == other[1 : len(said)]
        if len(said) < LONGEST:
            assert said == [token for token in other[1:] if token != dictionary.pad()]
            compared += 1
    distinct = len({str(row[0]["tokens"].tolist()) for row in ours})
    print(f"{compared} hypotheses compared, {distinct} distinct")  # noqa: T201
    assert compared >= 3
    assert distinct >= 3


def test_the_processor_hears_and_writes_as_here(exported, data):
    from transformers import AutoProcessor

    processor = AutoProcessor.from_pretrained(str(exported / "de"))
    generator = np.random.default_rng(1)
    time = np.arange(20000) / 16000
    sound = generator.normal(size=len(time)) * (0.001 + 0.1 * np.sin(9 * time) ** 2)
    sound = sound.astype(np.float32)
    expected = UtteranceCMVN()(filterbank(sound))
    found = processor(sound, sampling_rate=16000, return_tensors="np").input_features[0]
    difference = np.abs(expected - found).max()
    print(f"features differ by {difference}, largest {np.abs(expected).max()}")  # noqa: T201
    assert expected.shape == found.shape
    assert difference < 2e-3
    task, _, _ = build(data)
    subwords = task.build_bpe(None)
    lines = (data / "dev_de.tsv").read_text(encoding="utf-8").splitlines()
    column = lines[0].split("\t").index("tgt_text")
    for text in [line.split("\t")[column] for line in lines[1:4]]:
        ids = task.target_dictionary.encode_line(
            subwords.encode(text), add_if_not_exist=False, append_eos=True
        ).tolist()
        assert processor.tokenizer(text).input_ids == ids
        tag = task.target_dictionary.index("<lang:de>")
        said = subwords.decode(task.target_dictionary.string(ids))
        assert said == text
        assert processor.tokenizer.decode([2, tag, *ids], skip_special_tokens=True) == said
        assert processor.tokenizer(f"<lang:de>{text}").input_ids == [tag, *ids]


def test_the_folder_says_what_belongs_to_it(exported, rows):
    _, dictionary = rows
    folder = exported / "de"
    assert {file.name for file in folder.iterdir()} >= {
        "README.md",
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "sentencepiece.bpe.model",
        "tokenizer_config.json",
        "vocab.json",
    }
    generation = json.loads((folder / "generation_config.json").read_text(encoding="utf-8"))
    assert generation["forced_bos_token_id"] == dictionary.index("<lang:de>")
    assert generation["suppress_tokens"] == [dictionary.pad()]
    assert (
        json.loads((folder / "config.json").read_text(encoding="utf-8"))["tie_word_embeddings"]
        is False
    )


@needs_transformers
def test_tied_weights_stay_tied(apart, rows, tmp_path):
    from transformers import Speech2TextForConditionalGeneration

    content = read_checkpoint(apart)
    content["cfg"]["model"] = settings_of(content, share_decoder_input_output_embed=True)
    state = content["model"]
    state["decoder.output_projection.weight"] = state["decoder.embed_tokens.weight"]
    torch.save(content, tmp_path / "tied.pt")
    out = tmp_path / "out"
    command = ["export", str(tmp_path / "tied.pt"), "--language=es", "--format=huggingface"]
    assert gist([*command, "-o", str(out)]) == 0
    model = Speech2TextForConditionalGeneration.from_pretrained(str(out)).eval()
    assert model.lm_head.weight is model.model.decoder.embed_tokens.weight
    _, dictionary = rows
    assert model.generation_config.forced_bos_token_id == dictionary.index("<lang:es>")


def settings_of(content, **changes):
    settings = content["cfg"]["model"]
    return {**(settings if isinstance(settings, dict) else vars(settings)), **changes}


CHANGES = {
    "global_cmvn": ({"stats_npz_path": "x.npz"}, "'global_cmvn', global CMVN"),
    "use_audio_input": (True, "'use_audio_input', sound without filterbanks"),
    "feature_transforms": ({"_eval": ["delta_deltas"]}, "the transform 'delta_deltas'"),
    "bpe_tokenizer": ({"bpe": "subword_nmt"}, "only those of sentencepiece"),
    "input_feat_per_channel": (40, "expected the 40 bins of"),
}


@needs_transformers
@pytest.mark.parametrize("change", CHANGES)
def test_data_that_it_does_not_know_are_refused(apart, data, tmp_path, capsys, change):
    folder = tmp_path / "data"
    folder.mkdir()
    for file in data.iterdir():
        if file.suffix in {".yaml", ".txt", ".model"}:
            shutil.copyfile(file, folder / file.name)
    value, told = CHANGES[change]
    config = folder / "config_st.yaml"
    said = yaml.safe_load(config.read_text(encoding="utf-8"))
    config.write_text(yaml.safe_dump({**said, change: value}), encoding="utf-8")
    refuse(["export", apart, "--language=de", f"--data={folder}"], tmp_path, capsys, told)


def refuse(command, tmp_path, capsys, told):
    out = tmp_path / "out"
    assert gist([*command, "--format=huggingface", "-o", str(out)]) == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("fairseq-gist export: error: ")
    assert told in error
    assert not out.exists()


SETTINGS = {
    "activation": ("activation_fn", "relu_squared", "--activation-fn relu, gelu"),
    "norms": ("encoder_normalize_before", False, "--encoder-normalize-before True only"),
    "positions": ("no_token_positional_embeddings", True, "found True"),
    "data": ("data", "/nowhere", "found '/nowhere', which isn't there: name it, with --data"),
}


@needs_transformers
@pytest.mark.parametrize("name", SETTINGS)
def test_a_model_that_it_cannot_be_is_refused(apart, tmp_path, capsys, name):
    setting, value, told = SETTINGS[name]
    content = read_checkpoint(apart)
    content["cfg"]["model"] = settings_of(content, **{setting: value})
    if name == "data":
        content = with_task_settings(content, data=value)
    path = tmp_path / "other.pt"
    torch.save(content, path)
    refuse(["export", str(path), "--language=de"], tmp_path, capsys, told)


@needs_transformers
def test_a_parameter_too_much_is_named(apart, tmp_path, capsys):
    content = read_checkpoint(apart)
    content["model"]["decoder.layernorm_embedding.weight"] = torch.ones(32)
    path = tmp_path / "other.pt"
    torch.save(content, path)
    told = "has no place for 'model.decoder.layernorm_embedding.weight'"
    refuse(["export", str(path), "--language=de"], tmp_path, capsys, told)


def test_without_transformers_it_says_so(apart, tmp_path, capsys, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "transformers" else find(name)
    )
    told = "--format huggingface needs transformers, which is not installed"
    refuse(["export", apart, "--language=de"], tmp_path, capsys, told)
