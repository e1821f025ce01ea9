"""The file that gradient statistics are kept in: a zip of arrays."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any, Dict, Mapping, Union

import numpy as np
from numpy.typing import NDArray

from fairseq_gist.errors import StatisticsError, shortened
from fairseq_gist.files import missing, replacing

__all__ = ["SCHEMA", "read_arrays", "write_arrays"]

SCHEMA = 1
"""Version of the file's layout; a reader refuses newer ones."""

_LONGEST = 300
"""Characters of what another library says."""


def write_arrays(path: Union[str, Path], arrays: Mapping[str, Any]) -> None:
    """Write one ``.npz`` file, whole or not at all."""
    content: Dict[str, Any] = {"schema": np.int64(SCHEMA), **arrays}
    needs = sum(np.asarray(array).nbytes for array in content.values())
    with replacing(path, needs) as temporary, open(temporary, "wb") as stream:
        np.savez_compressed(stream, **content)


def read_arrays(path: Union[str, Path]) -> Dict[str, NDArray[Any]]:
    """Return what :func:`write_arrays` wrote.

    Raises:
        StatisticsError: when the file can't be read or is not of a known layout.
    """
    if not Path(path).is_file():
        raise StatisticsError(f"cannot read gradient statistics {path}: {missing(path)}")
    if not zipfile.is_zipfile(path):
        # of such a file numpy says that it is pickled, and how to load that regardless
        raise StatisticsError(
            f"cannot read gradient statistics {path}: expected an .npz archive, found another "
            "file, or one that is cut off"
        )
    try:
        with np.load(path, allow_pickle=False) as content:
            arrays = {name: content[name] for name in content.files}
    except Exception as error:  # a damaged file can have numpy raise anything
        reason = shortened(error, _LONGEST)
        raise StatisticsError(f"cannot read gradient statistics {path}: {reason}") from None
    schema = arrays["schema"].tolist() if "schema" in arrays else None
    if type(schema) is not int or schema != SCHEMA:
        raise StatisticsError(
            f"{path}: expected gradient statistics of schema {SCHEMA}, found "
            f"{shortened(repr(schema))}; it is another file, or one of a newer fairseq-gist"
        )
    return arrays
