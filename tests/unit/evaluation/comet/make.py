"""Make the files of this folder with the package unbabel-comet itself: see README.md.

    python make.py FOLDER

Written by unbabel-comet 2.2.7 with transformers 4, in an environment of its own.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
import yaml
from comet.models import RegressionMetric, load_from_checkpoint
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
from transformers import XLMRobertaConfig, XLMRobertaTokenizerFast

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
TEXTS = [
    # what was said, a translation, its reference
    ("Good morning, dear friends.", "Guten Morgen, liebe Freunde.", "Guten Morgen, liebe Freunde."),
    ("The train leaves at eight.", "Der Zug fährt um acht.", "Um acht Uhr fährt der Zug ab."),
    ("The train leaves at eight.", "", "Um acht Uhr fährt der Zug ab."),
    ("I don't know.", "Le chat dort.", "Ich weiß es nicht."),
    ("So " * 30 + "long.", "So " * 40 + "lang.", "Sehr " * 30 + "lang."),  # cut off
    ("東京 ☃", "Tokio ☃ im Schnee", "Tokyo im Schnee"),  # of unknown characters
]
KINDS = {
    "softmax": {"layer_transformation": "softmax", "layer_norm": True, "hidden_sizes": [6, 4]},
    "sparsemax": {"layer_transformation": "sparsemax", "layer_norm": False, "hidden_sizes": [8]},
    "patched": {
        "layer_transformation": "sparsemax",
        "layer_norm": False,
        "hidden_sizes": [6, 4],
        "final_activation": "Sigmoid",
    },
}


def write_encoder(folder: Path) -> None:
    """Write a tiny XLM-R without weights: what COMET takes from it are settings and subwords."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=120, special_tokens=SPECIAL, unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator([text for row in TEXTS for text in row[:5]], trainer)
    ends = [(one, tokenizer.token_to_id(one)) for one in ("<s>", "</s>")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=ends
    )
    XLMRobertaTokenizerFast(tokenizer_object=tokenizer).save_pretrained(folder)
    XLMRobertaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=8,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=12,
        max_position_embeddings=34,  # of which XLM-R uses all but two, and COMET all but four
        type_vocab_size=1,
        pad_token_id=1,
    ).save_pretrained(folder)


def write_model(folder: Path, encoder: Path, settings: dict, seed: int) -> None:
    """Write a random COMET as its own training does, with settings beside the checkpoint."""
    torch.manual_seed(seed)
    model = RegressionMetric(
        pretrained_model=str(encoder), load_pretrained_weights=False, pool="avg", **settings
    )
    for name, parameter in model.named_parameters():
        scale = 0.3 if name.startswith("encoder.") else 1.0
        torch.nn.init.normal_(parameter, mean=float("norm.weight" in name.lower()), std=scale)
    (folder / "checkpoints").mkdir(parents=True)
    hparams = {**model.hparams, "class_identifier": "regression_metric"}
    hparams["pretrained_model"] = "xlm-roberta-tiny"
    checkpoint = {
        "state_dict": model.state_dict(),
        "hyper_parameters": dict(hparams),
        "hparams_name": "kwargs",
        "pytorch-lightning_version": "2.0.0",
        "epoch": 1,
        "global_step": 10,
    }
    torch.save(checkpoint, folder / "checkpoints" / "model.ckpt")
    if folder.name == "patched":
        hparams["layer_transformation"] = "sparsemax_patch"
    (folder / "hparams.yaml").write_text(yaml.safe_dump(dict(hparams)), encoding="utf-8")


def scores_of(folder: Path, encoder: Path) -> list:
    """Return what the package gives for the texts."""
    checkpoint = folder / "checkpoints" / "model.ckpt"
    link = Path("xlm-roberta-tiny")
    link.symlink_to(encoder.resolve())
    try:
        model = load_from_checkpoint(str(checkpoint), local_files_only=True)
    finally:
        link.unlink()
    rows = [dict(zip(("src", "mt", "ref"), row)) for row in TEXTS]
    return model.predict(rows, gpus=0, progress_bar=False, num_workers=0).scores


def main() -> None:
    """Write everything."""
    folder = Path(sys.argv[1])
    encoder = folder / "encoder"
    write_encoder(encoder)
    found = {}
    for seed, (name, settings) in enumerate(KINDS.items()):
        write_model(folder / name, encoder, settings, seed)
        found[name] = scores_of(folder / name, encoder)
    content = {"texts": TEXTS, "scores": found}
    (folder / "expected.json").write_text(
        json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    main()
