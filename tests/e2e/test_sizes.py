"""Parameter counts against those of Table 1 of Wang et al. (Interspeech 2022)."""

import copy
from argparse import Namespace

import pytest
from fairseq.models import ARCH_CONFIG_REGISTRY

from fairseq_gist.loading.arch_models import model_of_arch
from fairseq_gist.nn.adapters import Adapter
from fairseq_gist.policies import decide
from fairseq_gist.policies.situation import Situation
from fairseq_gist.surgery.adapters import split_adapters
from fairseq_gist.surgery.apply import apply_plan
from fairseq_gist.surgery.shape import shape_of
from fairseq_gist.surgery.trainable import train_only
from fairseq_gist.surgery.units import (
    count_parameters,
    count_trained,
    find_units,
    select_units,
)

LNA = {"lna-d": 12_626_944, "lna-e": 12_633_088, "lna-ed": 25_260_032}
LANGUAGES = ["de", "es", "fr", "it", "nl", "pt", "ro", "ru"]
SHARED = 76_327_936


@pytest.fixture(scope="module")
def medium():
    """The paper's model without its numbers: only their count matters."""
    return model_of_arch("s2t_transformer_m", 10_000, LANGUAGES).to("meta")


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
    plan = decide(policy, Situation(shape_of(medium)))
    assert plan.parameters == parameters
    assert set(select_units(units)) <= set(plan.units)
    model = copy.deepcopy(medium)
    apply_plan(model, plan, model.routing)
    assert count_parameters(model) == parameters
    assert sum(parameter.numel() for parameter in model.parameters()) - parameters == (
        sum(parameter.numel() for parameter in medium.parameters()) - SHARED
    )


@pytest.mark.parametrize("what", LNA)
def test_what_lna_trains(medium, what):
    model = copy.deepcopy(medium)
    train_only(model, what)
    assert count_trained(model) == LNA[what]


def test_a_random_plan_of_the_paper_s_size(medium):
    shape = shape_of(medium)
    plan = decide("random", Situation(shape), size_budget="114.0M")
    model = copy.deepcopy(medium)
    apply_plan(model, plan, model.routing)
    assert count_parameters(model) == plan.parameters
    assert 114_000_000 - max(shape.sizes.values()) < count_parameters(model) <= 114_000_000


def test_medium_model_with_adapters():
    """The row of the paper, 153.1M, doesn't say how wide its adapters are."""
    model = model_of_arch("s2t_transformer_m", 10_000, LANGUAGES, "--adapter-dim=512").to("meta")
    assert len(select_units(find_units(model))) == 79  # 13 a layer and the final norm
    split_adapters(model, model.routing)
    assert count_parameters(model) == 152_120_320
    train_only(model, "adapters")
    assert count_trained(model) == 75_792_384
    sizes = {n: 76_327_936 + 18 * 8 * count_parameters(Adapter(512, n)) for n in range(510, 530)}
    assert sizes[512] == 152_120_320
    nearest = min(sizes, key=lambda n: abs(sizes[n] - 153_100_000))
    assert (nearest, sizes[nearest]) == (519, 153_153_520)


@pytest.mark.parametrize("size", ["", "_xs", "_s", "_sp", "_m", "_mp", "_l"])
def test_every_stock_size_has_its_counterpart(size):
    stock, ours = Namespace(), Namespace()
    ARCH_CONFIG_REGISTRY[f"s2t_transformer{size}"](stock)
    ARCH_CONFIG_REGISTRY[f"gist_s2t_transformer{size}"](ours)
    assert stock == ours
