"""Deciding by name: what each policy needs, and plans that name all that a model demands."""

from dataclasses import replace

import numpy as np
import pytest

from fairseq_gist.errors import OptionError, PlanError, StatisticsError
from fairseq_gist.gradients.neurons import HiddenUnits
from fairseq_gist.policies.heuristic import HEURISTICS
from fairseq_gist.policies.registry import POLICIES, check_options, decide
from fairseq_gist.sharing.plan import SharingPlan
from tests.unit.made_up import LANGUAGES, MEDIUM_SHARED, medium_units, statistics_of

DECODER = medium_units()
MODEL = {
    "encoder.layer_norm": 1_024,
    "decoder.embed_tokens": 5_120_000,
    **DECODER,
    "decoder.output_projection": 5_120_000,
}
TOP = r"decoder\.layers\.5\..+"


@pytest.fixture(scope="module")
def statistics():
    generator = np.random.default_rng(2)
    vectors = {unit: {one: generator.normal(size=5) for one in LANGUAGES} for unit in DECODER}
    found = statistics_of(vectors, DECODER, noise=0.1, shared=MEDIUM_SHARED)
    first, second = (f"decoder.layers.0.fc{number}" for number in (1, 2))
    products = found.select([first, second]).gram.astype(np.float32)
    return replace(found, hidden={first: HiddenUnits(second, products, 513, 512)})


def decided(name, sizes=MODEL, languages=LANGUAGES, **options):
    return decide(name, languages, sizes, MEDIUM_SHARED, **options)


def test_every_heuristic_is_a_policy():
    gdps = {"gdps", "gdps-random"}
    assert set(POLICIES) == {*HEURISTICS, "gradient", "bipartition", "random", *gdps}
    assert all(policy.name == name and policy.summary for name, policy in POLICIES.items())
    reading = {name for name, policy in POLICIES.items() if policy.needs_statistics}
    assert reading == {"gradient", "bipartition", *gdps}
    assert {n for n, policy in POLICIES.items() if policy.needs_hidden_units} == gdps
    assert {n for n, policy in POLICIES.items() if policy.needs_budget} == {"gradient", "random"}


@pytest.mark.parametrize("name", POLICIES)
def test_plans_name_all_that_a_model_demands(name, statistics):
    plan = decided(name, statistics=statistics, budget="1.5")
    divided = {path for first, own in plan.divisions.items() for path in (first, own.second)}
    assert set(DECODER) - divided <= set(plan.units)
    assert bool(divided) == POLICIES[name].needs_hidden_units
    assert plan.languages == LANGUAGES
    assert plan.provenance["policy"] == name
    sizes = {**MODEL, **plan.sizes}
    assert plan.parameters == plan.size(MEDIUM_SHARED, sizes)
    assert set(plan.units) <= set(plan.sizes)


@pytest.mark.parametrize("name", ["gradient", "bipartition", "random"])
def test_units_that_are_not_decided_on_stay_shared(name, statistics):
    plan = decided(name, statistics=statistics, budget="1.2", units=TOP)
    assert set(plan.units) == set(DECODER)
    split = [unit for unit, groups in plan.units.items() if len(groups) > 1]
    assert split
    assert all(".5." in unit for unit in split)


@pytest.mark.parametrize("name", ["gradient", "bipartition", "random"])
def test_units_that_are_not_decided_on_stay_as_they_were(name, statistics):
    """The plan so far splits embeddings without saying how large they are; the model does."""
    before = SharingPlan(LANGUAGES, {"decoder.embed_tokens": [["de"], list(LANGUAGES[1:])]})
    plan = decided(name, statistics=statistics, budget="1.2", within=before, units=TOP)
    assert plan.refines(before)
    assert plan.units["decoder.embed_tokens"] == before.units["decoder.embed_tokens"]
    assert plan.parameters == plan.size(MEDIUM_SHARED, MODEL)
    assert set(DECODER) <= set(plan.units)


@pytest.mark.parametrize("name", ["gradient", "random", "language-specific"])
def test_sizes_are_the_models_not_those_of_the_plan_so_far(name, statistics):
    """A plan so far that was made with a smaller vocabulary says another size of embeddings."""
    apart = SharingPlan.language_specific(LANGUAGES, ["decoder.embed_tokens"])
    before = SharingPlan(LANGUAGES, apart.units, sizes={"decoder.embed_tokens": 9})
    plan = decided(name, statistics=statistics, budget="2.0", within=before, units=TOP)
    assert plan.parameters == plan.size(MEDIUM_SHARED, MODEL)
    assert plan.sizes["decoder.embed_tokens"] == 5_120_000


def test_a_heuristic_splits_among_the_units_asked_for():
    plan = decided("attention", units=TOP)
    split = [unit for unit, groups in plan.units.items() if len(groups) > 1]
    assert split == [u for u in DECODER if ".5." in u and "_proj" not in u]


def test_options_reach_their_policies(statistics):
    common = {"statistics": statistics, "budget": "2.0"}
    assert decided("random", budget="2.0", seed=2) != decided("random", budget="2.0")
    assert decided("gradient", linkage="complete", **common) != decided("gradient", **common)
    whole = decided("bipartition", statistics=statistics, granularity="layer", splits=3)
    assert len(whole.provenance["split"]) == 3
    assert {split["module"] for split in whole.provenance["split"]} <= {
        *(f"decoder.layers.{layer}" for layer in range(6)),
        "decoder.layer_norm",
    }
    assert decided("bipartition", statistics=statistics, threshold=2.0).is_shared
    assert decided("bipartition", statistics=statistics, budget="1").is_shared


def test_a_heuristic_must_refine_the_plan_so_far():
    before = decided("feed-forward")
    assert decided("language-specific", within=before).refines(before)
    with pytest.raises(PlanError, match=r"would join .* on 'decoder.layers.0.self_attn.k_proj'"):
        decided("attention", within=before)
    with pytest.raises(PlanError, match="plan is for languages de, .*the plan so far for de, xx"):
        decided("attention", within=SharingPlan(["de", "xx"], {}))


@pytest.mark.parametrize("name", ["attention", "encoder-only", "shared"])
def test_a_heuristic_leaves_what_it_does_not_speak_of(name):
    """Such as adapters, of which every language has its own."""
    adapters = {f"encoder.layers.{layer}.adapter.down": 1_000 for layer in range(2)}
    before = SharingPlan.language_specific(LANGUAGES, adapters)
    plan = decided(name, sizes={**MODEL, **adapters}, within=before)
    assert plan.refines(before)
    alone = decided(name)
    assert {unit: plan.units[unit] for unit in alone.units} == dict(alone.units)
    added = (len(LANGUAGES) - 1) * sum(adapters.values())
    assert plan.parameters == alone.parameters + added
    with pytest.raises(PlanError, match=r"splits 'encoder.layers.0.adapter.down', .* its size isn"):
        decided(name, within=before)


def test_a_heuristic_leaves_units_that_were_not_asked_for():
    bottom = r"decoder\.layers\.0\..+"
    before = decided("language-specific", units=bottom)
    plan = decided("language-specific", units=TOP, within=before)
    both = decided("language-specific", units=f"{bottom}|{TOP}")
    assert plan == both
    assert plan.parameters == both.parameters


def test_what_is_missing_is_named(statistics):
    with pytest.raises(OptionError, match="expected one of the policies gradient, .* 'magic'"):
        decided("magic")
    for name in ("gradient", "bipartition"):
        with pytest.raises(OptionError, match=f"'{name}' decides from gradients: .*--statistics"):
            decided(name, budget="2.0")
    for name in ("gradient", "random"):
        with pytest.raises(OptionError, match=f"--size-budget: policy '{name}' needs the size"):
            decided(name, statistics=statistics)


def test_options_of_other_policies_are_refused():
    check_options("random", {"seed": 1, "budget": "2"}, has_statistics=False)
    for name, option, message in (
        ("shared", "seed", "--seed is for gdps-random, random; policy 'shared' doesn't read it"),
        ("random", "linkage", "--linkage is for gradient; policy 'random' doesn't read it"),
        ("attention", "budget", "--size-budget is for gradient, bipartition, random; policy"),
    ):
        with pytest.raises(OptionError, match=message):
            check_options(name, {option: 1}, has_statistics=True)


def test_units_and_languages_of_others_are_refused(statistics):
    with pytest.raises(StatisticsError, match="are for languages de, .*the model for de, xx"):
        decided("gradient", languages=["xx", "de"], statistics=statistics, budget="2.0")
    with pytest.raises(StatisticsError, match=r"for other units: --units 'encoder.*' .* 79 from"):
        decided("gradient", statistics=statistics, budget="2.0", units="encoder.*")
    with pytest.raises(OptionError, match=r"--units: 'nothing' matches none of the 82 units, whi"):
        decided("random", budget="2.0", units="nothing")
    with pytest.raises(OptionError, match=r"'\(' is no regular expression"):
        decided("shared", units="(")
