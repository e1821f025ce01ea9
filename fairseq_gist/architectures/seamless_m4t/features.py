"""What SeamlessM4T hears: log-mels, normalised for each utterance, several frames put together."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from fairseq_gist.errors import DataError
from fairseq_gist.sound.audio import check_samples, mono, resample
from fairseq_gist.sound.stored import read_stored

__all__ = ["SeamlessFeatures"]

_NORMALISATION = "UtteranceCMVN"
_WINDOW, _STEP = 400, 160  # samples of a frame, and from one to the next


class SeamlessFeatures:
    """Reads audio, or features that were made before, as input of the speech encoder.

    From audio the model's own feature extractor makes features. Filterbanks as
    ``fairseq-gist prepare`` keeps them, `[frames, bins]`, are brought into the same form; what is
    as wide as the model's input already is left as it is. A last frame that has none to go with is
    left out, as is what the extractor itself makes of one, which the model ignores.

    Args:
        extractor: transformers' ``SeamlessM4TFeatureExtractor``.
        width: of the model's input.
    """

    def __init__(self, extractor: Any, width: int) -> None:
        self._extractor = extractor
        self.bins, self.stride, self.width = extractor.num_mel_bins, extractor.stride, width

    def __call__(self, path: str, transforms: Any = None) -> Tensor:
        """Return the features of one utterance, `[frames, width]`.

        Args:
            path: of a wav, flac, ogg or npy file, or ``zip:offset:length`` of one inside a zip.
            transforms: of fairseq, such as SpecAugment; its normalisation is left out, because
                these features are normalised.

        Raises:
            DataError: when the file can't be read, or has features of another width.
        """
        content, rate = read_stored(path)
        frames = self._of_sound(content, rate, path) if rate else self._of_features(content, path)
        for transform in getattr(transforms, "transforms", None) or ():
            if type(transform).__name__ != _NORMALISATION:
                frames = transform(frames)
        return torch.from_numpy(np.ascontiguousarray(self._stack(frames))).float()

    def length(self, path: str) -> int:
        """Return how many frames of a hundredth of a second the audio at ``path`` has."""
        content, rate = read_stored(path)
        if rate:
            return int(len(content) * 100 // rate)
        return self.frames(len(content), content.shape[-1])

    def frames(self, rows: int, width: int) -> int:
        """Return how many frames of a hundredth of a second features `[rows, width]` are."""
        return rows * (self.stride if width == self.width else 1)

    def is_heard(self, path: str) -> bool:
        """Whether the audio, or the features, at ``path`` make one frame of the model's input.

        Raises:
            DataError: when they can't be read.
        """
        content, rate = read_stored(path)
        if rate is None:
            return self.frames(len(content), content.shape[-1]) >= self.stride
        return len(content) * self._extractor.sampling_rate >= self._shortest * rate

    @property
    def _shortest(self) -> int:
        """Samples, at the extractor's rate, that make one frame of the model's input."""
        return _WINDOW + _STEP * (self.stride - 1)

    def _of_sound(self, samples: np.ndarray, rate: int, path: str) -> np.ndarray:
        check_samples(samples, rate, path)
        wanted = self._extractor.sampling_rate
        sound = resample(mono(samples), rate, wanted).astype(np.float32)
        if len(sound) < self._shortest:
            raise DataError(f"{path}: {len(sound)} samples at {wanted} Hz are too few for a frame")
        made = self._extractor(
            sound, sampling_rate=wanted, pad_to_multiple_of=None, return_tensors="np"
        )
        return made["input_features"][0].reshape(-1, self.bins)

    def _of_features(self, features: np.ndarray, path: str) -> np.ndarray:
        width = features.shape[-1] if features.ndim == 2 else None
        if width == self.bins != self.width:
            spread = features.var(0, ddof=1) if len(features) > 1 else features.var(0)
            return (features - features.mean(0)) / np.sqrt(spread + 1e-7)
        if width != self.width:
            raise DataError(
                f"{path}: expected features [frames, {self.bins}], or [frames, {self.width}] as "
                f"the model's feature extractor makes them, found {list(features.shape)}"
            )
        return features

    def _stack(self, frames: np.ndarray) -> np.ndarray:
        if frames.shape[-1] == self.width:
            return frames
        whole = len(frames) // self.stride
        return frames[: whole * self.stride].reshape(whole, self.stride * frames.shape[-1])
