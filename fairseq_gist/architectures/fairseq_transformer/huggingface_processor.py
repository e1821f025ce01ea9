"""Feature extractor and tokenizer of Speech2Text, from what a data folder says."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional

from fairseq_gist.architectures.exporting import Export
from fairseq_gist.data.folder import check_vocabulary, read_configuration
from fairseq_gist.errors import DataError, OptionError
from fairseq_gist.languages.rows import (
    LANGUAGE_TAG,
    SOURCE,
    TARGET,
    language_tags,
    languages_of_vocabulary,
)

__all__ = ["ProcessorSource"]

_REFUSED = {
    "use_audio_input": "sound without filterbanks",
    "global_cmvn": "global CMVN",
    "pre_tokenizer": "a tokenizer before the subwords",
    "prepend_bos_and_append_tgt_lang_tag": "a tag behind the target",
}
"""Settings of the data that change what the model reads or writes -> what they are."""

_SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")


@dataclass(frozen=True)
class ProcessorSource:
    """What a processor is made of.

    Attributes:
        symbols: of the vocabulary, by id.
        subwords: file of the SentencePiece model.
        bins: of the filterbanks.
        cmvn: settings of the utterance CMVN; None where there is none.
        has_tags: whether every target begins with the tag of its language.
        where: the configuration, for errors.
    """

    symbols: List[str]
    subwords: Path
    bins: int
    cmvn: Optional[Dict[str, Any]]
    has_tags: bool
    where: Path

    @classmethod
    def of(cls, export: Export) -> ProcessorSource:
        """Read the data folder that the model belongs to.

        Raises:
            OptionError: when it isn't known or isn't there.
            DataError: when it says something that Speech2Text doesn't know.
        """
        if not export.data or not Path(export.data).is_dir():
            found = f"'{export.data}', which isn't there" if export.data else "none"
            raise OptionError(
                "--format huggingface: expected the folder of the data, for vocabulary and "
                f"features, found {found}: name it, with --data"
            )
        data = Path(export.data)
        config, where = read_configuration(data, export.config_yaml), data / export.config_yaml
        for name, what in _REFUSED.items():
            value = config.get(name)
            if value and value not in ({"tokenizer": None}, {}):
                raise _unknown(where, f"'{name}', {what}")
        check_vocabulary(data, export.config_yaml, config.get("vocab_filename"))
        return cls(
            symbols=_symbols(data / (config.get("vocab_filename") or "dict.txt")),
            subwords=_subwords(config, data, where),
            bins=int(config.get("input_feat_per_channel", 80)),
            cmvn=_cmvn(config, where),
            has_tags=bool(config.get("prepend_tgt_lang_tag", False)),
            where=where,
        )

    @property
    def tags(self) -> List[str]:
        """Tags of languages in the vocabulary."""
        return [LANGUAGE_TAG.format(one) for one in languages_of_vocabulary(self.symbols)]

    def first_symbol(self, export: Export) -> Optional[int]:
        """Return the id of the tag that translations begin with; None where it isn't known.

        Raises:
            DataError: when the language has no tag, and should have one.
        """
        if not self.has_tags:
            return None
        key = getattr(export.settings, "language_key", None) or TARGET
        tag = language_tags([export.language], self.symbols, key)[0]
        if key == SOURCE and len(self.tags) == 1:
            tag = self.tags[0]
        if tag is None and key == TARGET:
            raise DataError(
                f"{self.where}: expected the tag {LANGUAGE_TAG.format(export.language)} in the "
                f"vocabulary, found {', '.join(self.tags) or 'none'}"
            )
        return None if tag is None else self.symbols.index(tag)

    def processor(self, folder: Path) -> Any:
        """Return feature extractor and tokenizer; the latter's files are put into ``folder``."""
        from transformers import (
            Speech2TextFeatureExtractor,
            Speech2TextProcessor,
            Speech2TextTokenizer,
        )

        vocabulary, subwords = folder / "vocab.json", folder / "sentencepiece.bpe.model"
        ids = {symbol: number for number, symbol in enumerate(self.symbols)}
        vocabulary.write_text(json.dumps(ids, ensure_ascii=False, indent=2), encoding="utf-8")
        shutil.copyfile(self.subwords, subwords)
        # its own `lang_codes` are the eight languages of MuST-C and no others
        tokenizer = Speech2TextTokenizer(
            str(vocabulary),
            str(subwords),
            additional_special_tokens=self.tags,
            clean_up_tokenization_spaces=False,
        )
        extractor = Speech2TextFeatureExtractor(
            feature_size=self.bins,
            num_mel_bins=self.bins,
            do_ceptral_normalize=self.cmvn is not None,
            normalize_means=(self.cmvn or {}).get("norm_means", True),
            normalize_vars=(self.cmvn or {}).get("norm_vars", True),
        )
        return Speech2TextProcessor(extractor, tokenizer)


def _unknown(where: Path, what: str) -> DataError:
    return DataError(
        f"{where}: --format huggingface: Speech2Text doesn't know {what}; leave out --format"
    )


def _symbols(file: Path) -> List[str]:
    from fairseq.data import Dictionary

    symbols: List[str] = Dictionary.load(str(file)).symbols
    if tuple(symbols[: len(_SPECIAL)]) != _SPECIAL:
        raise _unknown(file, f"a vocabulary that begins with {', '.join(symbols[:4])}")
    return symbols


def _subwords(config: Dict[str, Any], data: Path, where: Path) -> Path:
    said = config.get("bpe_tokenizer")
    said = said if isinstance(said, dict) else {}
    kind = said.get("bpe")
    if kind != "sentencepiece":
        raise _unknown(where, f"subwords of '{kind}', only those of sentencepiece")
    name = str(said.get("sentencepiece_model"))
    file = Path(name) if Path(name).exists() else data / name
    if not file.is_file():
        raise DataError(f"{where}: its sentencepiece_model {file} doesn't exist")
    return file


def _cmvn(config: Dict[str, Any], where: Path) -> Optional[Dict[str, Any]]:
    """Return what becomes of features before a model translates them.

    Raises:
        DataError: for anything but utterance CMVN.
    """
    wanted: List[str] = []
    for kind in ("", "feature_", "waveform_"):
        by_split = config.get(f"{kind}transforms") or {}
        wanted += by_split.get("_eval", by_split.get("*")) or []
    others = [one for one in wanted if one != "utterance_cmvn"]
    if others:
        raise _unknown(where, f"the transform '{others[0]}'")
    return dict(config.get("utterance_cmvn") or {}) if wanted else None
