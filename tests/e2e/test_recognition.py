"""An encoder pre-trained on recognition data by stock fairseq starts a translation model."""

import pytest
import torch
from fairseq import checkpoint_utils, options
from fairseq.dataclass.utils import convert_namespace_to_omegaconf
from fairseq_cli import train as fairseq_train

from fairseq_gist.architectures import recognise
from fairseq_gist.cli.main import main as gist


def stock(data, folder, *extra):
    """Run stock fairseq-train."""
    arguments = [
        str(data),
        "--task=speech_to_text",
        "--max-tokens=4000",
        "--optimizer=adam",
        "--lr=2e-3",
        "--seed=1",
        "--cpu",
        "--max-update=2",
        "--no-epoch-checkpoints",
        "--criterion=label_smoothed_cross_entropy",
        f"--save-dir={folder}",
        *extra,
    ]
    parser = options.get_training_parser()
    cfg = convert_namespace_to_omegaconf(options.parse_args_and_arch(parser, arguments))
    fairseq_train.main(cfg)
    return checkpoint_utils.load_checkpoint_to_cpu(str(folder / "checkpoint_last.pt"))


# of the real name and depth, but narrow
MEDIUM = [
    "--arch=s2t_transformer_m",
    "--encoder-embed-dim=16",
    "--decoder-embed-dim=16",
    "--encoder-ffn-embed-dim=16",
    "--decoder-ffn-embed-dim=16",
    "--encoder-attention-heads=4",
    "--decoder-attention-heads=4",
    "--conv-channels=16",
]


def encoder(state):
    return {key: value for key, value in state.items() if key.startswith("encoder.")}


@pytest.mark.slow
def test_stock_fairseq_trains_on_it_and_both_archs_take_its_encoder(data, train, tmp_path):
    out = tmp_path / "data"
    arguments = ["--out", str(out), "--vocab-size", "300", "--asr", "--asr-vocab-size", "80"]
    assert gist(["prepare", str(data.parent), *arguments, "--workers", "1"]) == 0
    recognizer = stock(
        out,
        tmp_path / "asr",
        *MEDIUM,
        "--config-yaml=config_asr.yaml",
        "--train-subset=train_asr",
        "--valid-subset=dev_asr",
    )
    assert recognizer["model"]["decoder.embed_tokens.weight"].shape == (80, 16)
    wanted = encoder(recognizer["model"])
    assert "encoder.transformer_layers.11.fc1.weight" in wanted
    initialised = [
        "--lr=0",
        "--weight-decay=0",
        f"--load-pretrained-encoder-from={tmp_path / 'asr' / 'checkpoint_last.pt'}",
        "--config-yaml=config_st.yaml",
    ]
    theirs = stock(
        out,
        tmp_path / "stock",
        *MEDIUM,
        *initialised,
        "--train-subset=train_de",
        "--valid-subset=dev_de,dev_ru",
        "--ignore-prefix-size=1",
    )
    ours = train(
        tmp_path / "ours",
        str(out),
        "--max-update=1",
        *initialised,
        model=["--arch=gist_s2t_transformer_m", *MEDIUM[1:]],
        replace_data=True,
    ).load()
    own = recognise(wanted)
    for state in (theirs["model"], ours["model"]):
        found = encoder(state)
        assert set(found) == set(wanted)
        for key, tensor in wanted.items():
            if not (own.is_unused(key) or key.endswith("_float_tensor")):
                assert torch.equal(found[key], tensor), key
