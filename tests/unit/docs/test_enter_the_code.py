"""The walk through the code leads to files that are there."""

import re


def test_every_path_of_the_walk_exists(repo_root):
    page = (repo_root / "docs" / "enter-the-code.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:[a-z_0-9]+/)+[a-z_0-9]*(?:\.py)?)`", page))
    roots = (repo_root / "fairseq_gist", repo_root)
    missing = sorted(path for path in named if not any((root / path).exists() for root in roots))
    assert len(named) > 50
    assert not missing
