"""A tiny test set in two languages, translations of it, and the files they come in."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

Row = Tuple[str, str, str]

ROWS: List[Row] = [
    ("de", "in five weeks from now", "in fünf Wochen ab heute"),
    ("fr", "in five weeks from now", "dans cinq semaines à partir d'aujourd'hui"),
    ("de", "three hundred and twelve", 'sie sagte: "dreihundertzwölf Kilometer"'),
    ("fr", "three hundred and twelve", "elle a dit\u2028trois cent douze kilomètres"),
    ("de", "a day", "am Donnerstag, dem zweiten Mai"),
    ("fr", "a day", "le jeudi deux mai de cette année"),
]
GOOD = [text for _, _, text in ROWS]
WORSE = [text.replace("cinq", "six").replace("fünf", "sechs") for text in GOOD]
WORSE[4] = "am Montag, dem dritten Mai"


def translated(references: Sequence[str], seed: int, errors: float) -> List[str]:
    """The references with a share of the words wrong."""
    draw = random.Random(seed)
    return [
        " ".join("falsch" if draw.random() < errors else word for word in text.split())
        for text in references
    ]


def write_manifest(
    data: Path,
    subset: str,
    rows: Sequence[Row],
    language: bool = True,
    ids: Optional[Sequence[int]] = None,
) -> Path:
    """Write a manifest; a row's id is its number, or what ``ids`` says."""
    data.mkdir(exist_ok=True)
    columns = ["id", "audio", "n_frames", "tgt_text", "src_text"] + ["tgt_lang"] * language
    lines = ["\t".join(columns)]
    for number, (lang, source, target) in zip(ids or range(len(rows)), rows):
        cells = [str(number), "a.zip:0:1", "9", target, source] + [lang] * language
        lines.append("\t".join(cells))
    (data / f"{subset}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return data


def write_output(
    directory: Path,
    subset: str,
    hypotheses: Dict[int, str],
    targets: Optional[Sequence[str]] = None,
) -> Path:
    """Write a file as fairseq-generate does: by length, with log lines in between."""
    directory.mkdir(exist_ok=True)
    lines = ["2022-05-01 10:00:00 | INFO | fairseq_cli.generate | {'D-0': 1}"]
    for row in sorted(hypotheses, key=lambda row: len(hypotheses[row])):
        if targets:
            lines.append(f"T-{row}\t{targets[row]}")
        lines.append(f"H-{row}\t-0.25\t▁{hypotheses[row]}")
        lines.append(f"D-{row}\t-0.25\t{hypotheses[row]}")
        lines.append(f"P-{row}\t-0.2500 -0.2500")
    lines.append(f"Generate {subset} with beam=5: BLEU = 12.34")
    path = directory / f"generate-{subset}.txt"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def write_per_language(data: Path, directory: Path, subset: str, texts: Sequence[str]) -> None:
    """Write what :func:`write_output` would as a manifest and an output a language."""
    for language in sorted({row[0] for row in ROWS}):
        ids = [number for number, row in enumerate(ROWS) if row[0] == language]
        own = f"{subset}_{language}"
        write_manifest(data, own, [ROWS[number] for number in ids], ids=ids)
        targets = [ROWS[number][2] for number in ids]
        write_output(directory, own, dict(enumerate(texts[number] for number in ids)), targets)
