"""What Whisper hears: log-mels of its own kind, with a frame of silence at the end."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from fairseq_gist.errors import DataError
from fairseq_gist.sound.audio import check_samples, mono, resample
from fairseq_gist.sound.stored import read_stored

__all__ = ["WhisperFeatures"]

_NORMALISATION = "UtteranceCMVN"
_RANGE = 2.0
"""How far the loudest of an utterance is above its silence; nothing is below that."""
_QUIETEST = -1.5
_ROUNDING = 1e-3
_SPARE = 3
"""Frames by which an utterance may be longer than the window: manifests count them otherwise."""


class WhisperFeatures:
    """Reads audio, or features that were made before, as input of Whisper's encoder.

    From audio the model's own feature extractor makes features, of the frames that hear any of it:
    what follows in Whisper's window is silence, which depends on the utterance's loudest frame
    alone, and of which one frame is kept at the end.

    Args:
        extractor: transformers' ``WhisperFeatureExtractor``.
    """

    def __init__(self, extractor: Any) -> None:
        self._extractor = extractor
        self.bins, self.longest = extractor.feature_size, extractor.nb_max_frames

    def __call__(self, path: str, transforms: Any = None) -> Tensor:
        """Return the features of one utterance, `[frames + 1, bins]`, the last of silence.

        Args:
            path: of a wav, flac, ogg or npy file, or ``zip:offset:length`` of one inside a zip.
            transforms: of fairseq, such as SpecAugment; its normalisation is left out, because
                these features are normalised.

        Raises:
            DataError: when the file can't be read, is longer than Whisper's window, or has features
                of another kind.
        """
        content, rate = read_stored(path)
        made = self._of_sound(content, rate, path) if rate else self._of_features(content, path)
        frames, silence = made[:-1], made[-1:]
        for transform in getattr(transforms, "transforms", None) or ():
            if type(transform).__name__ != _NORMALISATION:
                frames = transform(frames)
        return torch.from_numpy(np.concatenate([frames, silence])).float()

    def length(self, path: str) -> int:
        """Return how many frames of a hundredth of a second the audio at ``path`` has."""
        content, rate = read_stored(path)
        return int(len(content) * 100 // rate) if rate else len(content)

    def _of_sound(self, samples: np.ndarray, rate: int, path: str) -> np.ndarray:
        check_samples(samples, rate, path)
        extractor, wanted = self._extractor, self._extractor.sampling_rate
        sound = resample(mono(samples), rate, wanted).astype(np.float32)
        step, half = extractor.hop_length, extractor.n_fft // 2
        if len(sound) < step:
            raise DataError(f"{path}: {len(sound)} samples at {wanted} Hz are too few for a frame")
        if len(sound) > (self.longest + _SPARE) * step:
            raise DataError(
                f"{path}: {len(sound) / wanted:.2f} s of sound; Whisper hears "
                f"{self.longest * step / wanted:g} s"
            )
        sound = sound[: self.longest * step]
        frames = min((len(sound) + half - 1) // step + 1, self.longest)
        # so much behind it that neither these frames nor one more hear the end of all
        silent = np.zeros((frames + 1) * step + 2 * half - len(sound), dtype=np.float32)
        made = extractor(
            np.concatenate([sound, silent]),
            sampling_rate=wanted,
            padding="do_not_pad",
            truncation=False,
            return_tensors="np",
        )["input_features"][0]
        return np.ascontiguousarray(made[:, : frames + 1].T)

    def _of_features(self, features: np.ndarray, path: str) -> np.ndarray:
        if features.ndim != 2 or features.shape[1] != self.bins or not len(features):
            raise DataError(
                f"{path}: expected audio, or features [frames, {self.bins}] as Whisper's feature "
                f"extractor makes them, found {list(features.shape)}"
            )
        lowest, loudest = float(features.min()), float(features.max())
        if not loudest - lowest <= _RANGE + _ROUNDING or lowest < _QUIETEST - _ROUNDING:
            raise DataError(
                f"{path}: features from {lowest:.3g} to {loudest:.3g}, where Whisper's are at most "
                f"{_RANGE:g} apart; it needs audio, as fairseq-gist prepare --keep sound keeps it"
            )
        if len(features) > self.longest + _SPARE:
            raise DataError(f"{path}: {len(features)} frames; Whisper hears {self.longest}")
        silence = np.full((1, self.bins), max(loudest - _RANGE, _QUIETEST), features.dtype)
        return np.concatenate([features[: self.longest], silence])
