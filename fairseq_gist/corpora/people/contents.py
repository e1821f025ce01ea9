"""What all packages hold together: phrases and recordings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Mapping, Sequence, Tuple

from tqdm import tqdm

from fairseq_gist.corpora.people import asterisk, fillets, tuxpaint
from fairseq_gist.corpora.people.packages import Package
from fairseq_gist.corpora.people.phrases import Phrase, Recording
from fairseq_gist.errors import DataError

__all__ = ["Contents", "read"]


@dataclass(frozen=True)
class Contents:
    """Phrases and recordings, each in a fixed order, and the licences of the packages."""

    phrases: Dict[Tuple[str, str], Phrase]
    recordings: List[Recording]
    licences: Dict[str, str]
    """The copyright file of every package."""


def read(packages: Sequence[Package], spoken: Sequence[str]) -> Contents:
    """Read packages.

    Args:
        packages: those that are needed for the languages.
        spoken: the languages whose recordings are wanted.

    Raises:
        DataError: where one is damaged, or doesn't hold what it should.
    """
    phrases: List[Phrase] = []
    recordings: List[Recording] = []
    licences: Dict[str, str] = {}
    prompts: Dict[str, Mapping[str, str]] = {}
    for package in tqdm(packages, desc="unpacking", unit="package", disable=None):
        files, where = package.files(), str(package.path)
        licences[package.name] = files.get(package.licence, b"").decode("utf-8", "replace")
        found = fillets.recordings(files) + tuxpaint.recordings(files)
        new = fillets.phrases(files, where) + tuxpaint.phrases(files, where)
        if package.name.startswith("asterisk-"):
            language = package.name.split("-")[3]
            if package.name.endswith("-g722"):
                found += asterisk.recordings(files, language)
            else:
                prompts[language] = asterisk.prompts(files, where)
        if not (found or new or package.name in _of_texts(prompts)):
            raise DataError(f"{where}: no text and no speech in it where {package.name} has them")
        phrases += new
        recordings += found
    phrases += asterisk.phrases(prompts)
    wanted = [one for one in recordings if one.language in spoken]
    wanted.sort(key=lambda one: (one.collection, one.language, one.name))
    return Contents({one.key: one for one in phrases}, wanted, licences)


def _of_texts(prompts: Mapping[str, Mapping[str, str]]) -> List[str]:
    return [f"asterisk-core-sounds-{language}" for language, texts in prompts.items() if texts]
