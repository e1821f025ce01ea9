"""Audio without targets, as fairseq-interactive reads it."""

from __future__ import annotations

import functools
import logging
from typing import Any, Callable, Dict, List, Optional, Sequence

import numpy as np
import torch
from fairseq.data.audio.data_cfg import S2TDataConfig
from torch import Tensor, nn

from fairseq_gist.data.dataset import LanguageDataset
from fairseq_gist.data.known_rows import tell_rows
from fairseq_gist.errors import DataError
from fairseq_gist.languages.rows import LANGUAGE_TAG
from fairseq_gist.nn.rows import index_on, values_of
from fairseq_gist.nn.wrapping import Forward, Wrapper, wrap, wrapper_of

__all__ = [
    "AudioFiles",
    "audio_dataset",
    "for_models",
    "languages_by_prefix",
    "lengths_of",
    "prefix_of",
    "prompt",
    "put_language",
    "without_languages",
]

logger = logging.getLogger(__name__)

_OF_LANGUAGES = ("lang_ids", "utterances")
"""What only a model that routes its rows knows of a batch."""


class AudioFiles(LanguageDataset):
    """Audio files of which some may not be of use: those are left out, the others keep their place.

    Args:
        longest: most frames of one that is translated.
    """

    def __init__(self, *args: Any, longest: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.longest = longest

    def ordered_indices(self) -> Any:
        """Return the places of the files that can be translated, in the order to take them."""
        return np.array([one for one in super().ordered_indices() if self._is_usable(int(one))])

    def _is_usable(self, index: int) -> bool:
        frames, path = self.n_frames[index], self.audio_paths[index]
        if frames > self.longest:
            logger.warning(
                f"{path}: {frames:,} frames of a hundredth of a second are more than the model "
                f"takes ({self.longest:,}); left out"
            )
        return 0 < frames <= self.longest


def lengths_of(paths: Sequence[str], length: Callable[[str], int]) -> List[int]:
    """Return the length of each file in frames; 0 for what can't be read, of which it tells."""
    found = []
    for path in paths:
        try:
            found.append(length(path))
        except DataError as error:
            logger.warning(f"{error}; left out")
            found.append(0)
    return found


def audio_dataset(
    config: S2TDataConfig, paths: List[str], frames: List[int], longest: int, inputs: Any = None
) -> AudioFiles:
    """Return a dataset of audio files; their language is the task's to say.

    Args:
        config: of the data the model was trained on.
        paths: of audio or feature files.
        frames: length of each; 0 for one that can't be read.
        longest: most frames of one that is translated.
        inputs: see :class:`LanguageDataset`.
    """
    split = ("interactive", False, config, paths, frames)
    return AudioFiles(*split, longest=longest, inputs=inputs)


def put_language(sample: Dict[str, Any], language: int) -> None:
    """Make ``language`` that of every row of ``sample``."""
    audio = sample["net_input"]["src_tokens"]
    sample["net_input"]["lang_ids"] = index_on(audio.device, [language] * audio.size(0))


def prompt(inputs: Any, source: str, target: str) -> Sequence[str]:
    """Return the symbols that begin a translation.

    Args:
        inputs: of the model's architecture; None where the data folder's vocabulary is used, which
            has a tag for every target.
        source: language that is spoken; empty where nobody said.
        target: language to translate into.

    Raises:
        DataError: when the model has to know what is spoken.
    """
    if inputs is None:
        return [LANGUAGE_TAG.format(target)]
    symbols: Sequence[str] = inputs.prefix(source, target)
    return symbols


def prefix_of(sample: Dict[str, Any], tags: List[int]) -> Tensor:
    """Return ``tags`` as the prefix of every row's translation, `[rows, tags]`."""
    audio = sample["net_input"]["src_tokens"]
    return torch.tensor([tags] * audio.size(0), dtype=torch.long, device=audio.device)


def languages_by_prefix(generator: Any, tags: Sequence[Optional[int]]) -> Any:
    """Have a generator take the rows' languages from their prefix where the batch doesn't say them.

    So they come about where fairseq builds the batch itself, as its hub's interface does.

    Args:
        generator: fairseq's, whose ``generate`` is replaced.
        tags: the tag's token for each language, `[languages]`; None for one without a tag.
    """
    generator.generate = functools.partial(_generate, generator.generate, tags)
    return generator


def _generate(
    generate: Any, tags: Sequence[Optional[int]], models: List[Any], sample: Any, **kwargs: Any
) -> Any:
    prefix, own = kwargs.get("prefix_tokens"), sample["net_input"]
    if prefix is not None and "lang_ids" not in own and any(map(_routes, models)):
        language_of = {tag: language for language, tag in enumerate(tags) if tag is not None}
        found = [language_of.get(token) for token in values_of(prefix[:, 0])]
        if None not in found:
            ids = index_on(own["src_tokens"].device, [one for one in found if one is not None])
            sample = {**sample, "net_input": {**own, "lang_ids": ids}}
    return generate(models, sample, **kwargs)


def for_models(sample: Dict[str, Any], models: Sequence[Any]) -> Dict[str, Any]:
    """Return ``sample`` as every one of ``models`` can take it, stock ones among them."""
    tell_rows(sample)
    if not any(map(_routes, models)):
        return without_languages(sample)
    for model in models:
        if not _routes(model) and wrapper_of(model.encoder, _Forgets) is None:
            wrap(model.encoder, _Forgets())
    return sample


def _routes(model: Any) -> bool:
    return hasattr(model, "routing")


class _Forgets(Wrapper):
    """Keeps what a stock encoder doesn't know from it, where others of an ensemble need it."""

    level = 0

    def around(self, module: nn.Module, forward: Forward) -> Forward:
        """Return ``forward`` without arguments that tell languages."""
        return functools.partial(_without_ids, forward)


def _without_ids(forward: Forward, *args: Any, **kwargs: Any) -> Any:
    return forward(*args, **{k: value for k, value in kwargs.items() if k not in _OF_LANGUAGES})


def without_languages(sample: Dict[str, Any]) -> Dict[str, Any]:
    """Return ``sample`` without the language ids, which a stock model doesn't know."""
    if not sample:
        return sample
    own = sample["net_input"]
    net_input = {key: value for key, value in own.items() if key != "lang_ids"}
    return {**sample, "net_input": net_input}
