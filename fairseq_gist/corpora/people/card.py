"""The data card: where everything is from, under which licence, how much, and what is left out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Tuple

from fairseq_gist.corpora.people.rules import RULES
from fairseq_gist.files import replacing

__all__ = ["licence", "write_card"]

_CARD, _LICENCES = "CARD.md", "licences"
_GPL = re.compile(r"version (\d)( dated| of the License,\s+or)")


def write_card(out: Path, record: Mapping[str, Any], licences: Mapping[str, str]) -> None:
    """Write ``CARD.md``, and what every package says of its licence into ``licences/``.

    Args:
        out: folder of the corpus.
        record: of the corpus.
        licences: the copyright file of every package.
    """
    for name, text in licences.items():
        with replacing(out / _LICENCES / f"{name}.txt") as path:
            path.write_bytes(text.encode())
    lines = [*_head(record), *_sources(record, licences), *_amounts(record), *_left_out(record)]
    with replacing(out / _CARD) as path:
        path.write_bytes("".join(f"{line}\n" for line in lines).encode())


def licence(text: str, files: str) -> Tuple[str, str]:
    """Return the licence of a package's files and who holds it, as its copyright file says.

    Args:
        text: the copyright file.
        files: a pattern that it may have a paragraph for, such as ``ru-*``.
    """
    paragraphs = {one.get("Files", ""): one for one in _paragraphs(text)}
    found = paragraphs.get(files) or paragraphs.get("*")
    if found is not None:
        return found.get("License", ""), found.get("Copyright", "")
    gpl = _GPL.search(text)
    if gpl is None:
        return f"see {_LICENCES}/", ""
    return f"GPL-{gpl.group(1)}{'+' if 'or' in gpl.group(2).split() else ''}", ""


def _paragraphs(text: str) -> Iterator[Dict[str, str]]:
    """Go through the paragraphs of a machine-readable copyright file, first lines of fields."""
    if not text.startswith("Format:"):
        return
    for paragraph in re.split(r"\n\s*\n", text):
        fields = re.findall(r"^([A-Za-z-]+):[ \t]*(.*)$", paragraph, re.MULTILINE)
        yield {key: value.strip() for key, value in reversed(fields)}


def _head(record: Mapping[str, Any]) -> List[str]:
    into = record["direction"] == "many-to-one"
    what = "twelve languages into English" if into else "Czech into ten languages"
    return [
        f"# People: {what}",
        "",
        f"Human speech and its translations from packages of Debian, size `{record['size']}`, "
        f"languages {', '.join(record['languages'])}. Made on this machine by `fairseq-gist corpus "
        "people`; whoever passes it on does so under the licences below.",
        "",
    ]


def _sources(record: Mapping[str, Any], licences: Mapping[str, str]) -> List[str]:
    lines = ["## Sources", "", "| package | version | licence | copyright | SHA-256 |"]
    lines.append("|---|---|---|---|---|")
    for name, found in record["packages"].items():
        parts = name.split("-")
        kind, holder = licence(licences.get(name, ""), f"{parts[3]}-*" if len(parts) > 3 else "*")
        cells = (name, found["version"], kind, holder, found["sha256"])
        lines.append(f"| {' | '.join(cell.replace('|', '/') or '-' for cell in cells)} |")
    lines += ["", f"Their copyright files are in `{_LICENCES}/`, whole.", ""]
    return lines


def _amounts(record: Mapping[str, Any]) -> List[str]:
    splits = record["splits"]
    lines = ["## Utterances and minutes", ""]
    lines.append(f"| spoken | {' | '.join(splits)} | speakers of training |")
    lines.append("|---|" + "---:|" * len(splits) + "---|")
    languages = sorted({one for split in splits.values() for one in split["languages"]})
    nothing = {"utterances": 0, "seconds": 0.0, "speakers": {}}
    for language in languages:
        found = [split["languages"].get(language, nothing) for split in splits.values()]
        cells = [f"{one['utterances']:,} / {one['seconds'] / 60:.1f}" for one in found]
        speakers = sorted(found[0]["speakers"].items(), key=lambda one: (-one[1], one[0]))
        shown = ", ".join(f"{name} {count:,}" for name, count in speakers[:4])
        more = f" and {len(speakers) - 4} more" if len(speakers) > 4 else ""
        lines.append(f"| {language} | {' | '.join(cells)} | {shown}{more} |")
    totals = []
    for split in splits.values():
        found = list(split["languages"].values())
        count, seconds = (sum(one[key] for one in found) for key in ("utterances", "seconds"))
        totals.append(f"{count:,} / {seconds / 60:.1f}")
    lines.append(f"| all | {' | '.join(totals)} | |")
    lines += [
        "",
        "Speakers are known as far as the packages tell: `asterisk-` is one person a language, "
        "`fillets-` a role of the game (who acted it isn't told), and `tuxpaint-` all volunteers "
        "of a language together. Speakers of test are heard in training.",
        "",
        "A sentence of test is in no other split and one of dev not in training, in any language, "
        "spoken or only written; sentences are the same when they have the same letters and "
        "digits, in upper or lower case. Dialogues are split by level.",
        "",
    ]
    return lines


def _left_out(record: Mapping[str, Any]) -> List[str]:
    lines = ["## Left out", "", "`dropped.tsv` lists every recording that is left out.", ""]
    lines += ["| rule | recordings | of | why |", "|---|---:|---|---|"]
    for rule, counts in record["dropped"].items():
        shown = ", ".join(f"{language} {count:,}" for language, count in counts.items())
        lines.append(f"| {rule} | {sum(counts.values()):,} | {shown} | {RULES.get(rule, '')} |")
    return lines
