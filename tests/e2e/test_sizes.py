"""Parameter counts against those of Table 1 of Wang et al. (Interspeech 2022)."""

from argparse import Namespace

import pytest
from fairseq.data import Dictionary
from fairseq.models import ARCH_CONFIG_REGISTRY

from fairseq_gist.models.gist_s2t_transformer import GistS2TTransformer
from fairseq_gist.nn.adapters import Adapter
from fairseq_gist.plan import SharingPlan
from fairseq_gist.surgery.adapters import split_adapters
from fairseq_gist.surgery.apply import apply_plan
from fairseq_gist.surgery.trainable import train_only
from fairseq_gist.surgery.units import (
    count_parameters,
    count_trained,
    find_units,
    select_units,
)

LNA = {"lna-d": 12_626_944, "lna-e": 12_633_088, "lna-ed": 25_260_032}
LANGUAGES = ["de", "es", "fr", "it", "nl", "pt", "ro", "ru"]


def build(arch, **options):
    dictionary = Dictionary()
    for language in LANGUAGES:
        dictionary.add_symbol(f"<lang:{language}>")
    while len(dictionary) < 10_000:
        dictionary.add_symbol(f"s{len(dictionary)}")
    args = Namespace(input_feat_per_channel=80, input_channels=1, **options)
    args.max_source_positions, args.max_target_positions = 6000, 1024
    args.conv_version, args.activation_fn = "s2t_transformer", "relu"
    ARCH_CONFIG_REGISTRY[arch](args)
    return GistS2TTransformer.build_model(args, Namespace(target_dictionary=dictionary))


def test_medium_model_shared_and_split():
    model = build("gist_s2t_transformer_m")
    assert count_parameters(model) == 76_327_936
    for what, count in LNA.items():
        train_only(model.requires_grad_(True), what)
        assert count_trained(model) == count
    units = select_units(find_units(model))
    assert "decoder.layer_norm" in units
    plan = SharingPlan.language_specific(LANGUAGES, units)
    sizes = {name: unit.parameters for name, unit in units.items()}
    assert plan.size(76_327_936, sizes) == 252_904_448
    apply_plan(model, plan, model.routing)
    assert count_parameters(model) == 252_904_448


def test_medium_model_with_adapters():
    """The row of the paper, 153.1M, doesn't say how wide its adapters are."""
    model = build("gist_s2t_transformer_m", adapter_dim=512)
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
