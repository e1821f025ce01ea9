"""Sketches: linear, right on average, and as exact as the formula says, on matrices too."""

import math

import pytest
import torch

from fairseq_gist.recording.sketch import Sketch, cosine_error, prime_from

SIDE = 512
SIZE = SIDE * SIDE
SIGNS = "++--+++-+---+++-+-+---+--+-++++--++--"


def _sketched(sketch, vector, parts=1, start=0):
    result = torch.zeros(sketch.size(vector.numel()))
    for part in vector.chunk(parts):
        sketch.add(result, part, start)
        start += part.numel()
    return result


def _gaussian():
    source = torch.Generator().manual_seed(3)
    shared = torch.randn(SIZE, generator=source)
    return [shared + torch.randn(SIZE, generator=source) for _ in range(2)]


def _matrices():
    """Two of rank 3, of which one column has 30% of the energy."""
    source = torch.Generator().manual_seed(4)
    right = torch.randn(3, SIDE, generator=source)
    pair = []
    for _ in range(2):
        matrix = torch.randn(SIDE, 3, generator=source) @ right
        others = matrix.square().sum() - matrix[:, 7].square().sum()
        matrix[:, 7] *= (others * 0.3 / 0.7).sqrt() / matrix[:, 7].norm()
        pair.append(matrix.flatten())
    return pair


def _cosine(x, y):
    return float(torch.nn.functional.cosine_similarity(x.double(), y.double(), dim=0))


@pytest.mark.parametrize(("number", "prime"), [(1, 2), (64, 67), (97, 97), (4096, 4099)])
def test_the_width_is_the_next_prime(number, prime):
    assert prime_from(number) == prime


def test_the_sketch_of_a_sum_is_the_sum_of_the_sketches():
    x, y = _gaussian()
    sketch = Sketch(256, SIZE)
    together = _sketched(sketch, 2 * x - 3 * y)
    apart = 2 * _sketched(sketch, x) - 3 * _sketched(sketch, y)
    error = float((together - apart).norm() / together.norm())
    assert error < 1e-5, f"relative difference {error}"


@pytest.mark.parametrize("parts", [2, 3, 7, 100])
def test_a_vector_in_parts_has_the_same_sketch(parts):
    vector = _gaussian()[0]
    sketch = Sketch(1000, SIZE)
    whole, pieces = _sketched(sketch, vector), _sketched(sketch, vector, parts)
    error = float((whole - pieces).norm() / whole.norm())
    assert error < 1e-5, f"relative difference {error}"


def test_every_coordinate_goes_to_its_bucket():
    sketch = Sketch(5, 23)
    for start in range(20):
        found = torch.zeros(5)
        sketch.add(found, torch.tensor([1.0, 10.0, 100.0]), start)
        buckets = [(start + position) % 5 for position in range(3)]
        assert found.abs()[buckets].tolist() == [1.0, 10.0, 100.0]


def test_more_coordinates_than_are_taken_at_once():
    vector = torch.ones(3 * 2**20)
    sketch = Sketch(101, vector.numel())
    signs = torch.zeros(101)
    for start in range(0, vector.numel(), 1000):
        sketch.add(signs, vector[start : start + 1000], start)
    assert torch.equal(_sketched(sketch, vector), signs)


def test_what_fits_is_kept_as_it_is():
    vector = torch.arange(60.0)
    sketch = Sketch(64, 60)
    assert torch.equal(_sketched(sketch, vector, parts=4), vector)
    assert sketch.size(10_000) == 67


def test_signs_are_those_of_every_machine_and_version():
    sketch = Sketch(37, 128)
    vector = torch.zeros(128)
    signs = []
    for position in range(37):
        vector.zero_()[position] = 1.0
        signs.append(int(_sketched(sketch, vector).sum()))
    assert "".join("+" if sign > 0 else "-" for sign in signs) == SIGNS
    longer = Sketch(37, 100_000)
    assert torch.equal(_sketched(longer, vector), _sketched(sketch, vector))


def test_half_precision_is_summed_in_single():
    vector = torch.full((4096,), 60_000.0)
    halves = _sketched(Sketch(64, 4096), vector.half())
    assert torch.equal(halves, _sketched(Sketch(64, 4096), vector.half().float()))
    assert halves.isfinite().all()


@pytest.mark.parametrize("vectors", [_gaussian, _matrices], ids=["gaussian", "outlier columns"])
def test_products_are_right_on_average_and_err_as_predicted(vectors):
    x, y = vectors()
    cosine = _cosine(x, y)
    scale = float(x.double().norm() * y.double().norm())
    errors, cosine_errors = [], []
    for seed in range(200):
        sketch = Sketch(1024, SIZE, seed)
        a, b = _sketched(sketch, x).double(), _sketched(sketch, y).double()
        errors.append(float(a @ b) / scale - cosine)
        cosine_errors.append(_cosine(a, b) - cosine)
    mean = sum(errors) / len(errors)
    found = math.sqrt(sum(error**2 for error in errors) / len(errors))
    predicted = math.sqrt((1 + cosine**2) / sketch.width)
    assert abs(mean) < 3 * predicted / math.sqrt(len(errors)), f"mean error {mean}"
    assert 0.8 < found / predicted < 1.25, f"error {found}, predicted {predicted}"

    found = math.sqrt(sum(error**2 for error in cosine_errors) / len(errors))
    predicted = cosine_error(cosine, sketch.width)
    assert 0.8 < found / predicted < 1.25, f"of the cosine {found}, predicted {predicted}"


def test_no_width_is_refused():
    with pytest.raises(ValueError, match="at least one number, not 0"):
        Sketch(0, 10)
