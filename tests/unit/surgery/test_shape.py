"""The shape of a real model agrees with what surgery makes of the model."""

from fairseq_gist.sharing.division import Division, divided_units
from fairseq_gist.sharing.plan import SharingPlan
from fairseq_gist.surgery.apply import apply_plan
from fairseq_gist.surgery.shape import shape_of
from fairseq_gist.surgery.units import count_parameters, find_units
from tests.unit import zoo


def test_sizes_are_the_models_own():
    model = zoo.plain()
    shape = shape_of(model)
    assert shape.languages == zoo.LANGUAGES
    assert shape.shared_parameters == count_parameters(model)
    assert shape.sizes == {name: unit.parameters for name, unit in find_units(model).items()}


def test_a_divided_and_split_model_is_as_large_as_its_shape_said():
    model = zoo.plain()
    shape = shape_of(model)
    first, block = next(iter(shape.blocks.items()))
    division = {first: Division(block.second, block.neurons, (0, 3, 4))}
    alone = [[one] for one in zoo.LANGUAGES]
    parts = dict.fromkeys(divided_units(first, division[first])[2:], alone)
    plan = SharingPlan(zoo.LANGUAGES, parts, None, division)
    plan = shape.completed(plan)
    assert shape.size_of(plan) > shape.shared_parameters
    apply_plan(model, plan, model.routing)
    after = shape_of(model)
    assert count_parameters(model) == shape.size_of(plan) == after.size_of(plan)
    assert after.shared_parameters == shape.shared_parameters
    assert after.units == shape.divided(division).units
    assert after.blocks == shape.divided(division).blocks
