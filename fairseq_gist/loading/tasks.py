"""The task of a data folder, where nothing is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Union

__all__ = ["task_of"]


def task_of(data: Union[str, Path], config_yaml: str, **options: Any) -> Any:
    """Return our task, as ``fairseq-generate`` would set it up.

    Args:
        data: folder with vocabulary and configuration.
        config_yaml: the configuration, in that folder.
        options: of the task, such as ``languages``, and of the model's architecture.

    Raises:
        GistError: when there is no such vocabulary or configuration.
    """
    from fairseq_gist.tasks.configuration import GistSpeechToTextConfig
    from fairseq_gist.tasks.gist_speech_to_text import GistSpeechToTextTask

    config = GistSpeechToTextConfig(
        data=str(data), config_yaml=config_yaml, seed=1, train_subset="train", **options
    )
    return GistSpeechToTextTask.setup_task(config)
