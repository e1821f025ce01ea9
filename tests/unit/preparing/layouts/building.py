"""Small folders as releases lay them out, with sound of their formats."""

from __future__ import annotations

import functools
import io
from pathlib import Path
from typing import Dict, Tuple, Union

import numpy as np
import soundfile

from fairseq_gist.files import read_table
from fairseq_gist.preparing.options import Options
from fairseq_gist.preparing.preparation import prepare

WORDS = {
    "en": "the cat and a dog saw two red birds in our old house",
    "de": "die Katze und ein Hund sahen zwei rote Vögel in unserem Haus",
    "es": "el gato y un perro vieron dos pájaros rojos en la casa",
    "fr": "le chat et un chien virent deux oiseaux rouges à la maison",
    "zh": "猫 和 狗 在 家 里 看见 两 只 红 鸟",
}


def sentence(language: str, seed: int) -> str:
    """The words of a language in an order of their own."""
    return " ".join(np.random.default_rng(seed).permutation(WORDS[language].split()))


def noise(
    path: Path, seconds: float, seed: int = 1, channels: int = 1, rate: int = 16000
) -> np.ndarray:
    """Write noise in the format that a file's name says; gives what was written."""
    samples, content = _encoded(path.suffix, seconds, seed, channels, rate)
    write(path, content)
    return samples.copy()


@functools.lru_cache(maxsize=None)  # encoding takes most of the time of these tests
def _encoded(
    suffix: str, seconds: float, seed: int, channels: int, rate: int
) -> Tuple[np.ndarray, bytes]:
    shape = (int(rate * seconds), channels)
    samples = 0.1 * np.random.default_rng(seed).normal(size=shape).clip(-3, 3)
    kind = {"format": "NIST", "subtype": "ULAW"} if suffix == ".sph" else {"format": suffix[1:]}
    file = io.BytesIO()
    soundfile.write(file, samples, rate, **kind)
    return samples, file.getvalue()


def write(path: Path, content: Union[str, bytes]) -> Path:
    """Write a text file, or bytes, as they are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def prepared(root: Path, options: Options, split: str) -> Dict[str, Dict[str, str]]:
    """What preparation writes of a split, by the rows' ids."""
    out = root / "fairseq"
    prepare(root, out, options, workers=1)
    return {row["id"]: row for row in read_table(out / f"{split}.tsv")}
