"""The gradient-guided policy: the definition, planted groups, invariances, and the budget."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_gist.architectures import recognise
from fairseq_gist.errors import OptionError, PlanError, StatisticsError
from fairseq_gist.gradients.statistics import GradientStatistics
from fairseq_gist.sharing.description import describe_plan
from fairseq_gist.sharing.plan import SharingPlan
from tests.unit.made_up import (
    LANGUAGES,
    PLANTED,
    SHARED,
    check_plan,
    gradient_plan,
    grouped,
    limits_of,
    random_vectors,
    statistics_of,
    with_ties,
)

quick = settings(derandomize=True, max_examples=40, deadline=None)


def budget_for(groups_of_unit, size=100):
    return str(SHARED + sum((len(groups) - 1) * size for groups in groups_of_unit.values()))


@pytest.mark.parametrize(("chunks", "noise"), [(1, 0.0), (2, 0.0), (4, 0.03)])
def test_planted_groups_are_found(chunks, noise):
    vectors = {unit: grouped(groups) for unit, groups in PLANTED.items()}
    statistics = statistics_of(vectors, chunks=chunks, noise=noise)
    plan = gradient_plan(statistics, budget_for(PLANTED))
    assert plan == SharingPlan(LANGUAGES, PLANTED), plan.to_json()
    assert plan.provenance["debiased"] is (chunks > 1)
    assert plan.parameters == plan.size(SHARED, dict.fromkeys(PLANTED, 100))
    assert plan.provenance["statistics"] == {"update": 100}


def test_a_language_with_one_chunk_is_not_debiased():
    vectors = {unit: grouped(groups) for unit, groups in PLANTED.items()}
    every = statistics_of(vectors)
    kept = (every.probe_languages != LANGUAGES.index("nl")) | (every.probe_chunks == 0)
    statistics = GradientStatistics(
        every.languages,
        every.units,
        every.unit_parameters,
        SHARED,
        every.gram[:, kept][:, :, kept],
        every.probe_languages[kept],
        every.probe_chunks[kept],
        every.probe_tokens[kept],
    )
    plan = gradient_plan(statistics, budget_for(PLANTED))
    assert plan.provenance["debiased"] is False
    assert plan == SharingPlan(LANGUAGES, PLANTED)


def by_the_definition(statistics, limit, within):
    """Sort all pairs on all units and join from the top; None when the limit is never met."""
    languages, units = statistics.languages, statistics.units
    sizes = dict(zip(units, statistics.unit_parameters.tolist()))
    debiased = min(statistics.chunks_per_language.values()) > 1
    cosines, is_signal = statistics.cosines(debiased), statistics.is_signal()
    pairs = []
    for (u, unit), (j, one), (k, other) in itertools.product(
        enumerate(units), enumerate(languages), enumerate(languages)
    ):
        together = within.units.get(unit, [languages])
        if j < k and any(one in group and other in group for group in together):
            is_noise = debiased and not (is_signal[u, j] and is_signal[u, k])
            cosine = 0.0 if is_noise or np.isnan(cosines[u, j, k]) else float(cosines[u, j, k])
            pairs.append((-round(cosine, 12), unit, one, other))

    groups = {unit: [{language} for language in languages] for unit in units}
    size = statistics.shared_parameters + sum(sizes.values()) * (len(languages) - 1)
    for _, unit, one, other in sorted(pairs):
        joined = [group for group in groups[unit] if one in group or other in group]
        if size > limit and len(joined) == 2:
            groups[unit] = [group for group in groups[unit] if group not in joined]
            groups[unit].append(joined[0] | joined[1])
            size -= sizes[unit]
    return SharingPlan(languages, groups) if size <= limit else None


@settings(derandomize=True, max_examples=300, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(1, 8),
    st.integers(1, 4),
    st.integers(1, 3),
    st.sampled_from([0.0, 0.8]),
    st.booleans(),
)
def test_plans_are_those_of_the_definition(seed, count, units, chunks, noise, is_later):
    generator = np.random.default_rng(seed)
    languages = [f"l{index}" for index in range(count)]
    statistics = with_ties(generator, languages, units, chunks, noise)
    within, limit = limits_of(generator, statistics, is_later)
    check_plan(by_the_definition(statistics, limit, within), statistics, limit, within)


@pytest.mark.parametrize("noise", [0.0, 0.8])
def test_plans_of_many_languages_are_those_of_the_definition(noise):
    languages = [f"l{index:02}" for index in range(40)]
    statistics = with_ties(np.random.default_rng(1), languages, 5, 2, noise)
    shared = SharingPlan.shared(languages, statistics.units)
    for limit in (SHARED, SHARED + 7_000, SHARED + 20_000):
        expected = by_the_definition(statistics, limit, shared)
        assert gradient_plan(statistics, str(limit)) == expected


@quick
@given(seed=st.integers(0, 10**6), budget=st.floats(1.0, 1.2), data=st.data())
def test_never_above_the_budget_and_within_one_merge_of_it(seed, budget, data):
    vectors = random_vectors(seed)
    sizes = {unit: data.draw(st.integers(1, 900)) for unit in vectors}
    plan = gradient_plan(statistics_of(vectors, sizes), f"{budget:.4f}")
    size, limit = plan.size(SHARED, sizes), float(f"{budget:.4f}") * SHARED
    assert size <= limit
    everything = SHARED + 4 * sum(sizes.values())
    assert size == everything or size + max(sizes.values()) > limit
    assert plan.parameters == size


@quick
@given(st.integers(0, 10**6))
def test_a_larger_budget_only_splits_further(seed):
    statistics = statistics_of(random_vectors(seed))
    plans = [gradient_plan(statistics, str(SHARED + more)) for more in range(0, 1700, 200)]
    assert plans[0].is_shared
    assert plans[-1] == SharingPlan.language_specific(LANGUAGES, statistics.units)
    assert all(larger.refines(smaller) for smaller, larger in zip(plans, plans[1:]))


@quick
@given(st.integers(0, 10**6), st.permutations(LANGUAGES))
def test_renaming_the_languages_renames_the_plan(seed, names):
    vectors = random_vectors(seed)
    to = dict(zip(LANGUAGES, names))
    renamed = {u: {to[one]: vector for one, vector in own.items()} for u, own in vectors.items()}
    plan = gradient_plan(statistics_of(vectors), "1.08")
    expected = SharingPlan(
        LANGUAGES,
        {u: [[to[one] for one in group] for group in groups] for u, groups in plan.units.items()},
    )
    assert gradient_plan(statistics_of(renamed), "1.08") == expected


@quick
@given(st.integers(0, 10**6), st.randoms(use_true_random=False))
def test_the_order_of_probes_and_units_does_not_matter(seed, random):
    statistics = statistics_of(random_vectors(seed), chunks=3, noise=0.3)
    order = random.sample(range(15), 15)
    shuffled = GradientStatistics(
        statistics.languages,
        statistics.units,
        statistics.unit_parameters,
        SHARED,
        statistics.gram[:, order][:, :, order],
        statistics.probe_languages[order],
        statistics.probe_chunks[order],
        statistics.probe_tokens[order],
    ).select(random.sample(statistics.units, 4))
    assert gradient_plan(shuffled, "1.08") == gradient_plan(statistics, "1.08")


@quick
@given(st.integers(0, 10**6), st.lists(st.floats(1e-3, 1e3), min_size=5, max_size=5))
def test_scaling_a_language_does_not_matter(seed, factors):
    vectors = random_vectors(seed)
    scaled = statistics_of(vectors, scale=dict(zip(LANGUAGES, factors)))
    assert gradient_plan(scaled, "1.08") == gradient_plan(statistics_of(vectors), "1.08")


def test_ties_are_resolved_by_unit_and_language():
    same = {unit: grouped([LANGUAGES]) for unit in ("b", "a")}
    plan = gradient_plan(statistics_of(same), str(SHARED + 6 * 100))
    assert plan.units["a"] == (("de", "es", "fr"), ("it",), ("nl",))
    assert len(plan.units["b"]) == 5


def test_the_most_similar_join_first_wherever_they_are():
    def angle(degrees):
        return [np.cos(np.radians(degrees)), np.sin(np.radians(degrees))]

    languages = ("de", "es", "nl")
    vectors = {
        "a": {"de": angle(0), "nl": angle(10), "es": angle(100)},
        "b": {"de": angle(0), "nl": angle(60), "es": angle(65)},
    }
    statistics = statistics_of(vectors, languages=languages)
    plans = [gradient_plan(statistics, str(SHARED + copies * 100)) for copies in (3, 2, 1)]
    # in order: b es-nl (5 degrees), a de-nl (10), b de-nl (60: single linkage), a es-nl (90)
    assert [len(plan.units["a"]) for plan in plans] == [3, 2, 2]
    assert [len(plan.units["b"]) for plan in plans] == [2, 2, 1]
    assert plans[1].units["b"] == (("de",), ("es", "nl"))
    assert plans[1].units["a"] == (("de", "nl"), ("es",))


def test_an_undefined_cosine_counts_as_zero():
    """A zero gradient joins after agreement and before conflict."""
    vectors = {"u": {"de": [1.0, 0], "es": [0.0, 0], "nl": [1.0, 0.1], "fr": [-1.0, 0]}}
    languages = ("de", "es", "fr", "nl")
    statistics = statistics_of(vectors, languages=languages)
    plans = [gradient_plan(statistics, str(SHARED + copies * 100)) for copies in (2, 1)]
    assert plans[0].units["u"] == (("de", "nl"), ("es",), ("fr",))
    assert plans[1].units["u"] == (("de", "es", "nl"), ("fr",))


def test_a_later_plan_refines_the_one_before():
    vectors = {unit: grouped([LANGUAGES]) for unit in ("fc1", "fc2")}
    within = SharingPlan(LANGUAGES, {"fc1": [["de", "es"], ["fr", "it", "nl"]]})
    plan = gradient_plan(statistics_of(vectors), str(SHARED + 100), within)
    assert plan.units["fc1"] == (("de", "es"), ("fr", "it", "nl"))
    assert plan.units["fc2"] == (tuple(LANGUAGES),)
    assert plan.refines(within)


@quick
@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_any_later_plan_refines_any_before(seed, before):
    within = gradient_plan(statistics_of(random_vectors(before)), "1.05")
    plan = gradient_plan(statistics_of(random_vectors(seed)), "1.1", within)
    assert plan.refines(within)
    assert plan.parameters <= 1.1 * SHARED


def test_units_without_statistics_stay_as_they_were_and_count():
    vectors = {"fc1": grouped([LANGUAGES])}
    sizes = {"embed": 250, "other": 40}
    within = SharingPlan(
        LANGUAGES,
        {"embed": [["de"], ["es", "fr", "it", "nl"]], "other": [LANGUAGES]},
        sizes=sizes,
    )
    plan = gradient_plan(statistics_of(vectors), str(SHARED + 250 + 120), within)
    assert {unit: len(groups) for unit, groups in plan.units.items()} == {
        "embed": 2,
        "other": 1,
        "fc1": 2,
    }
    assert plan.refines(within)
    assert plan.size(SHARED, {**sizes, "fc1": 100}) == plan.parameters


def test_a_split_unit_of_unknown_size_is_named():
    within = SharingPlan(LANGUAGES, {"embed": [["de"], ["es", "fr", "it", "nl"]]})
    with pytest.raises(StatisticsError, match="splits 'embed', which the statistics lack"):
        gradient_plan(statistics_of({"fc1": grouped([LANGUAGES])}), "2", within)


def test_a_budget_below_the_plan_so_far_is_refused():
    within = SharingPlan.language_specific(LANGUAGES, ["fc1"])
    with pytest.raises(OptionError, match="1.01 is 10,100 parameters, but .* already has 10,400"):
        gradient_plan(statistics_of({"fc1": grouped([LANGUAGES])}), "1.01", within)


def test_a_budget_below_the_shared_model_is_refused():
    with pytest.raises(OptionError, match="0.9 is less than the fully shared model"):
        gradient_plan(statistics_of({"fc1": grouped([LANGUAGES])}), "0.9")


def test_a_plan_of_other_languages_is_refused():
    within = SharingPlan(["de", "xx"], {})
    with pytest.raises(PlanError, match="for languages de, es, .*the plan so far for de, xx"):
        gradient_plan(statistics_of({"fc1": grouped([LANGUAGES])}), "2", within)


def test_a_unit_without_any_gradient_is_refused():
    vectors = {unit: grouped(groups) for unit, groups in PLANTED.items()}
    frozen = next(iter(vectors))
    vectors[frozen] = {language: np.zeros(5) for language in LANGUAGES}
    with pytest.raises(StatisticsError, match=f"of '{frozen}' are zero for every language, as of"):
        gradient_plan(statistics_of(vectors), budget_for(PLANTED))


def test_a_budget_that_splits_everything_is_told():
    vectors = {unit: grouped(groups) for unit, groups in PLANTED.items()}
    whole = budget_for(dict.fromkeys(PLANTED, LANGUAGES))
    for budget, splits_all in ((whole, True), (str(int(whole) - 1), False)):
        plan = gradient_plan(statistics_of(vectors), budget)
        assert plan.provenance["splits_all"] is splits_all
        text = describe_plan(plan, recognise(plan.units))
        assert f"the budget was {budget}" in text
        assert ("nothing was decided" in text) is splits_all
