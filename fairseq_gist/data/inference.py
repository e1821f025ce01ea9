"""Audio without targets, as fairseq-interactive reads it."""

from __future__ import annotations

from typing import Any, Dict, List

import torch
from fairseq.data.audio.data_cfg import S2TDataConfig
from torch import Tensor

from fairseq_gist.data.dataset import LanguageDataset

__all__ = ["audio_dataset", "put_language", "without_languages"]


def audio_dataset(config: S2TDataConfig, paths: List[str], frames: List[int]) -> LanguageDataset:
    """Return a dataset of audio files; their language is the task's to say.

    Args:
        config: of the data the model was trained on.
        paths: of audio or feature files.
        frames: length of each.
    """
    return LanguageDataset("interactive", False, config, paths, frames)


def put_language(sample: Dict[str, Any], language: int, tag: int) -> Tensor:
    """Make ``language`` that of every row of ``sample``; return its tag as prefix, `[rows, 1]`."""
    audio = sample["net_input"]["src_tokens"]
    rows = audio.size(0)
    sample["net_input"]["lang_ids"] = torch.full(
        (rows,), language, dtype=torch.long, device=audio.device
    )
    return torch.full((rows, 1), tag, dtype=torch.long, device=audio.device)


def without_languages(sample: Dict[str, Any]) -> Dict[str, Any]:
    """Return ``sample`` without the language ids, which a stock model doesn't know."""
    if not sample:
        return sample
    net_input = {key: value for key, value in sample["net_input"].items() if key != "lang_ids"}
    return {**sample, "net_input": net_input}
