"""A plan that takes one more language."""

import pytest

from fairseq_gist.errors import PlanError
from fairseq_gist.sharing.one_more import parents_of, with_language
from fairseq_gist.sharing.plan import SharingPlan, Step

GROUPS = {
    "shared": [["de", "es", "ru"]],
    "split": [["de", "ru"], ["es"]],
    "alone": [["de"], ["es"], ["ru"]],
}
PLAN = SharingPlan(["de", "es", "ru"], GROUPS)


def test_it_joins_the_relative_but_where_each_is_alone():
    plan = with_language(PLAN, "uk", "ru")
    assert plan.units["shared"] == (("de", "es", "ru", "uk"),)
    assert plan.units["split"] == (("de", "ru", "uk"), ("es",))
    assert plan.units["alone"] == (("de",), ("es",), ("ru",), ("uk",))
    assert plan.provenance["added"] == [{"language": "uk", "as": "ru"}]


def test_it_is_alone_on_units_of_its_own_which_the_plan_need_not_name():
    plan = with_language(PLAN, "uk", "ru", ["split", "embedding"])
    assert plan.units["shared"] == (("de", "es", "ru", "uk"),)
    assert plan.units["split"] == (("de", "ru"), ("es",), ("uk",))
    assert plan.units["embedding"] == (("de", "es", "ru"), ("uk",))


@pytest.mark.parametrize("own", [[], ["split"]])
@pytest.mark.parametrize("relative", ["de", "es", "ru"])
@pytest.mark.parametrize("language", ["bg", "uk"])
def test_every_group_begins_with_the_copy_of_its_languages(language, relative, own):
    plan = with_language(PLAN, language, relative, own)
    for name, before in PLAN.units.items():
        after = plan.units[name]
        parents = parents_of(before, after, language, relative)
        for group, parent in zip(after, parents):
            expected = {relative if one == language else one for one in group}
            assert expected <= set(before[parent])


def test_the_history_has_it_as_well_and_still_refines():
    first = SharingPlan(["de", "es", "ru"], {"split": [["de", "es", "ru"]]})
    second = SharingPlan(["de", "es", "ru"], {"split": GROUPS["split"]}, update=9)
    plan = with_language(second.replaced(history=[Step(3, first)]), "bg", "ru", ["split"])
    earlier, now = plan.steps
    assert earlier.plan.languages == now.plan.languages == ("bg", "de", "es", "ru")
    assert now.plan.refines(earlier.plan)
    assert SharingPlan.from_json(plan.to_json()) == plan


def test_several_are_noted_in_their_order():
    plan = with_language(with_language(PLAN, "uk", "ru"), "pt", "es")
    assert [one["language"] for one in plan.provenance["added"]] == ["uk", "pt"]


@pytest.mark.parametrize(
    ("language", "relative", "message"),
    [
        ("ru", "de", "the model has language 'ru' already, among de, es, ru"),
        ("uk", "pl", "the model has no language 'pl'; it has de, es, ru"),
    ],
)
def test_what_cannot_be(language, relative, message):
    with pytest.raises(PlanError, match=message):
        with_language(PLAN, language, relative)
