"""Write the tables of a page from the runs that it names.

    python docs/results_tables.py docs/results-evidence.md docs/results-people.md

``<!-- runs: evidence/control.jsonl; against: random joint -->`` is followed by a table of what
systems differ by (``examples/evidence/compare.py``), up to the next ``<!-- end -->``; with
``score: chrf`` in front of ``against`` by that figure, of which the highest is best. Files are
those of ``docs/results``; a test holds the page against them.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from fairseq_gist.files import replacing

DOCS = Path(__file__).resolve().parent
_TABLE = re.compile(
    r"(<!-- runs: (\S+);(?: score: (\w+);)? against: ([^>]+?) -->\n).*?(<!-- end -->)", re.DOTALL
)


def written(text: str) -> str:
    """Return the text of a page, with its tables as the runs have them."""
    sys.path.insert(0, str(DOCS.parent / "examples" / "evidence"))
    try:
        import compare
    finally:
        sys.path.pop(0)

    def table(found: re.Match[str]) -> str:
        begin, name, score, against, end = found.groups()
        figure, others = score or "test", against.split()
        systems = compare.compared(compare.runs_in(DOCS / "results" / name, figure), others)
        return f"{begin}\n{compare.page_of(systems, others, figure, bool(score))}\n{end}"

    return _TABLE.sub(table, text)


def main() -> None:
    """Write the pages that the command line names."""
    for name in sys.argv[1:]:
        text = written(Path(name).read_text(encoding="utf-8"))
        with replacing(name) as temporary:
            temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
