"""How `make docs` makes pages of docs/*.md, of the READMEs and of the code's own words.

The source folder is the repository, so that the links in the pages, which are relative and work
where the repository is looked at, lead to the same pages here. `GIST_SOURCE` is the base address
for those to files that are no pages, such as `https://example.org/fairseq-gist/blob/main`: without
it files are copied beside the pages, and folders, which can't be, are named without a link.
"""

import logging
import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(ROOT)]

import fairseq_gist  # noqa: E402

logging.getLogger("fairseq").setLevel(logging.ERROR)  # it tells of packages that are no matter

project = "fairseq-gist"
author = "The fairseq-gist developers"
release = version = fairseq_gist.__version__

extensions = ["myst_parser", "generated", "links", "long_words", "sequence"]
myst_heading_anchors = 4
myst_enable_extensions = ["deflist"]
nitpicky = True

root_doc = "docs/index"
PAGES = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "docs", "examples")
include_patterns = ["*.md", "docs/**.md", "examples/**.md"]
exclude_patterns = [path.name for path in ROOT.iterdir() if path.name not in PAGES]
highlight_language = "bash"

gist_source = os.environ.get("GIST_SOURCE", "")

html_theme = "furo"
html_title = f"fairseq-gist {version}"
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
html_static_path = [str(HERE / "static")]
html_css_files = ["site.css"]
html_additional_pages = {"index": "redirect.html"}
templates_path = [str(HERE / "templates")]
