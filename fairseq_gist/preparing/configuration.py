"""The YAML files that tell stock fairseq's ``speech_to_text`` task what the data are."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Dict, Optional

import yaml

from fairseq_gist.errors import DataError
from fairseq_gist.files import read_text, replacing
from fairseq_gist.preparing.tsv import ASR
from fairseq_gist.sound.filterbank import BINS

__all__ = ["SPECAUGMENT", "follow_move", "write_configuration"]

logger = logging.getLogger(__name__)

SPECAUGMENT: Dict[str, Optional[Dict[str, Any]]] = {
    "ld": {"freq_mask_N": 2, "time_mask_N": 2},
    "lb": {"freq_mask_N": 1, "time_mask_N": 1},
    "none": None,
}
"""The policies of the SpecAugment paper that fairseq's recipes use; masks are given below."""

_MASKS = {"time_wrap_W": 0, "freq_mask_F": 27, "time_mask_T": 100, "time_mask_p": 1.0}
_NAMES = {"st": "config_st.yaml", ASR: f"config_{ASR}.yaml"}


def write_configuration(
    out: Path, task: str, vocabulary: str, specaugment: str, has_tags: bool
) -> None:
    """Write ``config_{task}.yaml``.

    Args:
        out: folder of the data.
        task: ``st`` or ``asr``.
        vocabulary: name of its files, without extension.
        specaugment: one of :data:`SPECAUGMENT`.
        has_tags: whether every target begins with the tag of its language.
    """
    config: Dict[str, Any] = {
        "vocab_filename": f"{vocabulary}.txt",
        "bpe_tokenizer": {"bpe": "sentencepiece", "sentencepiece_model": f"{vocabulary}.model"},
        "input_channels": 1,
        "input_feat_per_channel": BINS,
        "prepend_tgt_lang_tag": has_tags,
        "audio_root": str(out.resolve()),
        "transforms": {"*": ["utterance_cmvn"]},
    }
    policy = SPECAUGMENT[specaugment]
    if policy is not None:
        config["specaugment"] = {**_MASKS, **policy}
        config["transforms"]["_train"] = ["utterance_cmvn", "specaugment"]
    _dump(out / _NAMES[task], config)


def follow_move(out: Path) -> None:
    """``audio_root`` has to be absolute for fairseq: set it again where the folder has moved."""
    for path in (out / name for name in _NAMES.values()):
        if not path.is_file():
            continue
        config = _load(path)
        if config.get("audio_root") != str(out.resolve()):
            config["audio_root"] = str(out.resolve())
            _dump(path, config)
            logger.info("%s: the folder has moved, audio_root follows", path)


def _load(path: Path) -> Dict[str, Any]:
    try:
        config = yaml.safe_load(read_text(path))
    except (yaml.YAMLError, RecursionError) as error:
        raise DataError(f"{path}: expected YAML, found none; remove the folder") from error
    if not isinstance(config, dict):
        raise DataError(f"{path}: expected fairseq's configuration, found none; remove the folder")
    return config


def _dump(path: Path, config: Dict[str, Any]) -> None:
    with replacing(path) as temporary:
        temporary.write_text(yaml.safe_dump(config, sort_keys=True), encoding="utf-8")
