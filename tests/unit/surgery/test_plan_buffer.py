"""The plan in a checkpoint: bytes in a row, or a line that says what else is there."""

import pytest
import torch

from fairseq_gist.errors import PlanError
from fairseq_gist.sharing.plan import SharingPlan
from fairseq_gist.surgery.plan_buffer import decode_plan, encode_plan

PLAN = SharingPlan(["de", "fr"], {"a": [["de"], ["fr"]]})


def test_bytes_survive_as_any_kind_of_number():
    for kind in (torch.int64, torch.int32, torch.float32, torch.float64):
        assert decode_plan(encode_plan(PLAN).to(kind)) == PLAN


def test_an_average_of_two_plans_is_called_so():
    """As fairseq's own script makes it, which sums integers and divides."""
    other = SharingPlan(["de", "fr"], {"a": [["de", "fr"]]})
    one, two = encode_plan(PLAN), encode_plan(other)
    length = min(len(one), len(two))
    with pytest.raises(PlanError, match="another script has averaged checkpoints of different pl"):
        decode_plan(torch.div(one[:length] + two[:length], 2, rounding_mode="floor"))


@pytest.mark.parametrize(
    "buffer",
    [
        torch.tensor(7),
        encode_plan(PLAN)[None],
        encode_plan(PLAN).to(torch.complex64),
        encode_plan(PLAN)[:-9],
        encode_plan(PLAN)[:0],
        encode_plan(PLAN) * 1000,
        torch.full((40,), -(2**62)),
        torch.full((40,), float("nan")),
    ],
    ids=["one number", "a table", "complex", "cut", "empty", "large", "negative", "no numbers"],
)
def test_what_is_no_plan_is_one_line(buffer):
    with pytest.raises(PlanError, match="^the checkpoint's sharing plan: ") as error:
        decode_plan(buffer)
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 600
