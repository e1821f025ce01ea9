"""What data are prepared from: their layout, languages and names, and a fingerprint of the text."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Dict, List, Optional, Tuple

from fairseq_gist.errors import DataError
from fairseq_gist.languages.codes import is_code, same_code
from fairseq_gist.preparing.layouts import Layout, all_layouts
from fairseq_gist.preparing.options import Options
from fairseq_gist.preparing.tsv import ASR
from fairseq_gist.preparing.vocabulary import Vocabulary

__all__ = ["fingerprint", "tagged", "understand"]

_CODE = re.compile(r"^[A-Za-z0-9]+(-[A-Za-z0-9]+)*$")
_SPLIT = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*$")


def understand(root: Path, options: Options) -> Tuple[Layout, Options, Optional[Vocabulary]]:
    """Return the layout of the data, the options with the languages that are there, a vocabulary.

    Raises:
        DataError: where languages, names or the given vocabulary don't fit.
        OptionError: where options don't.
    """
    options.validate()
    layout = all_layouts()[options.layout](root, options.source, options.target)
    options = _with_splits(layout, _with_languages(layout, options))
    _check_names(layout, options)
    vocabulary = Vocabulary(Path(options.vocabulary)) if options.vocabulary else None
    if vocabulary is not None:
        vocabulary.check(() if options.grow_vocabulary else tagged(options))
    return layout, options, vocabulary


def tagged(options: Options) -> Tuple[str, ...]:
    """The languages whose tags are put before translations into them."""
    if options.target is None:
        return options.languages
    return (options.target,) if options.target_tag else ()


def _with_languages(layout: Layout, options: Options) -> Options:
    there = layout.languages()
    asked, missing = [], []
    for name in options.languages:
        found = [one for one in there if one == name] or [
            one for one in there if same_code(one, name)
        ]
        asked += found
        missing += [] if found else [name]
    if missing:
        raise DataError(
            f"{layout.root}: no {', '.join(layout.folder(name) for name in sorted(missing))}; "
            f"there are {', '.join(there)}"
        )
    languages = tuple(sorted(set(asked or there)))
    folded: Dict[str, str] = {}
    for name in languages:
        other = folded.setdefault(name.replace("_", "-").casefold(), name)
        if other != name:
            raise DataError(
                f"{layout.root}: languages {other!r} and {name!r} differ in case or separators "
                "only; rename one, or choose one with --languages"
            )
    return replace(options, languages=languages)


def _with_splits(layout: Layout, options: Options) -> Options:
    """The options with the splits of the layout, where none are asked for."""
    splits = options.splits or layout.splits()
    options = replace(
        options, splits=splits, multiway_from=options.multiway_from or splits[1:2] or splits[:1]
    )
    options.validate()
    return options


def _check_names(layout: Layout, options: Options) -> None:
    """Raise where a language or split can't be in a file's name, or two files would have one."""
    for language in options.languages:
        if not (_CODE.match(language) or is_code(language)):
            raise DataError(
                f"language {language!r}: expected a code of letters, digits and hyphens, such as "
                "'pt', 'zh-cn' or 'cmn_Hant', as it becomes part of file names; rename the folder "
                f"{layout.folder(language)}, or leave it out with --languages"
            )
    for split in options.splits:
        if not _SPLIT.match(split):
            raise DataError(
                f"split {split!r}: expected letters, digits, points, hyphens and underscores"
            )
    names = Counter(["multiway", *options.splits])
    endings = [*options.languages, ASR] if options.asr else options.languages
    names.update(f"{split}_{ending}" for split in options.splits for ending in endings)
    twice = sorted(name for name, count in names.items() if count > 1)
    if twice:
        raise DataError(
            f"{', '.join(f'{name}.tsv' for name in twice)} would be written twice; rename a split "
            "or language, or choose with --splits and --languages"
        )


def fingerprint(layout: Layout, options: Options, vocabulary: Optional[Vocabulary]) -> str:
    """A fingerprint of all text files that go in."""
    digest = hashlib.sha256()
    if vocabulary is not None:
        for path in (vocabulary.model, vocabulary.dictionary):
            digest.update(path.read_bytes())
    for split in options.splits:
        for language in options.languages:
            for path in _files(layout, language, split):
                digest.update(f"{language}/{path.name}\n".encode())
                with open(path, "rb") as file:
                    while block := file.read(1 << 20):
                        digest.update(block)
    return digest.hexdigest()


def _files(layout: Layout, language: str, split: str) -> List[Path]:
    try:
        return layout.files(language, split) if layout.has(language, split) else []
    except DataError:  # what lacks is told with all else that is wrong
        return []
