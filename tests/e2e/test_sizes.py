"""Parameter counts against those of Table 1 of Wang et al. (Interspeech 2022)."""

import copy
from argparse import Namespace

import pytest
from fairseq.models import ARCH_CONFIG_REGISTRY

from fairseq_gist.cli.arch_models import model_of_arch
from fairseq_gist.policies.registry import decide
from fairseq_gist.surgery.apply import apply_plan
from fairseq_gist.surgery.units import count_parameters, find_units, select_units

LANGUAGES = ["de", "es", "fr", "it", "nl", "pt", "ro", "ru"]
SHARED = 76_327_936


@pytest.fixture(scope="module")
def medium():
    """The paper's model, in half precision: only its sizes matter."""
    return model_of_arch("s2t_transformer_m", 10_000, LANGUAGES).half()


@pytest.mark.parametrize(
    ("policy", "parameters"),
    [
        ("shared", SHARED),
        ("encoder-only", 324_584_448),
        ("self-attention", 208_778_240),
        ("cross-attention", 208_778_240),
        ("key-value", 208_778_240),
        ("query-key", 208_778_240),
        ("query-key-value", 186_715_136),
        ("attention", 164_652_032),
        ("feed-forward", 164_716_544),
        ("language-specific", 252_904_448),
    ],
)
def test_the_paper_s_models_have_the_paper_s_sizes(medium, policy, parameters):
    units = find_units(medium)
    sizes = {name: unit.parameters for name, unit in units.items()}
    plan = decide(policy, LANGUAGES, sizes, count_parameters(medium))
    assert plan.provenance["parameters"] == parameters
    assert set(select_units(units)) <= set(plan.units)
    model = copy.deepcopy(medium)
    apply_plan(model, plan, model.routing)
    assert count_parameters(model) == parameters
    assert sum(parameter.numel() for parameter in model.parameters()) - parameters == (
        sum(parameter.numel() for parameter in medium.parameters()) - SHARED
    )


def test_a_random_plan_of_the_paper_s_size(medium):
    sizes = {name: unit.parameters for name, unit in find_units(medium).items()}
    plan = decide("random", LANGUAGES, sizes, SHARED, budget="114.0M")
    model = copy.deepcopy(medium)
    apply_plan(model, plan, model.routing)
    assert count_parameters(model) == plan.provenance["parameters"]
    assert 114_000_000 - max(sizes.values()) < count_parameters(model) <= 114_000_000


@pytest.mark.parametrize("size", ["", "_xs", "_s", "_sp", "_m", "_mp", "_l"])
def test_every_stock_size_has_its_counterpart(size):
    stock, ours = Namespace(), Namespace()
    ARCH_CONFIG_REGISTRY[f"s2t_transformer{size}"](stock)
    ARCH_CONFIG_REGISTRY[f"gist_s2t_transformer{size}"](ours)
    assert stock == ours
