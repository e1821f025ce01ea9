"""The gdps policy on planted blocks: who is divided, into which groups, on which neurons."""

import numpy as np
import pytest

from fairseq_gist.architectures import PLAIN
from fairseq_gist.errors import OptionError, StatisticsError
from fairseq_gist.gradients.statistics import GradientStatistics
from fairseq_gist.policies.conflict import conflicts
from fairseq_gist.policies.gdps import own_count
from fairseq_gist.sharing.description import describe_plan
from fairseq_gist.sharing.plan import SharingPlan
from tests.unit.made_up import gdps_plan, plan_by
from tests.unit.planted_neurons import (
    FEATURES,
    FIRST,
    HIDDEN,
    SECOND,
    WIDTHS,
    of_neuron_probes,
    planted_block,
)

PAIRS = [["aa", "bb"], ["cc", "dd"]]
ALL = [["aa", "bb", "cc", "dd"]]
EACH = tuple((language,) for language in ALL[0])
PLANTED = tuple(range(0, HIDDEN, 4))


def facts_of(plan):
    return plan.blocks[FIRST]


@pytest.mark.parametrize("own", ["directions", "agreement"])
@pytest.mark.parametrize("noise", [0.5, 1.0, 2.0])
def test_planted_groups_and_neurons_are_found(own, noise):
    plan = gdps_plan(planted_block(PAIRS, PLANTED, noise=noise), gdps_shared="0.75", gdps_own=own)
    assert plan.divisions[FIRST].own == PLANTED
    assert plan.divisions[FIRST].second == SECOND
    assert plan.units[f"{FIRST}.own"] == plan.units[f"{SECOND}.own"] == (("aa", "bb"), ("cc", "dd"))
    assert len(plan.units[f"{FIRST}.shared"]) == len(plan.units[f"{SECOND}.shared"]) == 1
    assert facts_of(plan)["own_by"] == own
    assert facts_of(plan)["p_groups"] <= 0.05


def test_languages_that_differ_without_groups_own_copies_alone():
    plan = gdps_plan(planted_block([["aa"], ["bb"], ["cc"], ["dd"]], PLANTED, noise=1.0))
    assert plan.units[f"{FIRST}.own"] == EACH
    assert "form no groups" in facts_of(plan)["why"]
    assert set(plan.divisions[FIRST].own) >= set(PLANTED)


def test_without_a_difference_blocks_stay_shared():
    divided = sum(
        bool(gdps_plan(planted_block(ALL, (), noise=3.0, seed=seed)).divisions)
        for seed in range(60)
    )
    # level 0.05: more than 8 of 60 have a probability of 0.2 %
    assert divided <= 8, f"{divided} of 60"
    plan = gdps_plan(planted_block(ALL, (), noise=3.0))
    assert plan.is_shared
    assert "aren't known to differ" in facts_of(plan)["why"]
    assert plan.units.keys() == {FIRST, SECOND}


def test_noise_alone_is_no_difference():
    generator = np.random.default_rng(1)
    divided = 0
    for _ in range(40):
        probes = generator.normal(size=(16, HIDDEN, sum(WIDTHS)))
        labels, chunks = np.repeat(np.arange(4), 4), np.tile(np.arange(4), 4)
        divided += bool(gdps_plan(of_neuron_probes(ALL[0], probes, labels, chunks)).divisions)
    assert divided <= 6, f"{divided} of 40"


def test_several_blocks_are_judged_together():
    own = [planted_block(ALL, (), noise=3.0, seed=seed, first=f"encoder.layers.{seed}.fc1",
                         second=f"encoder.layers.{seed}.fc2") for seed in range(20)]  # fmt: skip
    many = GradientStatistics(
        own[0].languages,
        tuple(unit for each in own for unit in each.units),
        np.concatenate([each.unit_parameters for each in own]),
        100_000,
        np.concatenate([each.gram for each in own]),
        own[0].probe_languages,
        own[0].probe_chunks,
        own[0].probe_tokens,
        neurons={first: neurons for each in own for first, neurons in each.neurons.items()},
    )
    facts = gdps_plan(many).blocks
    single = [gdps_plan(each).blocks for each in own]
    for (first, fact), alone in zip(facts.items(), single):
        assert fact["p_differ"] >= alone[first]["p_differ"] - 0.03  # of draws of their own
    assert sum("shared" in fact for fact in facts.values()) <= 1


@pytest.mark.parametrize(
    ("shared", "expected"),
    [("0.25", 6), ("0.5", 12), ("0.75", 18), ("steps", 6), ("continuous", 6), ("0.001", 1)],
)
def test_the_share_that_stays_shared(shared, expected):
    plan = gdps_plan(planted_block(PAIRS, PLANTED, noise=1.0), gdps_shared=shared)
    assert len(plan.divisions[FIRST].shared) == expected
    assert facts_of(plan)["shared"] == pytest.approx(expected / HIDDEN)
    assert own_count(HIDDEN, expected / HIDDEN) == HIDDEN - expected


def test_a_given_share_divides_every_block_and_each_is_each():
    same = planted_block(ALL, (), noise=3.0)
    plan = gdps_plan(same, gdps_groups="each", gdps_shared="0.5")
    assert len(plan.divisions[FIRST].own) == HIDDEN // 2
    assert plan.units[f"{FIRST}.own"] == EACH
    two = gdps_plan(same, gdps_groups="2", gdps_shared="0.5")
    assert len(two.units[f"{FIRST}.own"]) == 2


def test_a_language_of_noise_joins_the_group_with_the_most_data():
    statistics = planted_block([["aa", "bb"], ["cc", "dd"], ["ee"]], PLANTED, noise=1.0)
    probes = len(statistics.probe_languages)
    noisy = statistics.probe_languages == 4
    generator = np.random.default_rng(3)
    scale = np.where(noisy, 0.0, 1.0)
    neurons = statistics.neurons[FIRST]
    noise = generator.normal(size=(HIDDEN, probes, sum(WIDTHS))) * noisy[None, :, None] * 0.2
    extra = np.einsum("hpi,hqi->hpq", noise, noise)
    gram = neurons.gram * scale[:, None] * scale[None, :] + extra
    whole = gram.sum(axis=0)
    changed = GradientStatistics(
        **{
            **{name: getattr(statistics, name) for name in statistics.__dataclass_fields__},
            "gram": np.stack([whole / 2, whole / 2]),
            "neurons": {FIRST: type(neurons)(SECOND, gram.astype(np.float32), *WIDTHS)},
        }
    )
    plan = gdps_plan(changed, gdps_shared="0.5")
    assert facts_of(plan)["unplaced"] == ["ee"]
    assert facts_of(plan)["why"].endswith("; noise, and with the most data: ee")
    assert plan.units[f"{FIRST}.own"] == (("aa", "bb"), ("cc", "dd", "ee"))  # of more tokens
    five = gdps_plan(changed, gdps_groups="5", gdps_shared="0.5")
    assert facts_of(five)["why"].startswith("the best 4 groups; noise")
    assert len(five.units[f"{FIRST}.own"]) == 4


def test_what_cannot_be_told_is_null():
    two = gdps_plan(planted_block([["aa"], ["bb"]], PLANTED, chunks=2), gdps_shared="0.5")
    assert facts_of(two)["interval"] == [None, None]
    assert facts_of(two)["p_groups"] is None
    assert facts_of(two)["why"] == "languages differ, but form no groups"
    assert two.units[f"{FIRST}.own"] == (("aa",), ("bb",))
    probes = np.zeros((8, HIDDEN, sum(WIDTHS)))
    nothing = of_neuron_probes(ALL[0], probes, np.repeat(np.arange(4), 2), np.tile([0, 1], 4))
    plan = gdps_plan(nothing)
    assert plan.is_shared
    assert facts_of(plan)["why"] == "whether languages differ can't be told: a gradient is zero"
    for each in (two, plan, gdps_plan(nothing, gdps_shared="0.5")):
        assert "NaN" not in each.to_json()
        assert SharingPlan.from_json(each.to_json()) == each


def test_sizes_are_those_of_the_parts():
    plan = gdps_plan(planted_block(PAIRS, PLANTED, noise=1.0), gdps_shared="0.75")
    sizes = plan.sizes
    first, second = WIDTHS
    assert sizes == {
        f"{FIRST}.shared": 18 * first,
        f"{SECOND}.shared": 18 * second + FEATURES,
        f"{FIRST}.own": 6 * first,
        f"{SECOND}.own": 6 * second,
    }
    assert plan.parameters == 100_000 + 6 * (first + second)
    assert plan.size(100_000, sizes) == plan.parameters


def test_a_plan_says_what_it_decided_and_why():
    divided = gdps_plan(planted_block(PAIRS, PLANTED, noise=1.0), gdps_shared="0.75")
    text = describe_plan(divided, PLAIN)
    assert (
        f"neurons of {FIRST}: 18 of 24 shared (75%), the others aa bb | cc dd; groups found "
        "(p = 0.001)"
    ) in text
    alike = gdps_plan(planted_block(ALL, (), noise=3.0))
    text = describe_plan(alike, PLAIN)
    assert f"neurons of {FIRST}: all shared; languages aren't known to differ (p = " in text


def test_the_control_has_the_same_size_and_another_choice():
    plan = gdps_plan(planted_block(PAIRS, PLANTED, noise=1.0), gdps_shared="0.75")
    statistics = planted_block(PAIRS, PLANTED, noise=1.0)

    def control_of(seed):
        options = {"gdps_shared": "0.75", "plan_seed": seed}
        return plan_by("gdps-random", statistics, **options)

    controls = [control_of(seed) for seed in range(12)]
    for control in controls:
        sizes = control.sizes
        assert control.size(100_000, sizes) == plan.parameters
        assert [len(g) for g in control.units[f"{FIRST}.own"]] == [2, 2]
        assert control.units[f"{FIRST}.own"] == control.units[f"{SECOND}.own"]
        assert len(control.divisions[FIRST].own) == 6
        assert control.provenance["policy"] == "gdps-random"
    assert control_of(3) == controls[3]
    assert len({control.divisions[FIRST].own for control in controls}) == 12
    assert len({control.units[f"{FIRST}.own"] for control in controls}) == 3
    taken = np.bincount([unit for c in controls for unit in c.divisions[FIRST].own], minlength=24)
    assert taken[list(PLANTED)].mean() < 8  # of 12, where every planted plan has 12


def test_the_conflict_adds_up_to_the_divergence():
    statistics = planted_block(PAIRS, PLANTED, noise=1.0)
    merged = statistics.merged({FIRST: [FIRST, SECOND]})
    found, measured = conflicts(merged, FIRST, statistics.neurons[FIRST], EACH, "agreement")
    plan = gdps_plan(statistics, gdps_groups="each", gdps_shared="0.5")
    assert measured == "agreement"
    assert found.sum() == pytest.approx(facts_of(plan)["delta"], rel=1e-5)


def test_where_no_direction_tells_languages_apart_agreement_decides():
    statistics = planted_block(ALL, (), noise=0.5)
    merged = statistics.merged({FIRST: [FIRST, SECOND]})
    _, measured = conflicts(merged, FIRST, statistics.neurons[FIRST], EACH, "directions")
    assert measured == "agreement"


def test_what_is_split_already_stays():
    within = SharingPlan(ALL[0], {FIRST: EACH, SECOND: [ALL[0]]},
                         sizes={FIRST: 168, SECOND: 150})  # fmt: skip
    plan = gdps_plan(planted_block(PAIRS, PLANTED), within=within)
    assert plan == within
    assert plan.parameters == 100_000 + 3 * HIDDEN * WIDTHS[0]


@pytest.mark.parametrize("policy", ["gdps", "gdps-random"])
def test_what_is_divided_already_stays_whatever_is_asked_for_now(policy):
    statistics = planted_block(PAIRS, PLANTED)
    within = gdps_plan(statistics)
    seed = {"plan_seed": 3} if policy == "gdps-random" else {}
    plan = plan_by(policy, statistics, within, gdps_shared="0.9", **seed)
    assert plan == within
    assert plan.parameters == within.parameters


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"gdps_groups": "1"}, "--gdps-groups: expected clusters, each or a number of groups"),
        ({"gdps_groups": "²"}, "--gdps-groups: expected clusters, each or a number .* found '²'"),
        ({"gdps_groups": "9"}, "--gdps-groups: expected no more groups than the 4 languages, f"),
        ({"gdps_shared": "1"}, "gdps-shared: expected continuous, steps or a share"),
        ({"gdps_shared": "most"}, "found 'most'"),
        ({"gdps_own": "all"}, "--gdps-own: expected one of directions, agreement"),
    ],
)
def test_wrong_options(options, named):
    with pytest.raises(OptionError, match=named):
        gdps_plan(planted_block(PAIRS, PLANTED), **options)


def test_statistics_without_neurons_or_chunks():
    statistics = planted_block(PAIRS, PLANTED)
    with pytest.raises(StatisticsError, match="single neurons, .* lack: record them"):
        gdps_plan(statistics.merged({FIRST: [FIRST], SECOND: [SECOND]}))
    with pytest.raises(StatisticsError, match="one has a single chunk"):
        gdps_plan(planted_block(PAIRS, PLANTED, chunks=1))


@pytest.mark.parametrize("blocks", [[[FIRST, FIRST]], [[FIRST, SECOND], [SECOND, FIRST]]])
def test_a_projection_in_two_blocks_of_a_statistics_file(blocks, tmp_path):
    path = tmp_path / "edited.npz"
    planted_block(PAIRS, PLANTED).save(path)
    with np.load(path) as content:
        arrays = dict(content)
    sizes = np.repeat(arrays["hidden_parameters"], len(blocks), axis=0)
    np.savez(path, **{**arrays, "hidden_blocks": np.array(blocks), "hidden_parameters": sizes})
    with pytest.raises(StatisticsError, match=rf"edited.npz: .*once each; has '{FIRST}' twice"):
        GradientStatistics.load(path)
