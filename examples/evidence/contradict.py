"""Make a corpus whose right plan is known: languages that contradict each other, in groups.

    python examples/evidence/contradict.py CORPUS OUT --groups es=qaa,qad,qae,qah de=qab,qac,qaf,qag

Every language of a group has the text of one real language of CORPUS, under a code that ISO 639
leaves to private use. All hear the same English. Without a tag in front of the text nothing tells a
model which of the two is asked for but what a group has of its own.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import Dict, List

SPLITS = ("train", "dev", "tst-COMMON")


def groups_of(words: List[str]) -> Dict[str, str]:
    """Return language -> the real one whose text it has.

    Raises:
        ValueError: for a word that isn't REAL=CODE,CODE, or a code that is there twice.
    """
    found: Dict[str, str] = {}
    for word in words:
        real, equals, codes = word.partition("=")
        if not (real and equals and codes):
            raise ValueError(f"--groups: expected REAL=CODE,CODE, found '{word}'")
        for code in codes.split(","):
            if code in found:
                raise ValueError(f"--groups: '{code}' is there twice")
            found[code] = real
    return found


def make(corpus: Path, out: Path, real_of: Dict[str, str]) -> None:
    """Write the corpus; recordings are hard links to those of the other.

    Raises:
        FileNotFoundError: when CORPUS lacks a language.
    """
    for real in set(real_of.values()):
        if not (corpus / f"en-{real}").is_dir():
            raise FileNotFoundError(f"{corpus}: expected a folder en-{real}, found none")
    beside = out.with_name(f".{out.name}.part")
    if beside.exists():
        shutil.rmtree(beside)
    out.parent.mkdir(parents=True, exist_ok=True)
    for code, real in real_of.items():
        for split in SPLITS:
            source = corpus / f"en-{real}" / "data" / split
            target = beside / f"en-{code}" / "data" / split
            shutil.copytree(source / "wav", target / "wav", copy_function=_link)
            (target / "txt").mkdir()
            for name, new in (("yaml", "yaml"), ("en", "en"), (real, code)):
                shutil.copyfile(
                    source / "txt" / f"{split}.{name}", target / "txt" / f"{split}.{new}"
                )
    content = json.dumps({"text_of": real_of}, indent=2)
    (beside / "corpus.json").write_text(content + "\n", encoding="utf-8")
    beside.rename(out)


def _link(source: str, target: str) -> str:
    try:
        Path(target).hardlink_to(Path(source).resolve())
    except OSError:  # another disk
        shutil.copy2(source, target)
    return target


def main() -> int:
    """Make what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("corpus", type=Path, metavar="CORPUS", help="of 'fairseq-gist corpus cldr'")
    parser.add_argument("out", type=Path, metavar="OUT", help="where the new one goes")
    parser.add_argument("--groups", nargs="+", required=True, metavar="REAL=CODE,CODE")
    args = parser.parse_args()
    try:
        if args.out.exists() and any(args.out.iterdir()):
            raise FileExistsError(f"{args.out}: expected nothing there, or an empty folder")
        make(args.corpus, args.out, groups_of(args.groups))
    except (OSError, ValueError) as error:
        print(f"contradict: error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
