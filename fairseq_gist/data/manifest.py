"""From the TSV manifests of a data folder to a dataset of rows."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

from fairseq.data import ConcatDataset, Dictionary, FairseqDataset
from fairseq.data.audio.data_cfg import S2TDataConfig

from fairseq_gist.architectures.inputs import Inputs
from fairseq_gist.data.dataset import LanguageDataset
from fairseq_gist.data.lengths import check_lengths, heard
from fairseq_gist.data.multiway import MultiwayDataset
from fairseq_gist.data.rows import RowDataset
from fairseq_gist.errors import DataError, shortened
from fairseq_gist.files import read_table
from fairseq_gist.languages.codes import base_code
from fairseq_gist.languages.rows import (
    LANGUAGE_TAG,
    SOURCE,
    TARGET,
    UNKNOWN,
    languages_of_vocabulary,
    row_languages,
    target_languages,
)
from fairseq_gist.sound.stored import is_heard as filterbank_is_heard

__all__ = ["ManifestReader", "languages_in"]

logger = logging.getLogger(__name__)


class ManifestReader:
    """Builds datasets from the subsets of one data folder.

    Args:
        root: the data folder.
        config: fairseq's data configuration of that folder.
        dictionary: target vocabulary.
        languages: the model's languages; empty where the vocabulary has no tags.
        pre_tokenizer: of fairseq, or None.
        bpe_tokenizer: of fairseq, or None.
        speaker_to_id: of fairseq, or None.
        seed: of the run.
        key: what a row's language is, one of :data:`~fairseq_gist.languages.rows.LANGUAGE_KEYS`.
        inputs: see :class:`LanguageDataset`.
    """

    def __init__(
        self,
        root: str,
        config: S2TDataConfig,
        dictionary: Dictionary,
        languages: Sequence[str],
        pre_tokenizer: Any,
        bpe_tokenizer: Any,
        speaker_to_id: Any,
        seed: int,
        key: str = TARGET,
        inputs: Optional[Inputs] = None,
    ) -> None:
        self.key, self.inputs = key, inputs
        self.root, self.config, self.dictionary = root, config, dictionary
        self.languages = list(languages)
        self.pre_tokenizer, self.bpe_tokenizer = pre_tokenizer, bpe_tokenizer
        self.speaker_to_id, self.seed = speaker_to_id, seed

    def read(
        self,
        subsets: str,
        is_train: bool,
        homogeneous: bool = False,
        multiway: bool = False,
        max_target_tokens: Optional[int] = None,
        temperature: float = 1.0,
        only: Optional[str] = None,
    ) -> RowDataset:
        """Return the rows of ``subsets`` (names with commas between).

        Args:
            subsets: their names.
            is_train: whether for training, with its augmentation.
            homogeneous: make batches of one language each.
            multiway: make batches of utterances with all their translations.
            max_target_tokens: see :class:`MultiwayDataset`.
            temperature: at which languages are sampled; see :mod:`fairseq_gist.data.sampling`.
            only: the language whose rows are read; None for those of all.

        Raises:
            DataError: when a row's language can't be told, or has no tag in the vocabulary, or a
                subset has no row of the one that is wanted.
            OptionError: for a temperature other than 1 where rows have no languages.
        """
        datasets = [self._subset(name, is_train, only) for name in subsets.split(",")]
        languages: Optional[List[int]] = None
        if all(dataset.language_ids is not None for dataset in datasets):
            languages = [i for dataset in datasets for i in dataset.language_ids or ()]
        if multiway and languages is None:
            raise DataError(
                f"subset '{subsets}': rows can't be brought together by utterance, as the "
                "vocabulary has no language tags; use --languages"
            )
        dataset: RowDataset
        if multiway:
            dataset = MultiwayDataset(
                datasets, languages or [], self.seed, max_target_tokens, temperature
            )
        else:
            rows: FairseqDataset = datasets[0] if len(datasets) == 1 else ConcatDataset(datasets)
            dataset = RowDataset(rows, languages, self.seed, homogeneous, temperature)
        if temperature != 1:
            self._log_sampling(dataset, subsets, temperature)
        return dataset

    def _log_sampling(self, dataset: RowDataset, subsets: str, temperature: float) -> None:
        found = "every language has as many rows, so that all are seen once an epoch"
        if dataset.sampling is not None:
            found = dataset.sampling.summary(self.languages)
        logger.info(f"sampling '{subsets}' at temperature {temperature:g}: {found}")

    def _subset(self, name: str, is_train: bool, only: Optional[str]) -> LanguageDataset:
        manifest = str(Path(self.root) / f"{name}.tsv")
        rows = _rows(self.root, name)
        for line, row in enumerate(rows, start=2):
            _check_row(row, f"{manifest}, line {line}")
        languages = self._languages_of(rows, name, manifest)
        targets = self._targets_of(rows, name, languages, manifest)
        prefixes = self._prefixes(rows, targets, manifest)
        audio_root = Path(self.config.audio_root)
        paths = [(audio_root / row["audio"]).as_posix() for row in rows]
        kept: Sequence[int] = range(len(rows))
        if not self.config.use_audio_input:  # of which n_frames are samples
            check_lengths(rows, paths, manifest, self._frames_of)
            is_heard = filterbank_is_heard if self.inputs is None else self.inputs.is_heard
            kept = heard(rows, paths, manifest, is_heard)
        if only is not None:
            kept = _of_language(kept, languages, only, manifest)
        rows, paths = [rows[i] for i in kept], [paths[i] for i in kept]
        targets = [targets[i] for i in kept]
        languages = [languages[i] for i in kept] if languages else languages
        prefixes = None if prefixes is None else [prefixes[i] for i in kept]
        try:
            return LanguageDataset(
                split=name,
                is_train_split=is_train,
                cfg=self.config,
                audio_paths=paths,
                n_frames=[int(row["n_frames"]) for row in rows],
                src_texts=[row.get("src_text", "") for row in rows],
                tgt_texts=[row["tgt_text"] for row in rows],
                speakers=[row.get("speaker", "") for row in rows],
                src_langs=[row.get("src_lang", "") for row in rows],
                tgt_langs=targets,
                ids=[row["id"] for row in rows],
                tgt_dict=self.dictionary,
                pre_tokenizer=self.pre_tokenizer,
                bpe_tokenizer=self.bpe_tokenizer,
                speaker_to_id=self.speaker_to_id,
                language_ids=[self.languages.index(one) for one in languages] or None,
                inputs=self.inputs,
                prefixes=prefixes,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"{manifest}: expected the columns id, audio, n_frames (a number) and tgt_text in "
                f"every line, found {', '.join(map(repr, rows[0]))} ({error!r})"
            ) from None

    def _frames_of(self, rows: int, width: int) -> int:
        return rows if self.inputs is None else self.inputs.frames(rows, width)

    def _languages_of(self, rows: Any, name: str, manifest: str) -> List[str]:
        if not self.languages:
            return []
        found = row_languages(rows, name, self.languages, manifest, self.key)
        column = "src_lang" if self.key == SOURCE else "tgt_lang"
        if column not in rows[0]:
            logger.info(f"{manifest} has no column {column}: '{found[0]}', from the subset's name")
        return found

    def _targets_of(self, rows: Any, name: str, languages: List[str], manifest: str) -> List[str]:
        """Return each row's target language, whose tag is put before its target if any is."""
        if languages:
            told = target_languages(rows, name, languages, self.key)
            targets = ["" if target == UNKNOWN else target for target in told]
        else:
            targets = [row.get("tgt_lang") or "" for row in rows]
        if not (languages and self._has_tags):
            return targets
        tagged = languages_of_vocabulary(self.dictionary.symbols)
        if self.key != TARGET and len(tagged) == 1:
            targets = [target or tagged[0] for target in targets]
        for line, target in enumerate(targets, start=2):
            if not target:
                raise DataError(
                    f"{manifest}, line {line}: every target begins with the tag of its language, "
                    "which is in no column 'tgt_lang'; add it"
                )
            if target not in tagged:
                raise DataError(f"{manifest}, line {line}: {self._no_tag(target, tagged)}")
        return targets

    def _prefixes(self, rows: Any, targets: List[str], manifest: str) -> Optional[List[List[int]]]:
        """Return the symbols that begin each row's target; None for fairseq's, its tag."""
        if self.inputs is None:
            return None
        prefixes = []
        for line, (row, target) in enumerate(zip(rows, targets), start=2):
            try:
                symbols = self.inputs.prefix(row.get("src_lang") or "", target)
            except DataError as error:
                raise DataError(f"{manifest}, line {line}: {error}") from None
            indices = [self.dictionary.index(symbol) for symbol in symbols]
            if self.dictionary.unk() in indices:
                unknown = symbols[indices.index(self.dictionary.unk())]
                raise DataError(f"{manifest}, line {line}: the vocabulary has no '{unknown}'")
            prefixes.append(indices)
        return prefixes

    def _no_tag(self, language: str, tagged: List[str]) -> str:
        origin = getattr(self.dictionary, "origin", None)
        if origin is None:
            return f"the vocabulary has no tag '{LANGUAGE_TAG.format(language)}'"
        same = [tag for tag in tagged if base_code(tag) == base_code(language)]
        names = f"{self.dictionary.named_by}{', this one ' + ' or '.join(same) if same else ''}"
        return (
            f"tgt_lang '{language}' is none of the {len(tagged)} languages that {origin} writes, "
            f"{', '.join(tagged[:3])}, ..., {tagged[-1]}; it names languages {names}"
        )

    @property
    def _has_tags(self) -> bool:
        config = self.config
        return bool(config.prepend_tgt_lang_tag or config.prepend_bos_and_append_tgt_lang_tag)


def _check_row(row: Dict[str, str], where: str) -> None:
    """Raise DataError for a row that fairseq couldn't load, or would lose."""
    missing = [name for name in ("id", "audio", "n_frames", "tgt_text") if name not in row]
    if missing:
        found = f"'{shortened(next(iter(row.values()), ''))}'"
        raise DataError(
            f"{where}: expected the columns id, audio, n_frames and tgt_text, found no "
            f"{missing[0]} in the row that begins with {found}"
        )
    frames = row["n_frames"]
    if not (frames.isdecimal() and int(frames[:9]) > 0 and len(frames) < 10):
        raise DataError(f"{where}: n_frames should be a number from 1 on, is '{shortened(frames)}'")
    if not row["audio"]:
        raise DataError(f"{where}: the row has no audio")


def _of_language(rows: Sequence[int], languages: List[str], only: str, manifest: str) -> List[int]:
    """Return those of ``rows`` that are of one language."""
    kept = [row for row in rows if languages and languages[row] == only]
    if not kept:
        raise DataError(f"{manifest}: none of its {len(rows)} rows is of '{only}', as wanted")
    logger.info(f"{manifest}: {len(kept)} of {len(rows)} rows are read, those of '{only}'")
    return kept


def languages_in(root: str, subsets: str, key: str) -> List[str]:
    """Return the languages that the manifests of ``subsets`` have, in alphabetical order.

    Args:
        root: the data folder.
        subsets: names with commas between; one without a manifest is left out.
        key: what a row's language is, one of :data:`~fairseq_gist.languages.rows.LANGUAGE_KEYS`.

    Raises:
        DataError: when a row doesn't tell its language.
    """
    found = set()
    for name in subsets.split(","):
        path = Path(root) / f"{name}.tsv"
        if path.is_file():
            found.update(row_languages(_rows(root, name), name, (), str(path), key))
    return sorted(found)


def _rows(root: str, name: str) -> List[Dict[str, str]]:
    manifest = Path(root) / f"{name}.tsv"
    if not manifest.is_file():
        there = sorted(path.stem for path in Path(root).glob("*.tsv"))
        known = f"; there are {', '.join(there[:6])}{', ...' * (len(there) > 6)}" if there else ""
        raise DataError(f"{manifest}: no such file{known}")
    rows = read_table(manifest)
    if not rows:
        raise DataError(f"{manifest}: expected columns and rows, found none")
    return rows
