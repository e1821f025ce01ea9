"""Audio without targets, as fairseq-interactive reads it."""

from __future__ import annotations

from typing import Any, Dict, List

import torch
from fairseq.data.audio.data_cfg import S2TDataConfig
from torch import Tensor

from fairseq_gist.data.dataset import LanguageDataset
from fairseq_gist.nn.rows import index_on

__all__ = ["audio_dataset", "prefix_of", "put_language", "without_languages"]


def audio_dataset(
    config: S2TDataConfig, paths: List[str], frames: List[int], inputs: Any = None
) -> LanguageDataset:
    """Return a dataset of audio files; their language is the task's to say.

    Args:
        config: of the data the model was trained on.
        paths: of audio or feature files.
        frames: length of each.
        inputs: see :class:`LanguageDataset`.
    """
    return LanguageDataset("interactive", False, config, paths, frames, inputs=inputs)


def put_language(sample: Dict[str, Any], language: int) -> None:
    """Make ``language`` that of every row of ``sample``."""
    audio = sample["net_input"]["src_tokens"]
    sample["net_input"]["lang_ids"] = index_on(audio.device, [language] * audio.size(0))


def prefix_of(sample: Dict[str, Any], tags: List[int]) -> Tensor:
    """Return ``tags`` as the prefix of every row's translation, `[rows, tags]`."""
    audio = sample["net_input"]["src_tokens"]
    return torch.tensor([tags] * audio.size(0), dtype=torch.long, device=audio.device)


def without_languages(sample: Dict[str, Any]) -> Dict[str, Any]:
    """Return ``sample`` without the language ids, which a stock model doesn't know."""
    if not sample:
        return sample
    net_input = {key: value for key, value in sample["net_input"].items() if key != "lang_ids"}
    return {**sample, "net_input": net_input}
