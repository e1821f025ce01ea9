"""Links of pages into the repository, to what is no page: files and folders."""

from pathlib import Path
from typing import Dict, Optional

from docutils import nodes
from pygments.lexers.special import TextLexer
from sphinx.addnodes import download_reference, pending_xref
from sphinx.application import Sphinx

__all__ = ["setup"]


def _inside(app: Sphinx, target: str) -> Optional[Path]:
    """Return what a link of the page that is read leads to, in the repository, if it is there."""
    root = Path(app.srcdir).resolve()
    path = (root / app.env.docname).parent.joinpath(target).resolve()
    return path.relative_to(root) if path.exists() and root in path.parents else None


def _to_source(app: Sphinx, node: nodes.Element, path: Path) -> None:
    address = f"{app.config.gist_source.rstrip('/')}/{path.as_posix()}"
    node.replace_self(nodes.reference("", "", *node.children, refuri=address, internal=False))


def _resolve(app: Sphinx, doctree: nodes.document) -> None:
    """Lead files to the source, where that is known, and folders there or to their README."""
    if app.config.gist_source:
        for node in list(doctree.findall(download_reference)):
            path = _inside(app, node["reftarget"])
            if path is not None:
                _to_source(app, node, path)
    for node in list(doctree.findall(pending_xref)):
        path = _inside(app, node["reftarget"])
        if node.get("refdomain") or path is None or not (Path(app.srcdir) / path).is_dir():
            continue
        readme = (path / "README").as_posix()
        if readme in app.env.found_docs:
            node.attributes.update(refdomain="doc", reftarget=readme, reftargetid=None)
        elif app.config.gist_source:
            _to_source(app, node, path)
        else:
            node.replace_self(node.children)


def setup(app: Sphinx) -> Dict[str, bool]:
    app.add_config_value("gist_source", "", "env", str)
    app.add_lexer("mermaid", TextLexer)  # drawn where the repository is looked at, text here
    app.connect("doctree-read", _resolve)
    return {"parallel_read_safe": True}
