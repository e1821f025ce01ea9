"""Names and texts are shown, and never are a part of the page."""

import dataclasses
import html
import json
import re
from html.parser import HTMLParser

import pytest

from fairseq_gist.cli.main import main
from fairseq_gist.sharing.plan import SharingPlan
from tests.unit.report.test_page import planted

SCRIPT = "<script>x</script>"
BREAKOUT = "\"'><i onerror=x>"
AWAY = "</title></style></svg><b>"


# names that no model has leave no room for a picture
pytestmark = pytest.mark.filterwarnings("ignore:constrained_layout not applied")


class Tags(HTMLParser):
    """Every tag of a page with its attributes."""

    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The report of a run in which everything that has a name has one like that."""
    tmp_path = tmp_path_factory.mktemp("escaping")
    run = tmp_path / "run"
    run.mkdir()
    whole = planted()
    count = len(whole.languages)
    languages = sorted(f"{SCRIPT}{number}" for number in range(count))
    units = tuple(f"{unit}{BREAKOUT}" for unit in whole.units)
    provenance = {"note": SCRIPT, "policy": BREAKOUT, "data": AWAY}
    dataclasses.replace(whole, languages=tuple(languages), units=units, provenance=provenance).save(
        run / "<b>.npz"
    )
    SharingPlan(
        languages,
        {unit: [[one] for one in languages] for unit in units},
        provenance,
        update=3,
    ).save(run / f"{AWAY.replace('/', '')}.json")
    (run / "train.log").write_text(
        "2026-01-01 00:00:00 | INFO | train_inner | epoch 001: 1 / 2 "
        f"loss_{SCRIPT}=3.0, loss=2.0, num_updates=1\n",
        encoding="utf-8",
    )
    out = tmp_path / "report"
    title = ["--title", f"{AWAY}{SCRIPT}{BREAKOUT}"]
    assert main(["report", str(run), "-o", str(out), *title]) == 0
    return out


def test_no_name_is_a_part_of_the_page(page):
    text = (page / "index.html").read_text(encoding="utf-8")
    tags = Tags(text).found
    assert "script" not in {tag for tag, _ in tags}
    assert "b" not in {tag for tag, _ in tags}
    for _, attributes in tags:
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href"):
            assert attributes.get(name, "#").startswith(("data:", "#")), attributes
    assert html.escape(SCRIPT) in text
    assert SCRIPT not in re.sub(r'"data:[^"]*"', "", text)


def test_no_name_is_a_part_of_a_picture(page):
    pictures = list(page.glob("figures/*.svg"))
    assert pictures
    for picture in pictures:
        text = picture.read_text(encoding="utf-8")
        assert "<script" not in text
        assert "onerror" not in re.sub(r">[^<]*<", "><", text)


def test_files_of_figures_have_plain_names(page):
    for path in page.rglob("*"):
        assert re.fullmatch(r"[\w.\- ]+", path.name), path.name


def test_a_plan_shown_obeys_no_terminal(tmp_path, capsys):
    plan = {"schema": 2, "languages": ["\x1b[31mde", "fr"], "units": {"a": [["xx"]]}}
    (tmp_path / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    assert main(["show", str(tmp_path / "plan.json")]) == 1
    assert "\x1b" not in capsys.readouterr().err
