"""Random and gradient-guided plans at the ten numbers of parameters that table 1 prints."""

import numpy as np
import pytest

from fairseq_gist.sharing.budget import parse_budget
from fairseq_gist.sharing.plan import SharingPlan
from tests.unit.made_up import (
    MEDIUM_SHARED,
    gradient_plan,
    medium_units,
    random_plan,
    statistics_of,
)

EIGHT = ("de", "es", "fr", "it", "nl", "pt", "ro", "ru")
UNITS = medium_units()
EVERYTHING = 252_904_448


@pytest.fixture(scope="module")
def statistics():
    generator = np.random.default_rng(2)
    vectors = {unit: {one: generator.normal(size=5) for one in EIGHT} for unit in UNITS}
    return statistics_of(vectors, UNITS, languages=EIGHT, noise=0.3, shared=MEDIUM_SHARED)


@pytest.fixture(params=["random", "gradient", "average", "complete"])
def plan_of(request, statistics):
    """Return a function from a budget to a plan."""
    if request.param == "random":
        return lambda budget: random_plan(EIGHT, UNITS, MEDIUM_SHARED, budget, seed=1)
    linkage = "single" if request.param == "gradient" else request.param
    return lambda budget: gradient_plan(statistics, budget, linkage=linkage)


def test_the_units_are_those_of_the_paper():
    assert len(UNITS) == 79
    plan = SharingPlan.language_specific(EIGHT, UNITS)
    assert plan.size(MEDIUM_SHARED, UNITS) == EVERYTHING


@pytest.mark.parametrize(
    "budget",
    ["114.0M", "156.3M", "190.2M", "228.5M", "114.3M", "156.2M", "190.6M", "228.9M", "252.9M"],
)
def test_never_above_the_budget_and_within_one_merge_of_it(plan_of, budget):
    plan, limit = plan_of(budget), parse_budget(budget, MEDIUM_SHARED)
    size = plan.size(MEDIUM_SHARED, UNITS)
    assert size <= limit
    assert plan.parameters == size
    # the plan before the last merge is larger by one copy of one unit
    larger = [plan_of(str(size + own)) for own in sorted(set(UNITS.values()))]
    before = min(p.parameters for p in larger if p != plan)
    assert before - size in UNITS.values()
    assert before > limit, f"{before:,} would fit into {limit:,} too"


@pytest.mark.parametrize("budget", [str(EVERYTHING), "3.5"])
def test_from_3_32_on_everything_is_split(plan_of, budget):
    """The paper rounds 252,904,448 down to 252.9M, which is a little less than it takes."""
    assert plan_of(budget) == SharingPlan.language_specific(EIGHT, UNITS)
    assert plan_of("252.9M") != plan_of(budget)


def test_everything_shared_is_the_smallest(plan_of):
    assert plan_of("1").is_shared
