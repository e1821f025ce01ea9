"""Audio without targets, as fairseq-interactive reads it."""

from __future__ import annotations

from typing import List

from fairseq.data.audio.data_cfg import S2TDataConfig

from fairseq_gist.data.dataset import LanguageDataset

__all__ = ["audio_dataset"]


def audio_dataset(config: S2TDataConfig, paths: List[str], frames: List[int]) -> LanguageDataset:
    """Return a dataset of audio files; their language is the task's to say.

    Args:
        config: of the data the model was trained on.
        paths: of audio or feature files.
        frames: length of each.
    """
    return LanguageDataset("interactive", False, config, paths, frames)
