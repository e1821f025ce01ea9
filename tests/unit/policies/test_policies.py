"""Deciding by name: what each policy needs, and plans that name all that a model demands."""

import json
from dataclasses import replace

import numpy as np
import pytest

from fairseq_gist.errors import OptionError, PlanError, StatisticsError
from fairseq_gist.gradients.neurons import NeuronGrams
from fairseq_gist.policies import decide, find_policies, policy_named, policy_options
from fairseq_gist.policies.heuristic import Heuristic
from fairseq_gist.policies.situation import Situation
from fairseq_gist.sharing.plan import SharingPlan
from fairseq_gist.sharing.shape import BlockShape
from tests.unit.made_up import (
    LANGUAGES,
    MEDIUM_SHARED,
    medium_projections,
    medium_units,
    shape_of_sizes,
    statistics_of,
)

DECODER = medium_units()
MODEL = {
    "encoder.layer_norm": 1_024,
    "decoder.embed_tokens": 5_120_000,
    **DECODER,
    "decoder.output_projection": 5_120_000,
}
FIRST, SECOND = (f"decoder.layers.0.fc{number}" for number in (1, 2))
BLOCKS = {FIRST: BlockShape(SECOND, 2048, 513, 512)}
TOP = r"decoder\.layers\.5\..+"


@pytest.fixture(scope="module")
def statistics():
    generator = np.random.default_rng(2)
    vectors = {unit: {one: generator.normal(size=5) for one in LANGUAGES} for unit in DECODER}
    found = statistics_of(vectors, DECODER, noise=0.1, shared=MEDIUM_SHARED)
    products = found.select([FIRST, SECOND]).gram.astype(np.float32)
    return replace(found, neurons={FIRST: NeuronGrams(SECOND, products, 513, 512)})


def decided(
    name, sizes=MODEL, languages=LANGUAGES, statistics=None, within=None, units=None, **more
):
    """Decide by name; a budget is given to the policies that read one."""
    if "size_budget" in more and name not in policy_options()["size_budget"].defaults:
        del more["size_budget"]
    shape = shape_of_sizes(languages, sizes, MEDIUM_SHARED, BLOCKS, medium_projections())
    return decide(name, Situation(shape, statistics, within, units), **more)


def test_every_policy_is_found():
    policies = find_policies()
    gdps, lora = {"gdps", "gdps-random"}, {"lora", "lora-per-language"}
    heuristics = {n for n, policy in policies.items() if issubclass(policy, Heuristic)}
    assert len(heuristics) == 10
    gains = {"gain", "anti-gain"}
    assert set(policies) == {
        *heuristics, "gradient", "bipartition", "random", "families", "ranked", "permuted",
        *gdps, *lora, *gains
    }  # fmt: skip
    assert all(policy.name == name and policy.summary for name, policy in policies.items())
    reading = {name for name, policy in policies.items() if policy.needs_statistics}
    assert reading == {"gradient", "bipartition", *gdps, *gains}
    assert {n for n, policy in policies.items() if policy.needs_neurons} == gdps
    goes_on = {name for name, policy in policies.items() if policy.goes_on}
    assert goes_on == {"gradient", "bipartition", "random", "shared", *gains}
    assert {n for n, policy in policies.items() if not policy.splits} == {"shared"}


def test_an_option_has_one_name_and_its_default_stands_once():
    options = policy_options()
    assert options["linkage"].defaults == {"gradient": "single"}
    assert options["plan_seed"].defaults == {"gdps-random": 1, "permuted": 1, "random": 1}
    budget = options["size_budget"]
    filling = ("gain", "anti-gain", "gradient", "random", "ranked")
    assert budget.defaults == {"bipartition": None, **dict.fromkeys(filling, "2.0")}
    assert budget.default is None
    assert f"default: none, for bipartition; 2.0, for {', '.join(filling)}" in budget.help
    assert all(option.kind in (str, int, float) for option in options.values())


@pytest.mark.parametrize("name", find_policies())
def test_plans_name_all_that_a_model_demands(name, statistics, tmp_path):
    more = {}
    if name == "ranked":
        more["unit_worth"] = str(tmp_path / "worth.json")
        (tmp_path / "worth.json").write_text(json.dumps({SECOND: 1.0}), encoding="utf-8")
    if name == "permuted":
        more["permuted_plan"] = str(tmp_path / "plan.json")
        decided("random", statistics=statistics, size_budget="1.5").save(tmp_path / "plan.json")
    plan = decided(name, statistics=statistics, size_budget="1.5", **more)
    divided = {path for first, own in plan.divisions.items() for path in (first, own.second)}
    assert set(DECODER) - divided - set(plan.low_rank) <= set(plan.units)
    assert bool(plan.low_rank) == name.startswith("lora")
    assert not divided or policy_named(name).needs_neurons
    assert plan.languages == LANGUAGES
    assert plan.provenance["policy"] == name
    assert set(plan.units) <= set(plan.sizes)
    assert plan.parameters == plan.size(MEDIUM_SHARED, {**MODEL, **plan.sizes})


@pytest.mark.parametrize("name", ["gradient", "bipartition", "random"])
def test_units_that_are_not_decided_on_stay_shared(name, statistics):
    plan = decided(name, statistics=statistics, size_budget="1.2", units=TOP)
    assert set(plan.units) == set(DECODER)
    split = [unit for unit, groups in plan.units.items() if len(groups) > 1]
    assert split
    assert all(".5." in unit for unit in split)


@pytest.mark.parametrize("name", ["gradient", "bipartition", "random"])
def test_units_that_are_not_decided_on_stay_as_they_were(name, statistics):
    """The plan so far splits embeddings without saying how large they are; the model does."""
    before = SharingPlan(LANGUAGES, {"decoder.embed_tokens": [["de"], list(LANGUAGES[1:])]})
    plan = decided(name, statistics=statistics, size_budget="1.2", within=before, units=TOP)
    assert plan.refines(before)
    assert plan.units["decoder.embed_tokens"] == before.units["decoder.embed_tokens"]
    assert plan.parameters == plan.size(MEDIUM_SHARED, MODEL)
    assert set(DECODER) <= set(plan.units)


@pytest.mark.parametrize("name", ["gradient", "random", "language-specific"])
def test_sizes_are_the_models_not_those_of_the_plan_so_far(name, statistics):
    """A plan so far that was made with a smaller vocabulary says another size of embeddings."""
    apart = SharingPlan.language_specific(LANGUAGES, ["decoder.embed_tokens"])
    before = SharingPlan(LANGUAGES, apart.units, sizes={"decoder.embed_tokens": 9})
    plan = decided(name, statistics=statistics, size_budget="2.0", within=before, units=TOP)
    assert plan.parameters == plan.size(MEDIUM_SHARED, MODEL)
    assert plan.sizes["decoder.embed_tokens"] == 5_120_000


def test_a_heuristic_splits_among_the_units_asked_for():
    plan = decided("attention", units=TOP)
    split = [unit for unit, groups in plan.units.items() if len(groups) > 1]
    assert split == [u for u in DECODER if ".5." in u and "_proj" not in u]


def test_options_reach_their_policies(statistics):
    common = {"statistics": statistics, "size_budget": "2.0"}
    assert decided("random", plan_seed=2) != decided("random")
    assert decided("gradient", linkage="complete", **common) != decided("gradient", **common)
    whole = decided(
        "bipartition", statistics=statistics, bipartition_granularity="layer", bipartition_splits=3
    )
    assert len(whole.provenance["split"]) == 3
    assert {split["module"] for split in whole.provenance["split"]} <= {
        *(f"decoder.layers.{layer}" for layer in range(6)),
        "decoder.layer_norm",
    }
    assert decided("bipartition", statistics=statistics, bipartition_threshold=2.0).is_shared
    assert decided("bipartition", statistics=statistics, size_budget="1").is_shared


def test_a_heuristic_must_refine_the_plan_so_far():
    before = decided("feed-forward")
    assert decided("language-specific", within=before).refines(before)
    with pytest.raises(PlanError, match=r"would join .* on 'decoder.layers.0.self_attn.k_proj'"):
        decided("attention", within=before)
    with pytest.raises(PlanError, match="model is for languages de, .*the plan so far for de, xx"):
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


def test_what_is_missing_is_named():
    with pytest.raises(OptionError, match="expected one of the policies bipartition, .* 'magic'"):
        decided("magic")
    for name in ("gradient", "bipartition", "gdps"):
        with pytest.raises(OptionError, match="gradient statistics are needed"):
            decided(name)


def test_options_of_other_policies_are_refused():
    for name, option, message in (
        (
            "shared",
            "plan_seed",
            "--plan-seed: is for gdps-random, permuted, random; policy 'shared' doesn't",
        ),
        ("random", "linkage", "--linkage: is for gradient; policy 'random' doesn't read it"),
        ("random", "magic", "no policy has an option 'magic'"),
    ):
        with pytest.raises(OptionError, match=message):
            decided(name, **{option: 1})


def test_units_and_languages_of_others_are_refused(statistics):
    with pytest.raises(StatisticsError, match="are for languages de, .*the model for de, xx"):
        decided("gradient", languages=["xx", "de"], statistics=statistics)
    with pytest.raises(StatisticsError, match=r"for other units: 'encoder.*' .* 79 units"):
        decided("gradient", statistics=statistics, size_budget="2.0", units="encoder.*")
    with pytest.raises(OptionError, match=r"--units: 'nothing' matches none of the 82 units, whi"):
        decided("random", size_budget="2.0", units="nothing")
    with pytest.raises(OptionError, match=r"'\(' is no regular expression"):
        decided("shared", units="(")
