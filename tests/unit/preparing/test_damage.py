"""Sixty kinds of damage, by fixed seeds: each is a line, to a check as to the work."""

import random
import shutil

import pytest

pytest.importorskip("kaldi_native_fbank")
pytest.importorskip("sentencepiece")
pytest.importorskip("soundfile")

from fairseq_gist.errors import GistError
from fairseq_gist.preparing.options import Options
from fairseq_gist.preparing.preparation import check, prepare
from tests.unit.preparing.test_prepare import write_layout

INSERTED = [
    *"[{}]\"'#%@`|>&*!?~,:-",
    *(
        "&a ",
        "*a",
        "<<: *a",
        "- ",
        "? ",
        ": ",
        ", ",
        "---\n",
        "...\n",
        "{a: b}",
        "[[[[",
        "\n",
        "\r",
    ),
    *(
        "\t",
        "\0",
        "\ufeff",
        "\u2028",
        "\x85",
        "nan",
        "-1",
        "1e999",
        "9" * 400,
        "1_0",
        "null",
        "a" * 300,
    ),
    *("/", "..", '"\\0"', "'", "\\"),
]
OPTIONS = Options(vocab_size=60)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return write_layout(tmp_path_factory.mktemp("whole") / "mustc").root


def damage_text(content, draw):
    for _ in range(draw.choice([1, 1, 2, 5])):
        place = draw.randrange(len(content) + 1)
        kind = draw.randrange(3)
        if kind == 0:
            content = content[:place] + draw.choice(INSERTED).encode() + content[place:]
        elif kind == 1:
            content = content[:place] + content[place + draw.choice([1, 3, 20]) :]
        else:
            content = content[:place] + bytes([draw.randrange(256)]) + content[place + 1 :]
    return content


def damage_audio(content, draw):
    if draw.random() < 0.5:
        return content[: draw.randrange(len(content))]
    header = bytearray(content)
    for _ in range(draw.choice([1, 2, 4])):
        header[draw.randrange(48)] = draw.randrange(256)
    return bytes(header)


@pytest.mark.parametrize("suffix", [".yaml", ".de", ".en", ".wav"])
@pytest.mark.parametrize("seed", range(15))
def test_damage_is_one_line(whole, tmp_path, suffix, seed):
    draw = random.Random(f"{suffix} {seed}")
    root = shutil.copytree(whole, tmp_path / "mustc")
    path = draw.choice(sorted(root.glob(f"en-de/data/*/*/*{suffix}")))
    damage = damage_audio if suffix == ".wav" else damage_text
    path.write_bytes(damage(path.read_bytes(), draw))
    problems = check(root, OPTIONS, workers=1)
    assert all("\n" not in problem and len(problem) < 600 for problem in problems)
    if seed < 3:  # the rest takes longer than it shows
        if problems:
            with pytest.raises(GistError, match=r"^[^\n]+$"):
                prepare(root, tmp_path / "out", OPTIONS, workers=1)
        else:
            prepare(root, tmp_path / "out", OPTIONS, workers=1)
