"""Speech-to-text rows that know their language."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any, Dict, Iterator, List, Optional, Sequence

import numpy as np
import torch
from fairseq.data.audio.speech_to_text_dataset import (
    SpeechToTextDataset,
    SpeechToTextDatasetItem,
)
from torch import Tensor

from fairseq_gist.architectures.inputs import Inputs
from fairseq_gist.data.known_rows import KNOWN_ROWS, KnownRows
from fairseq_gist.data.lengths import differs
from fairseq_gist.errors import DataError, shortened
from fairseq_gist.sound.stored import filterbanks_at

__all__ = ["LanguageDataset", "LanguageItem"]


@dataclass
class LanguageItem(SpeechToTextDatasetItem):
    """One row: index, source `[frames, features]`, target `[tokens]`, and its language's index."""

    language: Optional[int] = None


class LanguageDataset(SpeechToTextDataset):
    """One subset; every item carries its language, and batches have ``net_input["lang_ids"]``.

    The language travels inside the item because fairseq collates a concatenation of subsets with
    its first one, whose own columns say nothing of the others' rows.

    Args:
        language_ids: index of each row's language, None where the model has no languages.
        inputs: of a model that brings its own features; None for fairseq's.
        prefixes: symbols that begin each row's target in the place of fairseq's tag; None for that.
    """

    def __init__(
        self,
        *args: Any,
        language_ids: Optional[Sequence[int]] = None,
        inputs: Optional[Inputs] = None,
        prefixes: Optional[Sequence[Sequence[int]]] = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.inputs, self.prefixes = inputs, prefixes
        self.language_ids = None if language_ids is None else list(language_ids)
        self._source: Optional[Tensor] = None

    def check_tgt_lang_tag(self) -> None:
        """Do nothing: the manifest's languages were checked, with a message, when it was read."""

    def __getitem__(self, index: int) -> LanguageItem:
        with self._names_row(index):
            item = super().__getitem__(index)
            if self._source is None:  # else another row was loaded with it, and checked
                _check_features(item.source)
        return LanguageItem(
            index=item.index,
            source=item.source,
            target=self._target_of(index, item.target),
            speaker_id=item.speaker_id,
            language=None if self.language_ids is None else self.language_ids[index],
        )

    @contextlib.contextmanager
    def _names_row(self, index: int) -> Iterator[None]:
        """Say of an error which row it is about: what decodes a damaged file raises anything."""
        path = self.audio_paths[index]
        try:
            yield
        except Exception as error:
            # ours are one line of bounded length, and often begin with the path
            reason = str(error) if isinstance(error, DataError) else shortened(error, 200)
            reason = reason[len(f"{path}: ") :] if reason.startswith(f"{path}: ") else reason
            raise DataError(
                f"{self.split}.tsv, row '{shortened(self.ids[index])}': its audio {path} "
                f"can't be read: {reason}"
            ) from error

    def _target_of(self, index: int, target: Optional[Tensor]) -> Optional[Tensor]:
        """Return the target `[tokens]` with the row's prefix in the place of fairseq's tag."""
        if target is None or self.prefixes is None:
            return target
        return torch.cat([torch.tensor(self.prefixes[index], dtype=torch.long), target[1:]])

    def with_source(self, index: int, source: Tensor) -> LanguageItem:
        """Return row ``index`` with ``source`` `[frames, features]`, already loaded, as audio."""
        self._source = source
        try:
            return self[index]
        finally:
            self._source = None

    def _get_source_audio(self, index: Any) -> Tensor:
        if self._source is not None:
            return self._source
        rows = np.atleast_1d(index)
        if self.inputs is not None:
            own = [self.inputs.features(self.audio_paths[r], self.feature_transforms) for r in rows]
            for row, of_row in zip(rows, own):
                self._check_length(row, self.inputs.frames(*of_row.shape))
            return torch.cat(own)
        if self.cfg.use_audio_input or getattr(self, "waveform_transforms", None) is not None:
            waveform: Tensor = super()._get_source_audio(index)
            return waveform
        # fairseq's own way to features of audio needs torchaudio, and takes any rate for 16 kHz
        found = [filterbanks_at(self.audio_paths[row]) for row in rows]
        for row, features in zip(rows, found):
            self._check_length(row, len(features))
        features = found[0] if len(found) == 1 else np.concatenate(found)
        if self.feature_transforms is not None:
            features = self.feature_transforms(features)
        return torch.from_numpy(features).float()

    def _check_length(self, row: int, found: int) -> None:
        """Raise DataError where audio isn't as long as the manifest says, by which it is batched.

        Args:
            row: of the audio.
            found: its frames of a hundredth of a second.
        """
        said = int(self.n_frames[row])
        if found and differs(said, found):
            raise DataError(
                f"n_frames is {said}, but it has {found} frames, and batches are made by n_frames"
            )

    def collater(self, samples: List[LanguageItem], return_order: bool = False) -> Dict[str, Any]:
        """Collate rows, the longest audio first, and add ``net_input["lang_ids"]``, `[batch]`."""
        if not samples:
            return {}
        batch: Dict[str, Any] = super().collater(samples, return_order=True)
        order = batch["order"] if return_order else batch.pop("order")
        if samples[0].language is not None:
            ids = torch.tensor([sample.language for sample in samples], dtype=torch.long)
            ids = ids.index_select(0, order)
            tokens = batch["net_input"].get("prev_output_tokens")
            has_tags = tokens is not None and tokens.size(1) > 1
            batch["net_input"]["lang_ids"] = ids
            batch[KNOWN_ROWS] = KnownRows(ids.tolist(), tokens[:, 1].tolist() if has_tags else None)
        return batch


def _check_features(source: Tensor) -> None:
    """Raise ValueError for what no model can be trained on."""
    if source.dim() not in (1, 2) or source.size(0) == 0:
        raise ValueError(f"expected features of frames, found an array of {tuple(source.shape)}")
    if not torch.isfinite(source).all():
        raise ValueError("its features have numbers that aren't finite")
