"""SharingPlan: valid or refused, canonical, and the same after a round trip through JSON."""

from __future__ import annotations

import copy
import json
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_gist.errors import PlanError
from fairseq_gist.sharing.division import Division
from fairseq_gist.sharing.plan import SharingPlan, Step

LANGUAGES = ["nl", "de", "es", "fr"]
PAIRS = [["es", "fr"], ["nl", "de"]]

quick = settings(derandomize=True, max_examples=40, deadline=None)


@st.composite
def partitions(draw, languages):
    """Draw any way to group the languages, in any order."""
    groups: dict = {}
    for language in draw(st.permutations(languages)):
        groups.setdefault(draw(st.integers(0, len(languages) - 1)), []).append(language)
    return list(groups.values())


@st.composite
def plans(draw, languages=tuple(LANGUAGES)):
    """Draw a plan of up to five units."""
    names = draw(st.lists(st.text(min_size=1, max_size=6), unique=True, max_size=5))
    return SharingPlan(languages, {name: draw(partitions(languages)) for name in names})


def edited(plan, change):
    """Return the plan's JSON after a person's ``change`` to its content."""
    content = json.loads(plan.to_json())
    change(content)
    return json.dumps(content)


@pytest.fixture
def plan():
    return SharingPlan(
        LANGUAGES, {"b": PAIRS, "a": [LANGUAGES]}, {"policy": "by hand", "size": 1.5}
    )


def test_order_of_languages_and_groups_does_not_matter(plan):
    other = SharingPlan(sorted(LANGUAGES), {"a": [sorted(LANGUAGES)], "b": PAIRS[::-1]})
    assert plan.languages == ("de", "es", "fr", "nl")
    assert plan.units["b"] == (("de", "nl"), ("es", "fr"))
    assert plan.group_of("b") == (0, 1, 1, 0)
    assert plan == other
    assert hash(plan) == hash(other)
    assert plan.signature == other.signature


def test_provenance_is_no_part_of_equality_or_signature(plan):
    other = SharingPlan(plan.languages, plan.units, {"policy": "gradient"})
    assert other == plan
    assert other.signature == plan.signature


def test_signature_tells_partitions_units_and_languages_apart(plan):
    different = [
        plan,
        SharingPlan(LANGUAGES, {"b": PAIRS, "a": [["nl"], ["de", "es", "fr"]]}),
        SharingPlan(LANGUAGES, {"b": PAIRS}),
        SharingPlan(["nl", "de", "es", "it"], {"b": [["es", "it"], ["nl", "de"]]}),
    ]
    assert len({one.signature for one in different}) == len(different)
    assert all(one != other for one in different for other in different if one is not other)


def test_signature_of_a_known_plan_never_changes():
    plan = SharingPlan(["de", "fr"], {"decoder.layer_norm": [["de"], ["fr"]]})
    # sha256 of {"languages":["de","fr"],"units":{"decoder.layer_norm":[["de"],["fr"]]}}
    assert plan.signature == "dfded9777c0f92d2"


@quick
@given(plans())
def test_json_round_trip(plan):
    again = SharingPlan.from_json(plan.to_json())
    assert again == plan
    assert again.to_json() == plan.to_json()
    assert list(again.units) == list(plan.units)
    assert json.loads(plan.to_json())["signature"] == plan.signature


@quick
@given(plans())
def test_every_plan_lies_between_shared_and_language_specific(plan):
    shared = SharingPlan.shared(LANGUAGES, plan.units)
    specific = SharingPlan.language_specific(LANGUAGES, plan.units)
    assert plan.refines(shared)
    assert specific.refines(plan)
    assert plan.refines(plan)
    assert plan.is_shared == (plan == shared)
    sizes = {unit: 10**index for index, unit in enumerate(plan.units)}
    sizes_in_order = [one.size(7, sizes) for one in (shared, plan, specific)]
    assert sizes_in_order == sorted(sizes_in_order)
    assert sizes_in_order[0] == 7


@quick
@given(plans(), plans())
def test_refining_each_other_means_sharing_alike(one, other):
    both = one.refines(other) and other.refines(one)
    everywhere = set(one.units) | set(other.units)
    shared = (one.languages,)
    alike = all(one.units.get(u, shared) == other.units.get(u, shared) for u in everywhere)
    assert both == alike


def test_size_counts_the_copies_beyond_the_first():
    plan = SharingPlan(LANGUAGES, {"a": PAIRS, "b": [[one] for one in LANGUAGES], "c": [LANGUAGES]})
    assert plan.size(1000, {"a": 10, "b": 3, "c": 500}) == 1000 + 10 + 3 * 3


def test_size_names_the_unit_it_does_not_know(plan):
    with pytest.raises(PlanError, match="unit 'b' of the plan is none of the 1 whose"):
        plan.size(10, {"a": 1})


def test_what_would_be_joined_is_named():
    fine = SharingPlan(LANGUAGES, {"a": PAIRS, "b": PAIRS})
    coarse = SharingPlan(LANGUAGES, {"a": PAIRS})
    fine.check_refines(coarse)
    with pytest.raises(PlanError, match=r"would join .* on 'b' \(1 units\)"):
        coarse.check_refines(fine)


def test_plans_of_other_languages_never_refine():
    assert not SharingPlan(["de", "fr"], {}).refines(SharingPlan(["de", "nl"], {}))


def test_saved_and_loaded(plan, tmp_path):
    path = tmp_path / "new" / "plan.json"
    plan.save(path)
    again = SharingPlan.load(path)
    assert again == plan
    assert dict(again.provenance) == {"policy": "by hand", "size": 1.5}
    assert [entry.name for entry in path.parent.iterdir()] == ["plan.json"]


def test_a_failed_save_leaves_the_old_file(plan, tmp_path):
    path = tmp_path / "plan.json"
    plan.save(path)
    before = path.read_text(encoding="utf-8")
    with pytest.raises(TypeError, match="not JSON serializable"):
        SharingPlan(LANGUAGES, {}, {"policy": object()}).save(path)
    assert path.read_text(encoding="utf-8") == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["plan.json"]


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda p: pickle.loads(pickle.dumps(p))])
def test_copies_are_equal(plan, duplicate):
    again = duplicate(plan)
    assert again == plan
    assert dict(again.provenance) == dict(plan.provenance)


def test_cannot_be_changed(plan):
    with pytest.raises(TypeError, match="does not support item assignment"):
        plan.units["a"] = ()


def test_repr_says_how_much_is_split(plan):
    assert repr(plan) == f"SharingPlan(4 languages, 1 of 2 units split, {plan.signature})"


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ([["de", "es", "fr"]], "unit 'u': no group has language 'nl'"),
        (
            [["de", "es", "fr", "nl", "xx"]],
            "unit 'u': unknown language 'xx'; .* are de, es, fr, nl",
        ),
        ([["de", "es"], ["de", "fr", "nl"]], "unit 'u': language 'de' is listed twice"),
        ([["de", "de", "es", "fr", "nl"]], "unit 'u': language 'de' is listed twice"),
        ([LANGUAGES, []], "unit 'u': a group is empty"),
        ([], "unit 'u': no group has language 'de'"),
        (LANGUAGES, "unit 'u': expected a list of languages, found 'nl'"),
        ("de", "unit 'u': expected a list of groups, found 'de'"),
        (3, "unit 'u': expected a list of groups, found 3"),
        (None, "unit 'u': expected a list of groups, found None"),
        ([LANGUAGES, 3], "unit 'u': expected a list of languages, found 3"),
    ],
)
def test_malformed_groups_are_refused(groups, message):
    with pytest.raises(PlanError, match=message):
        SharingPlan(LANGUAGES, {"u": groups})


@pytest.mark.parametrize(
    ("languages", "message"),
    [
        ([], "needs at least one language"),
        (["de", "de"], "lists a language twice: de, de"),
        ("de", "expected a list of languages, found 'de'"),
    ],
)
def test_malformed_languages_are_refused(languages, message):
    with pytest.raises(PlanError, match=message):
        SharingPlan(languages, {})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(schema=3), "expected schema 1 to 2, found 3; .* newer fairseq-gist"),
        (lambda c: c.pop("schema"), "expected schema 1 to 2, found None"),
        (lambda c: c.pop("units"), "'units' is missing"),
        (lambda c: c.pop("languages"), "'languages' is missing"),
        (lambda c: c.update(units=[]), r"'units' must be a JSON object, found \[\]"),
        (lambda c: c.update(languages="de"), "'languages' must be a JSON array, found 'de'"),
        (lambda c: c.update(languages=[1, 2]), r"'languages' must be names, found \[1, 2\]"),
        (lambda c: c.update(provenance=[]), "'provenance' must be a JSON object"),
        (lambda c: c.update(sizes=7), "'sizes' must be a JSON object, found 7"),
        (lambda c: c.update(sizes={"a": "7"}), "a number of parameters of 'a', found '7'"),
        (lambda c: c.update(shared_parameters=-1), "of 'shared_parameters', found -1"),
        (lambda c: c.update(update="7"), "'update' must be a number of updates, found '7'"),
        (lambda c: c.update(blocks={"a": 7}), "'blocks' of 'a' must be a JSON object, found 7"),
        (lambda c: c.update(history=[{}]), "its 'history' can't be read: 'units'"),
        (lambda c: c.update(history=[7]), "its 'history' can't be read: 'int' object"),
        (
            lambda c: c.update(history=[{"update": 1, "units": {"a": [["xx"]]}}]),
            "its 'history' can't be read: unit 'a': unknown language 'xx'",
        ),
        (
            lambda c: c.update(schema=1, provenance={"unit_parameters": {"a": "7"}}),
            "expected a number of parameters of 'a', found '7'",
        ),
        (lambda c: c["units"].update(a=7), "unit 'a': expected a list of groups, found 7"),
        (lambda c: c["units"]["b"][0].append("xx"), "unit 'b': unknown language 'xx'"),
        (lambda c: c["languages"].append("xx"), "unit 'b': no group has language 'xx'"),
    ],
)
def test_mistakes_of_a_hand_are_named_with_the_file(plan, tmp_path, change, message):
    path = tmp_path / "edited.json"
    path.write_text(edited(plan, change), encoding="utf-8")
    with pytest.raises(PlanError, match=f"edited.json: .*{message}"):
        SharingPlan.load(path)


def test_an_edited_plan_has_a_new_signature_and_needs_no_provenance(plan):
    def split(content):
        content["units"]["a"] = [["nl", "es"], ["fr", "de"]]
        del content["provenance"]

    again = SharingPlan.from_json(edited(plan, split))
    assert again.units["a"] == (("de", "fr"), ("es", "nl"))
    assert again.signature != plan.signature


@pytest.fixture
def grown():
    """A plan that a run came to in two steps, with all that a plan can know."""
    own = {"f": Division("g", 4, (1, 2))}
    units = {"a": PAIRS, "f.own": [[one] for one in LANGUAGES]}
    return SharingPlan(
        LANGUAGES,
        units,
        {"policy": "gdps"},
        own,
        sizes={"a": 3, "f.own": 2},
        shared_parameters=100,
        update=20,
        history=[Step(0, SharingPlan(LANGUAGES, {"a": PAIRS}, None, own))],
        blocks={"f": {"why": "languages differ", "delta": 0.5}},
        is_default=True,
    )


def test_all_that_a_plan_knows_survives_json_and_copies(grown):
    for again in (SharingPlan.from_json(grown.to_json()), copy.deepcopy(grown), grown.replaced()):
        assert again == grown
        assert again.to_json() == grown.to_json()
        assert again.steps == grown.steps
        assert again.steps[0].plan.divisions == dict(grown.divisions)
        assert [step.update for step in again.steps] == [0, 20]
        assert again.parameters == 100 + 3 + 3 * 2
        assert again.blocks["f"]["why"] == "languages differ"
        assert again.is_default


def test_a_plan_in_a_file_was_asked_for(grown, tmp_path):
    """So that its adapters aren't joined again as those that nobody asked for."""
    grown.save(tmp_path / "plan.json")
    assert not SharingPlan.load(tmp_path / "plan.json").is_default


def test_sizes_and_history_are_no_part_of_equality_or_signature(grown):
    bare = SharingPlan(grown.languages, grown.units, None, grown.divisions)
    assert bare == grown
    assert bare.signature == grown.signature
    assert bare.parameters is None
    assert bare.steps == []


def test_provenance_of_the_first_schema_becomes_fields(grown):
    """What a checkpoint of then has in its plan."""
    step = {"update": 10, "units": {"a": PAIRS}}
    provenance = {
        "policy": "adapters",
        "parameters": 109,
        "shared_parameters": 100,
        "unit_parameters": {"a": 3, "f.own": 2},
        "update": 20,
        "history": [step],
        "blocks": {"f": {"why": "languages differ", "delta": 0.5}},
    }
    own = {key: division.to_json() for key, division in grown.divisions.items()}
    content = {"schema": 1, "languages": LANGUAGES, "provenance": provenance, "divisions": own}
    text = json.dumps({**content, "units": dict(grown.units)})
    plan = SharingPlan.from_json(text)
    assert plan == grown
    assert plan.signature == grown.signature
    assert plan.parameters == 109
    assert plan.is_default
    assert [step.update for step in plan.steps] == [10, 20]
    assert dict(plan.blocks) == dict(grown.blocks)
    assert dict(plan.provenance) == {"policy": "adapters"}


def test_prose_of_the_first_schema_stays_prose(plan):
    prose = {"update": "later", "history": 3, "blocks": {"f": 3}, "unit_parameters": None}
    again = SharingPlan.from_json(edited(plan, lambda c: c.update(schema=1, provenance=prose)))
    assert again == plan
    assert dict(again.provenance) == {"update": "later", "history": 3, "blocks": {"f": 3}}


def test_a_unit_listed_twice_is_refused(plan):
    text = plan.to_json().replace('"a":', '"b":')
    with pytest.raises(PlanError, match="the plan: 'b' is listed twice"):
        SharingPlan.from_json(text)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "p.json: not JSON"),
        (b"[1]", "p.json: expected a JSON object, found list"),
        (b"[" * 100_000, "p.json: not JSON .*recursion"),
        (b"\xff\xfe\x00", "cannot read the sharing plan .*p.json, line 1: not UTF-8 .*UTF-16"),
    ],
)
def test_other_files_are_refused(tmp_path, content, message):
    path = tmp_path / "p.json"
    path.write_bytes(content)
    with pytest.raises(PlanError, match=message):
        SharingPlan.load(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(PlanError, match="cannot read the sharing plan .*none.json: no such file"):
        SharingPlan.load(tmp_path / "none.json")


def test_json_has_one_unit_a_line(plan):
    lines = plan.to_json().splitlines()
    assert '    "b": [["de", "nl"], ["es", "fr"]],' in lines
    assert '    "a": [["de", "es", "fr", "nl"]]' in lines


def test_the_example_of_the_documentation_is_a_plan(repo_root):
    page = (repo_root / "docs" / "plan-format.md").read_text(encoding="utf-8")
    example = page.split("```json\n")[1].split("```")[0]
    plan = SharingPlan.from_json(example)
    assert plan.to_json() == example
    sizes = plan.sizes
    assert json.loads(example)["parameters"] == plan.parameters == plan.size(20_000, sizes)
