"""Half precision with all masters in one flat tensor, as fairseq's ``--fp16`` alone trains."""

import copy

import pytest
import torch
from fairseq.optim.adam import FairseqAdam
from fairseq.optim.fp16_optimizer import FP16Optimizer
from omegaconf import OmegaConf

from fairseq_gist.errors import SurgeryError
from fairseq_gist.host.masters import FlatMasters, masters_of
from fairseq_gist.host.optimizer import MASTERS_KEY, carry_scaler, observe
from fairseq_gist.recording.metric import mean_squares
from fairseq_gist.sharing.division import Division, divided_units
from fairseq_gist.sharing.low_rank import low_rank_units
from fairseq_gist.sharing.plan import SharingPlan
from fairseq_gist.surgery.apply import apply_plan
from fairseq_gist.surgery.optimizer import carry_over
from fairseq_gist.surgery.units import find_units, select_units
from tests.unit import zoo
from tests.unit.zoo import LANGUAGES, some_plan

FC1, FC2 = "decoder.layers.0.fc1", "decoder.layers.0.fc2"
PAIRS = [["de", "nl"], ["es", "fr"]]
CFG = {
    "common": {"fp16_init_scale": 4, "fp16_scale_window": 8, "fp16_scale_tolerance": 0.0,
               "threshold_loss_scale": None, "min_loss_scale": 1e-4, "bf16": False},
    "optimization": {"update_freq": [1]},
    "distributed_training": {"distributed_world_size": 1},
    "optimizer": {"lr": [0.01], "adam_betas": "(0.9, 0.98)", "adam_eps": 1e-8, "weight_decay": 0.01,
                  "use_old_adam": False, "fp16_adam_stats": False, "tpu": False},
}  # fmt: skip


def half(model, flat):
    """Return fairseq's optimizer for a model in half precision.

    Its own function that makes the flat tensor asks CUDA for a device.
    """
    cfg = OmegaConf.create(CFG)
    parameters = [p for p in model.parameters() if p.requires_grad]
    if flat:
        whole = torch.nn.Parameter(torch.cat([p.detach().flatten() for p in parameters]).float())
        whole.grad = torch.zeros_like(whole)
        masters = {None: whole}
        own = FairseqAdam(cfg.optimizer, [whole])
    else:
        masters = FP16Optimizer.build_fp32_params(cfg.optimizer, parameters, flatten=False)
        own = FairseqAdam(cfg.optimizer, masters)
    optimizer = FP16Optimizer(cfg, parameters, own, masters)
    observe(optimizer, None)
    return optimizer


def step(optimizer, seed):
    """Take a step along random gradients."""
    generator = torch.Generator().manual_seed(seed)
    optimizer.zero_grad()
    optimizer._needs_sync = True  # as after a backward pass
    for parameter in optimizer.fp16_params:
        parameter.grad = 4 * torch.randn(parameter.shape, generator=generator).half()
    optimizer.clip_grad_norm(1.0)
    optimizer.step()


def split(model):
    return some_plan(model, list(find_units(model)))


def divided(model):
    division = Division(FC2, 12, (1, 2, 5, 9))
    shared = {n: [LANGUAGES] for n in select_units(find_units(model)) if n not in (FC1, FC2)}
    parts = divided_units(FC1, division)
    shared.update(dict(zip(parts, ([LANGUAGES], [LANGUAGES], PAIRS, PAIRS))))
    return SharingPlan(LANGUAGES, shared, divisions={FC1: division})


def low_rank(model):
    base, difference = low_rank_units(FC1)
    shared = {n: [LANGUAGES] for n in select_units(find_units(model)) if n != FC1}
    return SharingPlan(
        LANGUAGES, {**shared, base: [LANGUAGES], difference: PAIRS}, low_rank={FC1: 2}
    )


def operated(plan, flat, later):
    """Train in half precision, become what ``plan`` says, and train on."""
    torch.manual_seed(0)
    model = zoo.plain().half()
    old = half(model, flat)
    for seed in range(3):
        step(old, seed)
    lineage = apply_plan(model, plan(model), model.routing)
    new = half(model, flat)
    carry_over(lineage, old.optimizer, new.optimizer, masters_of(old), masters_of(new))
    carry_scaler(old, new)
    for seed in range(later):
        step(new, 10 + seed)
    return model, new


def each(optimizer):
    """Return masters and both moments of every parameter, of either kind of optimizer."""
    masters = masters_of(optimizer)
    state = optimizer.optimizer.state
    if masters.flat is None:
        for master in masters.each.values():
            own = state.get(master, {})
            zero = torch.zeros_like(master)
            yield master, own.get("exp_avg", zero), own.get("exp_avg_sq", zero)
        return
    whole, own = masters.flat.whole, state[masters.flat.whole]
    for parameter, place in masters.flat.places().items():
        moments = (own["exp_avg"], own["exp_avg_sq"])
        yield tuple(tensor[place].view(parameter.shape) for tensor in (whole, *moments))


@pytest.mark.parametrize(
    ("plan", "later"), [(split, 0), (split, 3), (divided, 0), (divided, 3), (low_rank, 0)]
)
def test_flat_masters_go_on_as_those_of_their_own_do(plan, later):
    model, flat = operated(plan, True, later)
    reference, apart = operated(plan, False, later)
    largest = max(
        float((one.detach() - other.detach()).abs().max())
        for ours, theirs in zip(each(flat), each(apart))
        for one, other in zip(ours, theirs)
    )
    halves = zip(model.parameters(), reference.parameters())
    print(f"masters and moments: largest difference {largest}")  # noqa: T201
    assert largest <= 2.4e-7  # the norm that clips gradients is added up in another order
    assert all(torch.equal(one, other) for one, other in halves)
    assert flat.scaler.loss_scale == apart.scaler.loss_scale
    assert masters_of(flat).flat.whole.numel() == sum(p.numel() for p in model.parameters())


def test_a_resumed_run_has_the_flat_masters_again():
    model, optimizer = operated(split, True, 1)
    saved = copy.deepcopy(optimizer.state_dict())
    assert len(saved[MASTERS_KEY]) == 1
    again = half(model, True)
    again.load_state_dict(saved)
    assert torch.equal(masters_of(again).flat.whole, masters_of(optimizer).flat.whole)
    before = [p.detach().clone() for p in model.parameters()]
    step(optimizer, 20)
    expected = [p.detach().clone() for p in model.parameters()]
    with torch.no_grad():
        for parameter, old in zip(model.parameters(), before):
            parameter.copy_(old)
    step(again, 20)
    assert all(torch.equal(one, two) for one, two in zip(model.parameters(), expected))


def test_mean_squares_are_found_in_a_flat_state():
    """As ``record --metric`` reads them of a checkpoint."""
    model, optimizer = operated(split, True, 1)
    reference, apart = operated(split, False, 1)
    found = mean_squares(model, optimizer.optimizer.state_dict())
    expected = mean_squares(reference, apart.optimizer.state_dict())
    assert list(map(torch.Tensor.size, found.values())) == list(
        map(torch.Tensor.size, expected.values())
    )
    for one, other in zip(found.values(), expected.values()):
        assert torch.allclose(one, other, rtol=1e-5, atol=0)


def test_what_does_not_fit_is_refused():
    model = zoo.plain().half()
    old = half(model, True)
    step(old, 1)
    whole = masters_of(old).flat.whole
    with pytest.raises(SurgeryError, match="flat masters are .* numbers, and the parameters"):
        FlatMasters(whole, old.fp16_params[1:]).places()
    old.optimizer.state[whole]["row"] = torch.zeros(12)
    lineage = apply_plan(model, split(model), model.routing)
    new = half(model, True)
    with pytest.raises(SurgeryError, match=r"keeps 'row' of shape \(12,\)"):
        carry_over(lineage, old.optimizer, new.optimizer, masters_of(old), masters_of(new))
