"""Draw which room of the package imports which: the diagram in ``docs/rooms.md``.

    python docs/rooms.py > docs/rooms.md

Read off the imports, so a test can hold the page against them. A room is a folder of the package;
the three modules at the root and the folders of single architectures are rooms of their own. Arrows
that follow from others are left out.
"""

from __future__ import annotations

import ast
import itertools
import sys
from pathlib import Path
from typing import Dict, Iterator, List, Mapping, Set

PACKAGE = "fairseq_gist"
ROOT = Path(__file__).resolve().parents[1]

_HEAD = """# Rooms: which part of the code uses which

Which room of `fairseq_gist/` imports which, drawn by `python docs/rooms.py > docs/rooms.md` from
the imports themselves (a test holds it against them). An arrow that follows from others is left
out: what lies below can be used, what lies above can't. What each room knows, its first line says.

```mermaid
graph TD
"""


def modules() -> Dict[str, Path]:
    """Return every module of the package by its dotted name."""
    found: Dict[str, Path] = {}
    for path in sorted((ROOT / PACKAGE).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def room_of(module: str) -> str:
    """Return the room of a module, a folder or a module at the root."""
    parts = module.split(".")[1:]
    if parts[:1] == ["architectures"] and (ROOT / PACKAGE).joinpath(*parts[:2]).is_dir():
        return ".".join(parts[:2])
    return parts[0] if parts else PACKAGE


def imports(known: Mapping[str, Path]) -> Dict[str, Set[str]]:
    """Return which rooms each room imports."""
    found: Dict[str, Set[str]] = {room_of(module): set() for module in known}
    for module, path in known.items():
        for name in _imported(ast.parse(path.read_text(encoding="utf-8")), known):
            found[room_of(module)].add(room_of(name))
    # the package itself has the version only, and nobody is in a room by it
    del found[PACKAGE]
    return {room: others - {room, PACKAGE} for room, others in found.items()}


def _imported(tree: ast.AST, known: Mapping[str, Path]) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == PACKAGE:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in known else str(node.module)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)


def reduced(arrows: Mapping[str, Set[str]]) -> Dict[str, List[str]]:
    """Return the arrows without those that follow from others."""
    reach: Dict[str, Set[str]] = {}

    def below(room: str) -> Set[str]:
        if room not in reach:
            reach[room] = set()
            for other in arrows[room]:
                reach[room] |= {other} | below(other)
        return reach[room]

    return {
        room: sorted(o for o in others if not any(o in below(p) for p in others if p != o))
        for room, others in sorted(arrows.items())
    }


def page() -> str:
    """Return the text of ``docs/rooms.md``."""
    known = modules()
    lines = [
        f"    {room} --> {other}"
        for room, others in reduced(imports(known)).items()
        for other in others
    ]
    table = ["| room | modules | what it knows |", "|---|---:|---|"]
    for room, members in itertools.groupby(sorted(known, key=room_of), room_of):
        if room == PACKAGE:
            continue
        listed = list(members)
        table.append(f"| `{room}` | {len(listed)} | {_first_line(known[min(listed, key=len)])} |")
    return _HEAD + "\n".join(lines) + "\n```\n\n" + "\n".join(table) + "\n"


def _first_line(path: Path) -> str:
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return text.split("\n")[0]


if __name__ == "__main__":
    sys.stdout.write(page())
