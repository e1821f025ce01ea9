"""The table of a plan."""

import random
from itertools import combinations

import pytest

from fairseq_gist.architectures import PLAIN
from fairseq_gist.sharing.description import describe_groups, describe_plan, plan_in_words
from fairseq_gist.sharing.plan import SharingPlan

LANGUAGES = ["de", "es", "nl"]
MANY = [f"l{number}" for number in range(9)]
FC1, NORM, EMBED = "decoder.layers.0.fc1", "decoder.layers.1.final_layer_norm", "decoder.layer_norm"


@pytest.fixture
def plan():
    units = {
        FC1: [["de", "nl"], ["es"]],
        NORM: [["de"], ["es"], ["nl"]],
        EMBED: [LANGUAGES],
    }
    return SharingPlan(LANGUAGES, units)


def test_groups_in_words():
    assert describe_groups((("de", "nl"), ("es",))) == "de nl | es"
    assert describe_groups((("de", "nl"),)) == "shared"
    assert describe_groups((("de",), ("nl",))) == "each its own"


def test_table_with_parameters_and_totals(plan):
    sizes = {FC1: 1000, NORM: 16, EMBED: 16}
    assert describe_plan(
        plan.replaced(sizes=sizes, shared_parameters=10_000), PLAIN
    ).splitlines() == [
        "unit                               copies  parameters  groups",
        "-" * 67,
        "decoder.layers.0.fc1                    2       2,000  de nl | es",
        "decoder.layers.1.final_layer_norm       3          48  each its own",
        "decoder.layer_norm                      1          16  shared",
        "",
        f"plan {plan.signature}: 2 of 3 units are split among de, es, nl",
        "copies a unit, on average: decoder layer 0 2.0, decoder layer 1 3.0, "
        "outside the layers 1.0",
        "most often together on a split unit: de-nl (50%)",
        "11,032 parameters, 1.10 times the shared model's 10,000",
    ]


def test_table_without_parameters(plan):
    lines = describe_plan(plan, PLAIN).splitlines()
    assert lines[0].split() == ["unit", "copies", "groups"]
    assert lines[2].split() == [FC1, "2", "de", "nl", "|", "es"]
    assert not any("parameters" in line for line in lines)


def test_layers_of_encoder_and_decoder_are_kept_apart():
    units = {"encoder.layers.0.fc1": [LANGUAGES], FC1: [[one] for one in LANGUAGES]}
    words = plan_in_words(SharingPlan(LANGUAGES, units), PLAIN)
    assert "encoder layer 0 1.0, decoder layer 0 3.0" in words


def test_a_shared_plan_has_no_more_to_say():
    assert len(plan_in_words(SharingPlan.shared(LANGUAGES, [FC1]), PLAIN).splitlines()) == 1


def test_languages_that_share_nothing():
    words = plan_in_words(SharingPlan.language_specific(LANGUAGES, [FC1]), PLAIN)
    assert words.endswith("most often together on a split unit: no pair")


def test_a_plan_without_units():
    assert "0 of 0 units" in describe_plan(SharingPlan(LANGUAGES, {}), PLAIN)


@pytest.mark.parametrize("seed", range(5))
def test_who_is_most_often_together_is_counted_as_by_hand(seed):
    source = random.Random(seed)
    units = {}
    for number in range(7):
        groups = [[] for _ in range(source.randint(2, 4))]
        for language in MANY:
            source.choice(groups).append(language)
        units[f"decoder.layers.{number}.fc1"] = [group for group in groups if group]
    split = [groups for groups in units.values() if len(groups) > 1]

    def share(*pair):
        return sum(any(set(pair) <= set(group) for group in groups) for groups in split)

    shares = sorted((-share(*pair) / len(split), *pair) for pair in combinations(MANY, 2))
    named = ", ".join(f"{one}-{other} ({-part:.0%})" for part, one, other in shares[:5])
    assert f"most often together on a split unit: {named}" in plan_in_words(
        SharingPlan(MANY, units), PLAIN
    )
