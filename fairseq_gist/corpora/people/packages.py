"""The packages of Debian 12 that the corpus is made of: which, where they lie, what is in them."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Sequence

from fairseq_gist.corpora.people import asterisk, fillets, tuxpaint
from fairseq_gist.corpora.people.deb import Deb
from fairseq_gist.errors import DataError
from fairseq_gist.files import sha256_of

__all__ = ["KNOWN", "Known", "Package", "find", "needed"]

logger = logging.getLogger(__name__)

_WAY_OUT = "examples/people/fetch.sh gets it (apt-get download), which fairseq-gist examples copies"


@dataclass(frozen=True)
class Known:
    """A package that the parsers were written for."""

    version: str
    size: int
    sha256: str


KNOWN: Dict[str, Known] = {
    "asterisk-core-sounds-en": Known(
        "1.6.1-1",
        22844,
        "973e797d28e37fa6ca3c0a9d6fa717e77cf1268ae916bf09fd3503113cdffa50",
    ),
    "asterisk-core-sounds-es-g722": Known(
        "1.6.1-1",
        13048380,
        "e4e3b4281057d3b81b779298fd6be705f57411513955c518eed1bcaabbd615b8",
    ),
    "asterisk-core-sounds-es": Known(
        "1.6.1-1",
        22012,
        "9afdab7f559f036649fb406e625899306ca1004df8ebe39c30bfbd5912d66f74",
    ),
    "asterisk-core-sounds-fr-g722": Known(
        "1.6.1-1",
        10822860,
        "7add61d5e42279ecff1bbdf842a5a946ac3644fac9a0fe44384731aa7270c8e0",
    ),
    "asterisk-core-sounds-fr": Known(
        "1.6.1-1",
        23152,
        "04c82c78c570c43a7136cbc5e2488d0c470b775468dff9fbce4a131b18cf1056",
    ),
    "asterisk-core-sounds-it-g722": Known(
        "1.6.1-1",
        10087176,
        "46b4cf7afc508a5fcfc051b7ea233251c0d195dd4ef83cc4b7facb4c6429b016",
    ),
    "asterisk-core-sounds-it": Known(
        "1.6.1-1",
        23972,
        "3884d9457e12f21caa018c18f0d587df5d53ebea14b673d8453a134c5941ab3b",
    ),
    "asterisk-core-sounds-ru-g722": Known(
        "1.6.1-1",
        10579440,
        "673b4238a6b8269960f055d868c6a11083f7a0d00979167cb01554046b48ed9b",
    ),
    "asterisk-core-sounds-ru": Known(
        "1.6.1-1",
        25592,
        "28a61616bb0cd3345a7ea532dec4df9f071e5d0fa9f8c1a563ea9669002f39ab",
    ),
    "fillets-ng-data-cs": Known(
        "1.0.1-1.1",
        39042172,
        "3ecef99b9456f1c80c9625c6f2418642b52d58e7167a46bad7a412db17991b14",
    ),
    "fillets-ng-data-nl": Known(
        "1.0.1-1.1",
        32593580,
        "afb4443fda9ab507dee578b75be857d121718a1cd6017a474f30e0eb13dc9d10",
    ),
    "fillets-ng-data": Known(
        "1.0.1-1.1",
        70633484,
        "25de89afd8b1adf7bcace8290248a6a22c89cd42300317e69000e162c032cf84",
    ),
    "tuxpaint-stamps-default": Known(
        "2022.06.04-1",
        160880444,
        "6db6c1bfc870a47f1499d6203b083522eacb57c5f9c87d468f2e92eb6d9d5f34",
    ),
}


@dataclass(frozen=True)
class Package:
    """A package that is there."""

    name: str
    version: str
    sha256: str
    path: Path

    def files(self) -> Dict[str, bytes]:
        """Return the files that the corpus is made from, by path: texts, speech, licence."""
        licence = f"usr/share/doc/{self.name}/copyright"
        wanted = (fillets.is_wanted, tuxpaint.is_wanted, asterisk.is_wanted)

        def is_wanted(path: str) -> bool:
            return path == licence or any(one(path) for one in wanted)

        return dict(Deb(self.path).files(is_wanted))

    @property
    def licence(self) -> str:
        """The path in it of what its licence is."""
        return f"usr/share/doc/{self.name}/copyright"


def needed(spoken: Sequence[str], is_many_to_one: bool) -> List[str]:
    """Return the names of the packages that hold this speech, and its translations."""
    names: List[str] = []
    if set(spoken) & set(fillets.SPOKEN):
        names.append("fillets-ng-data")
        names += [f"fillets-ng-data-{one}" for one in spoken if one in fillets.SPOKEN]
    if not is_many_to_one:
        return names
    if set(spoken) & set(tuxpaint.SPOKEN):
        names.append("tuxpaint-stamps-default")
    prompted = [language for language in spoken if language in asterisk.SPOKEN]
    if prompted:
        names.append("asterisk-core-sounds-en")
    for language in prompted:
        names += [f"asterisk-core-sounds-{language}", f"asterisk-core-sounds-{language}-g722"]
    return names


def find(folder: Path, names: Sequence[str], any_version: bool) -> List[Package]:
    """Return the packages of these names in a folder.

    Args:
        folder: of ``.deb`` files.
        names: of packages.
        any_version: whether other versions than :data:`KNOWN` are taken, with a warning.

    Raises:
        DataError: where one is missing, damaged, or another than expected.
    """
    if not folder.is_dir():
        raise DataError(
            f"{folder}: no such folder; examples/people/fetch.sh downloads the packages into one, "
            "and --packages names it"
        )
    files = {name: sorted(folder.glob(f"{name}_*.deb")) for name in names}
    missing = [name for name in names if not files[name]]
    if missing:
        raise DataError(
            f"{folder}: no {', no '.join(f'{name}_*.deb' for name in missing)}; "
            f"{_WAY_OUT if len(missing) == 1 else _WAY_OUT.replace('it', 'them', 1)}"
        )
    return [_checked(name, _only(name, files[name]), any_version) for name in names]


def _only(name: str, paths: Sequence[Path]) -> Path:
    """Return the file of a package: the version that is known where there are several."""
    known = [path for path in paths if path.name.startswith(f"{name}_{KNOWN[name].version}_")]
    found = known or list(paths)
    if len(found) > 1:
        raise DataError(
            f"{found[0].parent}: {', '.join(path.name for path in found)}; expected one version "
            f"of {name}: remove the others"
        )
    return found[0]


def _checked(name: str, path: Path, any_version: bool) -> Package:
    control = Deb(path).control()
    if control.get("Package") != name:
        raise DataError(f"{path}: expected the package {name}, found '{control.get('Package')}'")
    package = Package(name, control.get("Version", ""), sha256_of(path), path)
    known = KNOWN[name]
    if package.sha256 == known.sha256:
        return package
    found = (
        f"version {package.version}, expected {known.version}"
        if package.version != known.version
        else f"SHA-256 {package.sha256}, expected {known.sha256}: damaged, or built anew"
    )
    if not any_version:
        raise DataError(f"{path}: {found}; get that one, or take this one with --any-version")
    logger.warning("%s: %s; counts and splits will differ from those of the docs", path, found)
    return package
