"""Bipartition: planted structure is split in the right order, within threshold and budget."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_gist.errors import OptionError, PlanError, StatisticsError
from fairseq_gist.sharing.plan import SharingPlan
from tests.unit.made_up import LANGUAGES, SHARED, bipartition_plan, random_vectors, statistics_of

LAYER = "decoder.layers.0"
FC1, FC2, Q, NORM = (f"{LAYER}.{kind}" for kind in ("fc1", "fc2", "self_attn.q_proj", "norm"))
LAST = "decoder.layer_norm"

quick = settings(derandomize=True, max_examples=40, deadline=None)


def two_levels(between, inside):
    """Return unit vectors: {de nl} and {es fr it} ``between`` degrees apart, and inside them half.

    Inside, de-nl and es-{fr it} are ``inside`` degrees apart.
    """
    angles = {"de": 0, "nl": inside, "es": between, "fr": between + inside, "it": between + inside}
    return {
        language: [np.cos(np.radians(angle)), np.sin(np.radians(angle))]
        for language, angle in angles.items()
    }


GERMANIC, ROMANCE = ("de", "nl"), ("es", "fr", "it")
ALL = (tuple(LANGUAGES),)


@pytest.fixture
def statistics():
    """``fc1`` disagrees most, then ``fc2``; ``q_proj`` hardly; the norms not at all."""
    same = {language: [1.0, 0.0] for language in LANGUAGES}
    vectors = {FC1: two_levels(90, 40), FC2: two_levels(70, 8), Q: two_levels(20, 2)}
    return statistics_of({**vectors, NORM: same, LAST: same})


def test_the_farthest_apart_split_first_and_rounds_go_on(statistics):
    first = bipartition_plan(statistics)
    assert first.units[FC1] == first.units[FC2] == (GERMANIC, ROMANCE)
    assert first.units[Q] == first.units[NORM] == first.units[LAST] == ALL
    assert [split["module"] for split in first.provenance["split"]] == [FC1, FC2]
    assert first.provenance["split"][0]["groups"] == [list(GERMANIC), list(ROMANCE)]
    assert first.parameters == SHARED + 200
    second = bipartition_plan(statistics, first)
    assert second.refines(first)
    assert second.units[FC1] == (("de",), ("es",), ("fr", "it"), ("nl",))
    assert second.units[FC2] == first.units[FC2]
    third = bipartition_plan(statistics, second, splits=1)
    assert third.units[Q] == (GERMANIC, ROMANCE)


def test_the_distance_is_the_mean_over_the_pairs_of_two_halves(statistics):
    (split,) = bipartition_plan(statistics, splits=1).provenance["split"]
    angles = [90, 130, 130, 50, 90, 90]  # de and nl to es, fr, it
    assert split["distance"] == pytest.approx(1 - np.cos(np.radians(angles)).mean(), abs=1e-9)


def test_the_threshold_must_be_exceeded(statistics):
    distances = [s["distance"] for s in bipartition_plan(statistics, splits=9).provenance["split"]]
    assert distances == sorted(distances, reverse=True)
    assert len(distances) == 3  # where gradients are the same, there is nothing to split at 0
    for threshold, count in ((distances[0], 0), (distances[1], 1), (distances[1] - 1e-6, 2)):
        plan = bipartition_plan(statistics, splits=9, threshold=threshold)
        assert len(plan.provenance["split"]) == count
    assert bipartition_plan(statistics, threshold=2.0).is_shared


def test_a_split_too_large_is_passed_over():
    sizes = {FC1: 500, FC2: 100, Q: 30}
    statistics = statistics_of(
        {FC1: two_levels(90, 40), FC2: two_levels(70, 8), Q: two_levels(20, 2)}, sizes
    )
    plan = bipartition_plan(statistics, splits=2, budget=str(SHARED + 400))
    assert [split["module"] for split in plan.provenance["split"]] == [FC2, Q]
    assert plan.parameters == plan.size(SHARED, sizes) == SHARED + 130
    assert plan.provenance["size_budget"] == str(SHARED + 400)
    nothing = bipartition_plan(statistics, budget="1")
    assert nothing.is_shared
    assert nothing.provenance["split"] == []


def test_modules_and_layers_split_as_one(statistics):
    module = bipartition_plan(statistics, splits=1, granularity="module")
    assert module.units[FC1] == module.units[FC2] == (GERMANIC, ROMANCE)
    assert module.units[Q] == ALL
    assert module.provenance["split"][0]["module"] == f"{LAYER}.feed_forward"
    assert module.parameters == SHARED + 200
    layer = bipartition_plan(statistics, splits=2, granularity="layer")
    assert all(layer.units[unit] == (GERMANIC, ROMANCE) for unit in (FC1, FC2, Q, NORM))
    assert layer.units[LAST] == ALL  # by itself, and of one mind
    assert layer.parameters == SHARED + 400
    assert [split["module"] for split in layer.provenance["split"]] == [LAYER]


def test_concatenated_gradients_decide_together():
    """The larger gradient has more to say, as in a concatenation."""
    near, far = two_levels(10, 1), two_levels(90, 1)
    large = {one: [100 * x for x in vector] for one, vector in near.items()}
    distances = []
    for first, second in ((near, far), (large, far)):
        plan = bipartition_plan(
            statistics_of({FC1: first, FC2: second}), splits=1, granularity="module"
        )
        distances.append(plan.provenance["split"][0]["distance"])
    joined = {one: [*large[one], *far[one]] for one in LANGUAGES}
    whole = bipartition_plan(statistics_of({"both": joined}), splits=1)
    assert distances[0] > 0.4
    assert distances[1] == pytest.approx(whole.provenance["split"][0]["distance"], abs=1e-9)
    assert distances[1] < 0.05


def test_ties_go_by_name():
    same = two_levels(90, 10)
    plan = bipartition_plan(statistics_of({"b": same, "c": same, "a": same}), splits=2)
    assert [split["module"] for split in plan.provenance["split"]] == ["a", "b"]
    orthogonal = dict(zip(LANGUAGES, np.eye(5)))
    plan = bipartition_plan(statistics_of({"u": orthogonal}), splits=1)
    assert plan.units["u"] == (("de", "es", "fr", "it"), ("nl",))


def test_a_gradient_without_signal_is_at_a_right_angle():
    """Two chunks that disagree are noise, whatever they seem to say."""
    vectors = {"u": {one: [0.0, 0.0] if one == "nl" else [1.0, 0.0] for one in LANGUAGES}}
    plan = bipartition_plan(statistics_of(vectors), splits=1)
    assert plan.units["u"] == (("de", "es", "fr", "it"), ("nl",))
    assert plan.provenance["split"][0]["distance"] == 1.0


@quick
@given(
    st.integers(0, 10**6),
    st.lists(st.floats(1e-3, 1e3), min_size=5, max_size=5),
    st.randoms(use_true_random=False),
)
def test_scale_and_order_do_not_matter_and_rounds_refine(seed, factors, random):
    vectors = random_vectors(seed)
    shuffled = {unit: vectors[unit] for unit in random.sample(sorted(vectors), len(vectors))}
    plan = bipartition_plan(statistics_of(vectors), splits=3)
    scale = dict(zip(LANGUAGES, factors))
    assert bipartition_plan(statistics_of(shuffled, scale=scale), splits=3) == plan
    later = bipartition_plan(statistics_of(random_vectors(seed + 1)), plan, splits=3)
    assert later.refines(plan)
    more = sum(len(groups) for groups in later.units.values())
    assert more == sum(len(groups) for groups in plan.units.values()) + 3


def test_units_without_statistics_stay_as_they_were_and_count(statistics):
    embed = {"embed": [["de"], ["es", "fr", "it", "nl"]]}
    within = SharingPlan(LANGUAGES, embed, sizes={"embed": 30})
    plan = bipartition_plan(statistics, within)
    assert plan.units["embed"] == within.units["embed"]
    assert plan.parameters == SHARED + 30 + 200
    with pytest.raises(StatisticsError, match="splits 'embed', which the statistics lack"):
        bipartition_plan(statistics, SharingPlan(LANGUAGES, embed))


def test_what_cannot_be_is_refused(statistics):
    within = SharingPlan(LANGUAGES, {FC1: [GERMANIC, ROMANCE], Q: [["de"], [*LANGUAGES[1:]]]})
    assert bipartition_plan(statistics, within).refines(within)
    with pytest.raises(
        PlanError, match=f"splits '{FC1}' and '{FC2}' differently, so '{LAYER}.feed"
    ):
        bipartition_plan(statistics, within, granularity="module")
    with pytest.raises(PlanError, match=f"so '{LAYER}' can't be split as one; choose a finer"):
        bipartition_plan(statistics, within, granularity="layer")
    with pytest.raises(OptionError, match="-granularity: expected one of projection, .*'model'"):
        bipartition_plan(statistics, granularity="model")
    with pytest.raises(OptionError, match="--bipartition-splits: expected 1 or more, found 0"):
        bipartition_plan(statistics, splits=0)
    for threshold in (-0.1, 2.1, float("nan")):
        with pytest.raises(OptionError, match="--bipartition-threshold: expected a distance"):
            bipartition_plan(statistics, threshold=threshold)
    with pytest.raises(OptionError, match="1 is 10,000 parameters, but .* already has 10,200"):
        bipartition_plan(statistics, within, budget="1")
    with pytest.raises(PlanError, match="the plan so far for de, xx"):
        bipartition_plan(statistics, SharingPlan(["de", "xx"], {}))
