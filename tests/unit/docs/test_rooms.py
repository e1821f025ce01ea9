"""The diagram of the rooms is what the imports say."""

import runpy


def test_the_page_of_rooms_is_true(repo_root):
    drawn = runpy.run_path(str(repo_root / "docs" / "rooms.py"))["page"]()
    written = (repo_root / "docs" / "rooms.md").read_text(encoding="utf-8")
    assert written == drawn, "draw it again: python docs/rooms.py > docs/rooms.md"


def test_an_arrow_that_follows_from_others_is_left_out(repo_root):
    reduced = runpy.run_path(str(repo_root / "docs" / "rooms.py"))["reduced"]
    arrows = {"cli": {"nn", "plans", "files"}, "nn": {"files"}, "plans": {"files"}, "files": set()}
    assert reduced(arrows)["cli"] == ["nn", "plans"]


def test_few_modules_lie_loose_at_the_root(repo_root):
    loose = [path.name for path in (repo_root / "fairseq_gist").glob("*.py")]
    assert len(loose) <= 4, f"beside __init__.py three at most: {loose}"
