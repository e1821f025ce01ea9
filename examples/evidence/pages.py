"""Writing what was found: as data, and as a page to read."""

from __future__ import annotations

from pathlib import Path
from typing import Mapping

from fairseq_gist.files import replacing


def write_all(prefix: Path, contents: Mapping[str, str]) -> None:
    """Write each text to the file whose name is that of ``prefix`` and what the text is called."""
    for suffix, content in contents.items():
        with replacing(prefix.with_name(prefix.name + suffix)) as temporary:
            temporary.write_text(content, encoding="utf-8")
