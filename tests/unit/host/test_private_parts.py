"""Private parts of fairseq are used in one room, and the page about them has them all."""

import re

PRIVATE = re.compile(r"(?<!\bself)\.(_[a-z]\w+)")
OF_OTHERS = {
    "_is_view",
    "_version",
    "_extract_corpus_statistics",
    "_compute_score_from_stats",
    "_attn_implementation",
}
"""Of torch's tensors, of sacreBLEU and of transformers, which have no public way to them."""


def uses(folder):
    """Return the private names that the linter was told to let pass, with the files."""
    found = {}
    for path in sorted(folder.rglob("*.py")):
        for line in path.read_text(encoding="utf-8").splitlines():
            if "noqa: SLF001" in line:
                for name in PRIVATE.findall(line.partition("#")[0]):
                    found.setdefault(name, set()).add(str(path.relative_to(folder).parts[0]))
    return found


def test_they_are_used_in_one_room(repo_root):
    rooms = set()
    for name, where in uses(repo_root / "fairseq_gist").items():
        if name not in OF_OTHERS | {"_name"}:
            rooms |= where
    assert rooms == {"host", "architectures"}


def test_the_page_has_them_all(repo_root):
    page = (repo_root / "docs" / "private-parts.md").read_text(encoding="utf-8")
    used = set(uses(repo_root / "fairseq_gist")) - OF_OTHERS
    assert len(used) > 5
    assert not [name for name in sorted(used) if name not in page]
