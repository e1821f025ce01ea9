"""The models and batches that are measured: stock fairseq and this plugin at one shape."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional

import torch
from fairseq import options
from fairseq.dataclass.utils import convert_namespace_to_omegaconf
from fairseq.tasks import setup_task

from fairseq_gist.sharing.low_rank import low_rank_units
from fairseq_gist.sharing.plan import SharingPlan
from fairseq_gist.surgery.apply import apply_plan
from fairseq_gist.surgery.shape import shape_of
from fairseq_gist.surgery.units import find_units, select_units
from fairseq_gist.tasks.registration import register

__all__ = [
    "LANGUAGES",
    "Setup",
    "backward",
    "batch",
    "build",
    "of_language",
    "one_row_each",
    "split",
]

LANGUAGES = ("de", "es", "fr", "it", "nl", "pt", "ro", "ru")
SYMBOLS = 10_000
"""Size of the target vocabulary: that of the papers' MuST-C models."""

Sample = Dict[str, Any]


class Setup(NamedTuple):
    """A task with a model and a criterion of it."""

    task: Any
    model: Any
    criterion: Any


def build(gist: bool, *extra: str, arch: str = "s2t_transformer_m") -> Setup:
    """Build ``arch`` as ``fairseq-train`` would; all models of one shape have equal parameters.

    Args:
        gist: with the plugin's task, model and criterion, instead of stock fairseq's.
        extra: further options.
        arch: name of the stock architecture.
    """
    logging.disable(logging.INFO)
    register()
    with tempfile.TemporaryDirectory() as folder:
        _write_data(Path(folder))
        prefix = "gist_" if gist else ""
        arguments = [
            folder,
            *("--config-yaml", "config_st.yaml"),
            *("--task", "gist_speech_to_text" if gist else "speech_to_text"),
            *("--arch", f"{prefix}{arch}"),
            *("--criterion", f"{prefix}label_smoothed_cross_entropy"),
            *("--label-smoothing", "0.1", "--ignore-prefix-size", "1"),
            *("--train-subset", "train", "--cpu", "--dropout", "0.1"),
            *extra,
        ]
        parser = options.get_training_parser()
        cfg = convert_namespace_to_omegaconf(options.parse_args_and_arch(parser, arguments))
        task = setup_task(cfg.task)
        torch.manual_seed(1)
        return Setup(task, task.build_model(cfg.model), task.build_criterion(cfg.criterion))


def _write_data(folder: Path) -> None:
    tags = [f"<lang:{language}>" for language in LANGUAGES]
    words = [f"w{index}" for index in range(SYMBOLS - 4 - len(tags))]
    lines = "".join(f"{symbol} 1\n" for symbol in [*words, *tags])
    (folder / "spm.txt").write_text(lines, encoding="utf-8")
    (folder / "config_st.yaml").write_text(
        "vocab_filename: spm.txt\ninput_feat_per_channel: 80\nprepend_tgt_lang_tag: true\n",
        encoding="utf-8",
    )


def batch(
    setup: Setup,
    utterances: int,
    frames: int = 600,
    tokens: int = 25,
    languages: Optional[List[int]] = None,
) -> Sample:
    """Return a multi-way batch: random audio, each utterance in each language.

    Args:
        setup: whose vocabulary is used.
        utterances: how many.
        frames: of each.
        tokens: of each target, its language tag among them.
        languages: which ones; default all.
    """
    dictionary = setup.task.target_dictionary
    source = torch.Generator().manual_seed(1)
    own = list(range(len(LANGUAGES))) if languages is None else languages
    rows = utterances * len(own)
    ids = torch.tensor(own * utterances)
    words = torch.randint(4, SYMBOLS - len(LANGUAGES), (rows, tokens), generator=source)
    words[:, 0] = torch.tensor([dictionary.index(f"<lang:{one}>") for one in LANGUAGES])[ids]
    words[:, -1] = dictionary.eos()
    return {
        "id": torch.arange(rows),
        "nsentences": rows,
        "ntokens": rows * tokens,
        "target": words,
        "target_lengths": torch.full((rows,), tokens),
        "net_input": {
            "src_tokens": torch.randn(utterances, frames, 80, generator=source),
            "src_lengths": torch.full((utterances,), frames),
            "prev_output_tokens": torch.cat([words[:, -1:], words[:, :-1]], dim=1),
            "lang_ids": ids,
            "utterances": torch.arange(utterances).repeat_interleave(len(own)),
        },
    }


def one_row_each(sample: Sample, with_languages: bool) -> Sample:
    """Return ``sample`` with the audio repeated for every row, as stock fairseq has it."""
    own = dict(sample["net_input"])
    utterances = own.pop("utterances")
    own["src_tokens"] = own["src_tokens"].index_select(0, utterances)
    own["src_lengths"] = own["src_lengths"].index_select(0, utterances)
    if not with_languages:
        del own["lang_ids"]
    return {**sample, "net_input": own}


def of_language(sample: Sample, language: int) -> Sample:
    """Return the rows of one language, as stock fairseq has them."""
    every = one_row_each(sample, with_languages=True)
    rows = every["net_input"].pop("lang_ids") == language
    own = {name: value[rows] for name, value in every["net_input"].items()}
    count = {"nsentences": int(rows.sum()), "ntokens": int(rows.sum()) * sample["target"].size(1)}
    return {**sample, **count, "target": sample["target"][rows], "net_input": own}


def split(setup: Setup, groups: int) -> SharingPlan:
    """Give the languages' ``groups`` equal groups their own copies of the whole decoder."""
    parts = [list(LANGUAGES[start::groups]) for start in range(groups)]
    units = dict.fromkeys(select_units(find_units(setup.model)), parts)
    plan = SharingPlan(LANGUAGES, units)
    apply_plan(setup.model, plan, setup.model.routing)
    return plan


def add_differences(setup: Setup, groups: int, rank: int) -> SharingPlan:
    """Give the languages' ``groups`` equal groups differences to the decoder's projections."""
    parts = [list(LANGUAGES[start::groups]) for start in range(groups)]
    shape = shape_of(setup.model, LANGUAGES)
    chosen = [unit for unit in shape.default if unit in shape.projections]
    pairs = [low_rank_units(unit) for unit in chosen]
    units = {base: [LANGUAGES] for base, _ in pairs}
    units.update({difference: parts for _, difference in pairs})
    units.update({unit: [LANGUAGES] for unit in shape.default if unit not in chosen})
    plan = SharingPlan(LANGUAGES, units, low_rank=dict.fromkeys(chosen, rank))
    apply_plan(setup.model, plan, setup.model.routing)
    return plan


def backward(setup: Setup, sample: Sample) -> None:
    """Run forward and backward, as in a training step, and drop the gradients."""
    loss, _, _ = setup.criterion(setup.model, sample)
    loss.backward()
    for parameter in setup.model.parameters():
        parameter.grad = None  # as fairseq's optimizers do
