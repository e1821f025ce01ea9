"""A data folder as fairseq expects it: a configuration, a vocabulary, manifests."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Optional

import yaml

from fairseq_gist.errors import DataError, OptionError, shortened
from fairseq_gist.files import iter_lines, read_text

__all__ = ["check_train_subsets", "check_vocabulary", "read_configuration"]

_LARGEST = 1 << 20
"""Bytes of a configuration; ordinary ones have some hundred."""


def read_configuration(data: Path, config_yaml: str) -> Dict[str, Any]:
    """Return what the data configuration says, which fairseq reads once more.

    Raises:
        OptionError: when there is no such folder or file.
        DataError: when it is no configuration.
    """
    path = data / config_yaml
    if not data.is_dir():
        raise OptionError(f"{data}: expected the folder of the data, found none")
    if not path.is_file():
        there = ", ".join(sorted(one.name for one in data.glob("*.yaml"))[:5]) or "none"
        raise OptionError(
            f"--config-yaml {config_yaml}: there is no file {path}; of this kind there is {there}"
        )
    if path.stat().st_size > _LARGEST:
        raise DataError(f"{path}: expected a data configuration, found {path.stat().st_size} bytes")
    try:
        found = yaml.safe_load(read_text(path))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: no YAML that can be read: {shortened(error, 300)}") from None
    if not isinstance(found, dict):
        raise DataError(
            f"{path}: expected settings of the data, found {type(found).__name__}; "
            "'fairseq-gist prepare' writes such a file"
        )
    return found


def check_vocabulary(data: Path, config_yaml: str, named: Optional[Any]) -> None:
    """Raise DataError unless the vocabulary of a data folder is there and can be read.

    Args:
        data: the folder.
        config_yaml: its configuration.
        named: in the configuration; None where it names none.
    """
    if named is not None and not isinstance(named, str):
        raise DataError(f"{data / config_yaml}: vocab_filename should be a file, is {named!r}")
    file = data / (named or "dict.txt")
    if not file.is_file():
        raise DataError(f"{data / config_yaml}: its vocabulary {file} doesn't exist")
    for number, line in enumerate(iter_lines(file), start=1):
        _, space, count = line.replace(" #fairseq:overwrite", "").rpartition(" ")
        if not space or not count.lstrip("-").isdecimal():
            raise DataError(
                f"{file}, line {number}: expected a symbol, a space and a number, found "
                f"'{shortened(line)}'"
            )


def check_train_subsets(subsets: Optional[str]) -> None:
    """Raise OptionError where fairseq wouldn't take subsets for those of training."""
    for name in (subsets or "train").split(","):
        if not name.startswith("train"):
            raise OptionError(
                f"--train-subset {subsets}: the names of training subsets begin with 'train', by "
                f"which fairseq knows them; found '{name}'"
            )
