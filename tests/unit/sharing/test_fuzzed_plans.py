"""Broken plans, five thousand of them: each is a plan all the same, or refused in one line."""

import json
import random
import tracemalloc

import pytest

from fairseq_gist.architectures import recognise
from fairseq_gist.errors import PlanError
from fairseq_gist.sharing.description import describe_plan
from fairseq_gist.sharing.plan import SharingPlan
from tests.unit.fuzzing import broken_json

BLOCK, UNIT = "decoder.layers.0.fc1", "decoder.layers.0.self_attn.q_proj"
WHOLE = {
    "schema": 2,
    "languages": ["de", "es", "fr"],
    "provenance": {"policy": "gradient", "notes": ["by hand"]},
    "sizes": {UNIT: 1024},
    "shared_parameters": 5000,
    "update": 40,
    "history": [{"update": 20, "units": {UNIT: [["de", "es", "fr"]]}}],
    "blocks": {BLOCK: {"why": "it is divergent"}},
    "divisions": {BLOCK: {"second": "decoder.layers.0.fc2", "hidden": 8, "own": "0-3,7"}},
    "units": {
        UNIT: [["de"], ["es", "fr"]],
        f"{BLOCK}.own": [["de", "es"], ["fr"]],
    },
}  # fmt: skip
OLD = {
    "schema": 1,
    "languages": ["de", "es"],
    "provenance": {"unit_parameters": {"a": 3}, "shared_parameters": 9, "update": 4, "history": []},
    "units": {"a": [["de"], ["es"]]},
}


@pytest.mark.parametrize(("plan", "count"), [(WHOLE, 4000), (OLD, 1000)])
def test_a_broken_plan_is_a_plan_or_one_line(plan, count):
    source, text = random.Random(1), json.dumps(plan)
    refused = 0
    for _ in range(count):
        spoiled = broken_json(text, source)
        try:
            read = SharingPlan.from_json(spoiled, source="plan.json")
        except PlanError as error:
            told = str(error)
            assert told.isprintable(), spoiled
            assert len(told) < 600, spoiled
            assert told.startswith("plan.json: "), told
            refused += 1
        else:
            assert SharingPlan.from_json(read.to_json()) == read, spoiled
            describe_plan(read, recognise(read.units)).encode()
            assert read.refines(read), spoiled
    assert count * 0.4 < refused < count


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden": 999999999, "own": "0-999999998"}, "at most 4,194,304 neurons in all divisions"),
        ({"hidden": 65536, "own": ",".join(["0-65534"] * 9999)}, "ascending, each once"),
        ({"hidden": 8, "own": "3,2"}, "ascending, each once; found '2' after 3"),
    ],
)
def test_a_small_plan_takes_little_memory(changes, message):
    division = {**WHOLE["divisions"][BLOCK], **changes}
    text = json.dumps({**WHOLE, "divisions": {BLOCK: division}})
    tracemalloc.start()
    with pytest.raises(PlanError, match=message):
        SharingPlan.from_json(text)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 400e6


@pytest.mark.parametrize("number", [True, 1.5, -1, float("inf"), 1 << 62, "3", None])
@pytest.mark.parametrize("place", ["update", "schema", "shared_parameters"])
def test_a_number_is_a_number(place, number):
    if place == "schema" and number == 1.5:
        number = 2.0
    with pytest.raises(
        PlanError, match=f"{place}'?( must| to|, found)|of '{place}', found|schema 1 to"
    ):
        SharingPlan.from_json(json.dumps({**WHOLE, place: number}))


@pytest.mark.parametrize("update", [True, "3", float("inf"), None])
def test_an_update_of_the_history_is_a_number(update):
    step = {**WHOLE["history"][0], "update": update}
    with pytest.raises(PlanError, match="its 'history' can't be read: 'update' must be a number"):
        SharingPlan.from_json(json.dumps({**WHOLE, "history": [step]}))
