"""Reading and writing files: no reader ever sees half of one, and every error names the file."""

from fairseq_gist.files.hashing import sha256_of
from fairseq_gist.files.names import unused_name
from fairseq_gist.files.reading import (
    iter_lines,
    missing,
    read_json,
    read_lines,
    read_object,
    read_table,
    read_text,
)
from fairseq_gist.files.replacing import replacing, replacing_folder

__all__ = [
    "iter_lines",
    "missing",
    "read_json",
    "read_lines",
    "read_object",
    "read_table",
    "read_text",
    "replacing",
    "replacing_folder",
    "sha256_of",
    "unused_name",
]
