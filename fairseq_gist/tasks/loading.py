"""The rows that a run is trained on and validated with, and their batches."""

from __future__ import annotations

import logging
from typing import Any, Optional

from fairseq_gist.data.batches import epoch_batches
from fairseq_gist.data.manifest import ManifestReader
from fairseq_gist.data.rows import RowDataset
from fairseq_gist.data.sampling import temperature_of
from fairseq_gist.host.boundary import one_line_errors
from fairseq_gist.surgery.trainable import LANGUAGE
from fairseq_gist.tasks.translating import TranslatingTask

__all__ = ["LoadingTask"]

logger = logging.getLogger(__name__)


class LoadingTask(TranslatingTask):
    """A task that also loads rows as the options of training say, and makes batches of them."""

    def __init__(self, args: Any, tgt_dict: Any, inputs: Any = None) -> None:
        super().__init__(args, tgt_dict, inputs)
        self._trainer: Any = None

    def load_dataset(
        self, split: str, epoch: int = 1, combine: bool = False, **kwargs: Any
    ) -> None:
        """Load the rows of ``split`` (subsets with commas between).

        Training rows are sampled by language, or are of the one language that is trained alone,
        only where a trainer is there to be trained: translating or scoring a training subset is
        about all of its rows.
        """
        is_train = split.startswith("train")
        is_trained = is_train and self._trainer is not None
        with one_line_errors():
            self.datasets[split] = self.reader().read(
                split,
                is_train,
                homogeneous=is_train and self.args.homogeneous_batches,
                multiway=is_train and self.args.multiway_batches,
                max_target_tokens=self.args.max_target_tokens,
                temperature=self._temperature() if is_trained else 1.0,
                only=self._trained_language if is_trained else None,
            )

    def _temperature(self) -> float:
        option, alpha = self.args.sampling_temperature, self.data_cfg.sampling_alpha
        if option is not None and alpha != 1:
            logger.info(
                f"--sampling-temperature {option:g} takes the place of sampling_alpha {alpha} in "
                f"{self.args.config_yaml}"
            )
        return temperature_of(option, alpha)

    def reader(self) -> ManifestReader:
        """Return what reads the subsets of the data folder, as the options say."""
        return ManifestReader(
            self.args.data,
            self.data_cfg,
            self.tgt_dict,
            self.languages,
            self.build_tokenizer(self.args),
            self.build_bpe(self.args),
            self.speaker_to_id,
            self.args.seed,
            self.language_key,
            self.inputs,
        )

    def get_batch_iterator(self, dataset: Any, *args: Any, **kwargs: Any) -> Any:
        """Return an iterator over batches; see :func:`fairseq_gist.data.batches.epoch_batches`."""
        if not isinstance(dataset, RowDataset) or args:
            return super().get_batch_iterator(dataset, *args, **kwargs)
        return self._batches(dataset, **kwargs)

    def _batches(
        self,
        dataset: RowDataset,
        max_tokens: Optional[int] = None,
        max_sentences: Optional[int] = None,
        max_positions: Any = None,
        ignore_invalid_inputs: bool = False,
        required_batch_size_multiple: int = 1,
        seed: int = 1,
        epoch: int = 1,
        data_buffer_size: int = 0,
        disable_iterator_cache: bool = False,
        update_epoch_batch_itr: bool = False,
        **iterator_options: Any,
    ) -> Any:
        reuse = (
            not disable_iterator_cache
            and not update_epoch_batch_itr
            and dataset.can_reuse_epoch_itr_across_epochs
        )
        before = self.dataset_to_epoch_iter.get(dataset) if reuse else None
        if (
            before is not None and before.seed == seed
        ):  # --update-ordered-indices-seed: each epoch's
            return before

        def keep(indices: Any) -> Any:
            if max_positions is None:
                return indices
            return self.filter_indices_by_size(
                indices, dataset, max_positions, ignore_invalid_inputs
            )

        iterator = epoch_batches(
            dataset,
            keep,
            max_tokens,
            max_sentences,
            required_batch_size_multiple,
            seed,
            epoch,
            buffer_size=data_buffer_size,
            **iterator_options,
        )
        if reuse:
            self.dataset_to_epoch_iter[dataset] = iterator
        return iterator

    @property
    def _trained_language(self) -> Optional[str]:
        """The language that ``--train-only`` trains alone, if it does."""
        what = self.args.train_only or ""
        return what[len(LANGUAGE) :] if what.startswith(LANGUAGE) else None
