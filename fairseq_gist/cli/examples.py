"""``fairseq-gist examples``."""

from __future__ import annotations

import argparse
import re
import shutil
from pathlib import Path

from fairseq_gist.errors import DataError
from fairseq_gist.files import read_text, replacing_folder
from fairseq_gist.files.installed import examples_folder

__all__ = ["EXAMPLE", "add_arguments", "run"]

EXAMPLE = """example:
  fairseq-gist examples examples
  fairseq-gist experiment examples/quickstart/quickstart.toml --dry-run"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument(
        "folder", type=Path, metavar="FOLDER", help="where they go: a new folder, or an empty one"
    )


def run(args: argparse.Namespace) -> None:
    """Copy the examples of the installed package, all of them or none."""
    folder: Path = args.folder
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        found = "a folder with files in it" if folder.is_dir() else "a file"
        raise DataError(f"{folder}: expected a new or empty folder, found {found}; name another")
    if folder.exists() and folder.samefile(Path.cwd()):  # it would be replaced under the shell
        raise DataError(f"{folder}: expected a folder other than the current one; name one in it")
    source = examples_folder()
    with replacing_folder(folder) as new:
        # what pip compiled, where it installed them, is of no use elsewhere
        ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
        shutil.copytree(source, new, ignore=ignored, dirs_exist_ok=True)
        for page in new.rglob("*.md"):
            text = _without_links_to_pages(read_text(page))
            page.write_text(text, encoding="utf-8")
    print(folder)


_LINK_TO_PAGE = re.compile(r"\[([^]]+)\]\((?:\.\./)+(docs/[^)#]+)(?:#[^)]*)?\)")


def _without_links_to_pages(text: str) -> str:
    """Return a page whose links to ``docs``, which isn't copied, name a file of the sources."""
    return _LINK_TO_PAGE.sub(
        lambda link: link[2] if link[1] == link[2] else f"{link[1]} ({link[2]} of the sources)",
        text,
    )
