"""Gradient statistics against plain loops over the probes, and their file."""

from __future__ import annotations

import itertools
import tracemalloc
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from fairseq_gist.errors import StatisticsError
from fairseq_gist.gradients.statistics import GradientStatistics

LANGUAGES = ("de", "es", "nl")
UNITS = ("fc1", "fc2")


def statistics_of(probes, languages=LANGUAGES, units=UNITS, **changes):
    """Return the statistics of ``{(language, chunk): [units, n] vectors}``."""
    vectors = np.array(list(probes.values()), dtype=np.float64)  # [probes, units, n]
    content = {
        "languages": tuple(languages),
        "units": tuple(units),
        "unit_parameters": np.array([vectors.shape[-1]] * len(units)),
        "shared_parameters": 100,
        "gram": np.einsum("pun,qun->upq", vectors, vectors),
        "probe_languages": np.array([languages.index(language) for language, _ in probes]),
        "probe_chunks": np.array([chunk for _, chunk in probes]),
        "probe_tokens": np.full(len(probes), 10.0),
        "provenance": {"update": 7, "source": "train"},
    }
    return GradientStatistics(**{**content, **changes})


@pytest.fixture
def probes():
    generator = np.random.default_rng(0)
    every = {
        (language, chunk): generator.normal(size=(2, 5)) + index + 1
        for index, language in enumerate(LANGUAGES)
        for chunk in range(4)
    }
    del every["es", 2]  # a language may miss a chunk
    del every["nl", 0]
    return every


def cosine_by_loops(probes, unit, one, other, debiased):
    """Return a cosine from the definition: mean products of probes of different chunks."""

    def product(j, k):
        terms = [
            float(np.dot(probes[a][unit], probes[b][unit]))
            for a, b in itertools.product(probes, probes)
            if a[0] == j and b[0] == k and not (debiased and a[1] == b[1])
        ]
        return sum(terms) / len(terms)

    norm = (product(one, one) * product(other, other)) ** 0.5
    return product(one, other) / norm


@pytest.mark.parametrize("debiased", [True, False])
def test_cosines_are_those_of_the_definition(probes, debiased):
    found = statistics_of(probes).cosines(debiased)
    for u, j, k in itertools.product(range(2), range(3), range(3)):
        expected = cosine_by_loops(probes, u, LANGUAGES[j], LANGUAGES[k], debiased)
        expected = min(1.0, max(-1.0, expected))
        assert found[u, j, k] == pytest.approx(expected, rel=1e-12), (
            f"{UNITS[u]} {LANGUAGES[j]}-{LANGUAGES[k]}: {found[u, j, k]} instead of {expected}"
        )


def test_biased_cosines_are_those_of_the_mean_gradients(probes):
    found = statistics_of(probes).cosines(debiased=False)
    means = {
        language: np.mean([g for (one, _), g in probes.items() if one == language], axis=0)
        for language in LANGUAGES
    }
    de, nl = means["de"][1], means["nl"][1]
    expected = de @ nl / np.linalg.norm(de) / np.linalg.norm(nl)
    assert found[1, 0, 2] == pytest.approx(expected, rel=1e-12)


def test_debiasing_removes_noise_that_a_chunk_shares():
    """Two languages without a common signal, but with the same noise in every chunk."""
    generator = np.random.default_rng(1)
    signal = {"de": np.eye(400)[:1] * 40, "es": np.eye(400)[1:2] * 40}
    probes = {}
    for chunk in range(12):
        noise = generator.normal(size=(1, 400)) * 4
        for language in signal:
            probes[language, chunk] = signal[language] + noise
    statistics = statistics_of(probes, ("de", "es"), ("fc1",))
    plain, debiased = (statistics.cosines(way)[0, 0, 1] for way in (False, True))
    assert plain > 0.2, plain
    assert abs(debiased) < 0.1, debiased


def test_scaling_the_gradients_of_a_language_leaves_the_cosines(probes):
    scaled = {
        (language, chunk): gradient * (1e-3 if language == "es" else 1.0)
        for (language, chunk), gradient in probes.items()
    }
    before, after = (statistics_of(p).cosines() for p in (probes, scaled))
    np.testing.assert_allclose(after, before, rtol=1e-9)


def test_a_zero_gradient_has_no_cosine(probes):
    for chunk in range(4):
        probes.get(("es", chunk), np.zeros((2, 5)))[0] = 0.0
    for debiased in (True, False):
        cosines = statistics_of(probes).cosines(debiased)
        undefined = np.isnan(cosines[0])
        assert undefined[1].all()
        assert undefined[:, 1].all()
        assert not undefined[::2, ::2].any()
        assert not np.isnan(cosines[1]).any()
    self_similarity = statistics_of(probes).self_similarity()
    assert np.isnan(self_similarity[0, 1])
    assert np.isfinite(self_similarity[1]).all()


def test_chunks_that_disagree_have_no_debiased_cosine():
    probes = {("de", 0): [[1.0, 0]], ("de", 1): [[-1.0, 0.1]]}
    probes.update({("es", 0): [[1.0, 0]], ("es", 1): [[1.0, 0.1]]})
    cosines = statistics_of(probes, ("de", "es"), ("fc1",)).cosines()
    assert np.isnan(cosines[0, 0]).all()
    assert cosines[0, 1, 1] == pytest.approx(1.0)


def test_one_chunk_has_no_debiased_products(probes):
    first = {key: value for key, value in probes.items() if key[1] == 1}
    statistics = statistics_of(first)
    assert np.isnan(statistics.products(debiased=True)).all()
    assert np.isnan(statistics.self_similarity()).all()
    assert statistics.chunks_per_language == {"de": 1, "es": 1, "nl": 1}


def test_self_similarity_is_the_mean_cosine_between_chunks(probes):
    found = statistics_of(probes).self_similarity()
    for u, (j, language) in itertools.product(range(2), enumerate(LANGUAGES)):
        own = [gradient[u] for (one, _), gradient in probes.items() if one == language]
        cosines = [
            a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in itertools.combinations(own, 2)
        ]
        assert found[u, j] == pytest.approx(np.mean(cosines), rel=1e-12)


def test_little_memory_is_used_beside_the_gram_matrices():
    languages = tuple(f"l{index}" for index in range(10))
    units = tuple(f"unit{index}" for index in range(100))
    vectors = np.random.default_rng(4).normal(size=(40, 100, 3))
    statistics = statistics_of(
        dict(zip(itertools.product(languages, range(4)), vectors)), languages, units
    )
    for name, action in {
        "checks": lambda: replace(statistics),
        "cosines": statistics.cosines,
        "self-similarity": statistics.self_similarity,
        "is_signal": statistics.is_signal,
    }.items():
        tracemalloc.start()
        try:
            action()
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < statistics.gram.nbytes / 3, f"{name}: {peak:,} bytes at the peak"


def test_chunks_are_counted_a_language(probes):
    assert statistics_of(probes).chunks_per_language == {"de": 4, "es": 3, "nl": 3}


def test_select_takes_units_in_the_order_asked_for(probes):
    statistics = statistics_of(probes, unit_parameters=np.array([5, 6]))
    chosen = statistics.select(["fc2", "fc1"])
    assert chosen.units == ("fc2", "fc1")
    assert chosen.unit_parameters.tolist() == [6, 5]
    np.testing.assert_array_equal(chosen.gram, statistics.gram[::-1])
    assert chosen.provenance == statistics.provenance


def test_select_names_what_is_missing(probes):
    with pytest.raises(StatisticsError, match=r"lack 'x' \(1 of the 2 .*'fc1' to 'fc2'"):
        statistics_of(probes).select(["fc1", "x"])


# -- what is refused


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gram": np.zeros((2, 9, 10))}, r"gram should be floats of shape \(2, 10, 10\), is float"),
        ({"gram": np.zeros((2, 10, 10), dtype=int)}, "gram should be floats .*, is int64"),
        ({"unit_parameters": np.zeros(3, int)}, r"unit_parameters should be .*\(2,\)"),
        ({"probe_chunks": np.zeros(9, int)}, r"probe_chunks should be signed integers"),
        ({"probe_languages": np.zeros(10)}, "probe_languages should be signed integers"),
        ({"probe_languages": np.array([0, 1, 2, 3] + [0] * 6)}, "has 3, which is none of the 3"),
        ({"probe_languages": np.array([0, 1, 2, -1] + [0] * 6)}, "has -1, which is none of the 3"),
        ({"probe_languages": np.array([0, 2] * 5)}, "language 'es' has no gradient"),
        ({"units": ("fc1", "fc1")}, "unit 'fc1' is listed twice"),
        ({"units": ()}, "expected units and languages, found 0 and 3"),
        ({"languages": ("es", "de", "nl")}, "alphabetical order, each once; found es, de, nl"),
        ({"languages": ("de", "de", "nl")}, "alphabetical order, each once; found de, de, nl"),
    ],
)
def test_arrays_that_do_not_belong_together_are_refused(probes, change, message):
    with pytest.raises(StatisticsError, match=message):
        replace(statistics_of(probes), **change)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_gradient_that_is_not_finite_is_named(probes, value):
    gram = statistics_of(probes).gram.copy()
    gram[1, 3, 4] = value
    with pytest.raises(StatisticsError, match="unit 'fc2' has a gradient that isn't finite"):
        replace(statistics_of(probes), gram=gram)


# -- the file


def test_saved_and_loaded(probes, tmp_path):
    statistics = statistics_of(probes)
    statistics.save(tmp_path / "statistics.npz")
    again = GradientStatistics.load(tmp_path / "statistics.npz")
    for name in ("gram", "unit_parameters", "probe_languages", "probe_chunks", "probe_tokens"):
        expected, found = getattr(statistics, name), getattr(again, name)
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected, err_msg=name)
    assert (again.languages, again.units) == (LANGUAGES, UNITS)
    assert {type(name) for name in again.languages + again.units} == {str}
    assert again.shared_parameters == 100
    assert again.provenance == {"update": 7, "source": "train"}


def test_a_failed_save_leaves_the_old_file(probes, tmp_path):
    path = tmp_path / "statistics.npz"
    statistics_of(probes).save(path)
    before = path.read_bytes()
    with pytest.raises(TypeError, match="not JSON serializable"):
        statistics_of(probes, provenance={"model": object()}).save(path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["statistics.npz"]


def test_damaged_files_are_refused(probes, tmp_path):
    path = tmp_path / "statistics.npz"
    statistics_of(probes).save(path)
    whole = path.read_bytes()
    middle = len(whole) // 2
    damaged = {
        "half": whole[:middle],
        "empty": b"",
        "text": b"not numbers",
        "zip without end": whole[:-8],
        "flipped": whole[:200] + bytes(255 - byte for byte in whole[200:middle]) + whole[middle:],
    }
    for kind, content in damaged.items():
        path.write_bytes(content)
        with pytest.raises(StatisticsError, match=r"statistics\.npz") as caught:
            GradientStatistics.load(path)
        assert "\n" not in str(caught.value).strip(), kind
        assert "pickle" not in str(caught.value), kind


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(StatisticsError, match=r"cannot read gradient statistics .*none\.npz"):
        GradientStatistics.load(tmp_path / "none.npz")


def test_a_single_array_is_refused(tmp_path):
    np.save(tmp_path / "array.npy", np.zeros(3))
    with pytest.raises(StatisticsError, match=r"cannot read gradient statistics .*array\.npy"):
        GradientStatistics.load(tmp_path / "array.npy")


def test_pickled_objects_are_never_loaded(tmp_path):
    np.savez(tmp_path / "pickle.npz", schema=np.array([{}], dtype=object))
    with pytest.raises(StatisticsError, match="allow_pickle"):
        GradientStatistics.load(tmp_path / "pickle.npz")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": np.int64(2)}, "expected gradient statistics of schema 1, found 2; .*newer"),
        ({"schema": np.array("a")}, "schema 1, found 'a'"),
        ({"schema": None}, "schema 1, found None; it is another file"),
        ({"gram": None}, "the array 'gram' is missing"),
        ({"gram": np.zeros((2, 3, 3))}, r"gram should be floats of shape \(2, 10, 10\)"),
        ({"provenance": np.array("{")}, "Expecting property name"),
        ({"provenance": np.array("[1]")}, r"provenance must be a JSON object, found \[1\]"),
        ({"languages": np.array(["es", "de", "nl"])}, "alphabetical order"),
        ({"probe_languages": np.int64(3)}, "statistics"),
    ],
)
def test_other_contents_are_refused_with_the_name_of_the_file(probes, tmp_path, change, message):
    path = tmp_path / "edited.npz"
    statistics_of(probes).save(path)
    with np.load(path) as content:
        arrays = {**content, **change}
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    assert zipfile.is_zipfile(path)
    with pytest.raises(StatisticsError, match=f"edited.npz: .*{message}|edited.npz: .*unsized"):
        GradientStatistics.load(path)


def _of_vectors(vectors):
    """Statistics of one unit from gradients `[languages, chunks, parameters]`."""
    languages, chunks, size = vectors.shape
    flat = vectors.reshape(-1, size)
    return GradientStatistics(
        languages=tuple("abcdefgh"[:languages]),
        units=("unit",),
        unit_parameters=np.array([size]),
        shared_parameters=size,
        gram=(flat @ flat.T)[None],
        probe_languages=np.repeat(np.arange(languages), chunks),
        probe_chunks=np.tile(np.arange(chunks), languages),
        probe_tokens=np.ones(languages * chunks),
    )


def test_signal_is_told_from_noise():
    noise = np.random.default_rng(3).normal(size=(2, 8, 500))
    noise[0] += 1.0
    noise[1, 4:] -= noise[1, :4]  # chunks that cancel, as those of a converged model
    assert _of_vectors(noise).is_signal().tolist() == [[True, False]]


def test_noise_is_seldom_taken_for_signal():
    source = np.random.default_rng(5)
    taken = [_of_vectors(source.normal(size=(4, 8, 300))).is_signal().mean() for _ in range(50)]
    assert np.mean(taken) < 0.15, f"{np.mean(taken):.0%} of pure noise was taken for signal"


def test_two_chunks_decide_by_the_sign_of_their_product():
    vectors = np.ones((2, 2, 3))
    vectors[1, 1] *= -1
    assert _of_vectors(vectors).is_signal().tolist() == [[True, False]]


def test_merged_units_are_those_of_concatenated_gradients(probes):
    statistics = statistics_of(probes)
    merged = statistics.merged({"both": ["fc2", "fc1"], "one": ["fc2"]})
    joined = {
        key: np.array([[*vectors[1], *vectors[0]], [*vectors[1], *[0.0] * 5]])
        for key, vectors in probes.items()
    }
    expected = statistics_of(joined, units=("both", "one"))
    np.testing.assert_allclose(merged.gram, expected.gram, rtol=1e-12)
    assert merged.unit_parameters.tolist() == [10, 5]
    assert merged.units == ("both", "one")
    assert merged.shared_parameters == statistics.shared_parameters
    assert merged.provenance == statistics.provenance
    with pytest.raises(StatisticsError, match="for other units: they lack 'fc3'"):
        statistics.merged({"both": ["fc1", "fc3"]})


def test_the_signature_is_that_of_the_numbers(probes, tmp_path):
    statistics = statistics_of(probes)
    assert len(statistics.signature) == 16
    assert replace(statistics, provenance={}).signature == statistics.signature
    statistics.save(tmp_path / "s.npz")
    assert GradientStatistics.load(tmp_path / "s.npz").signature == statistics.signature
    for changed in (
        replace(statistics, gram=statistics.gram * 2),
        replace(statistics, units=("fc1", "fc3")),
        replace(statistics, probe_chunks=statistics.probe_chunks + 1),
        replace(statistics, shared_parameters=101),
    ):
        assert changed.signature != statistics.signature


def test_a_chunk_can_be_left_out(probes):
    statistics = statistics_of(probes)
    fewer = statistics_of({probe: vector for probe, vector in probes.items() if probe[1] != 3})
    for debiased in (True, False):
        without = statistics.products(debiased, without_chunk=3)
        assert np.allclose(without, fewer.products(debiased), rtol=1e-12, atol=0)
    assert np.allclose(statistics.cosines(without_chunk=3), fewer.cosines(), equal_nan=True)
