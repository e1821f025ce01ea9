"""Broken statistics, five thousand of them: each is read all the same, or refused in one line."""

import contextlib
import io
import json
import random
import zipfile

import numpy as np
import pytest

from fairseq_gist.errors import StatisticsError
from fairseq_gist.gradients.statistics import GradientStatistics
from tests.unit.fuzzing import ODD, broken, broken_json


@pytest.fixture(scope="module")
def arrays(tmp_path_factory):
    """The arrays of a file with neurons."""
    probes, units = 6, ("decoder.layers.0.fc1", "decoder.layers.0.fc2")
    vectors = np.random.default_rng(1).normal(size=(len(units), probes, 9))
    gram = vectors @ vectors.transpose(0, 2, 1)
    return {
        "schema": np.int64(1),
        "languages": np.array(["de", "es", "fr"]),
        "units": np.array(units),
        "unit_parameters": np.array([40, 30]),
        "shared_parameters": np.int64(100),
        "gram": gram,
        "probe_languages": np.array([0, 1, 2, 0, 1, 2]),
        "probe_chunks": np.array([0, 0, 0, 1, 1, 1]),
        "probe_tokens": np.full(probes, 5.0),
        "provenance": np.array(json.dumps({"update": 3})),
        "hidden_blocks": np.array([units]),
        "hidden_parameters": np.array([[10, 7]]),
        "hidden_gram_0": np.ones((4, probes, probes), dtype=np.float32),
    }


def packed(arrays):
    """Return the bytes of a zip, fast: entries as they are."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, array in arrays.items():
            entry = io.BytesIO()
            np.lib.format.write_array(entry, np.asanyarray(array), allow_pickle=True)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), entry.getvalue())
    return content.getvalue()


def other(array, source):
    """Return an array of another kind, shape or content."""
    way = source.randrange(9)
    if way == 0:
        return np.asarray(array).astype(source.choice(["f4", "f8", "i8", "u1", "c16", "U5", "?"]))
    if way == 1:
        return np.asarray(array).reshape(source.choice([(-1,), (1, -1), (-1, 1)]))
    if way == 2:
        return np.asarray(array)[..., :0]
    if way == 3:
        return np.array(source.choice([np.nan, np.inf, -1, 2**62, 3.5, True, "x" * 3000, "a\nb"]))
    if way == 4:
        return np.array([source.choice([None, "x", 3, {}])], dtype=object)
    if way == 5:
        return np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")])
    if way == 6:
        return np.array(json.dumps(source.choice(ODD)))
    if way == 7:
        spoiled = np.array(array, copy=True)
        if spoiled.size and spoiled.dtype.kind in "fi":
            spoiled.flat[source.randrange(spoiled.size)] = source.choice([0, -1, 7, 2**31])
        return spoiled
    return np.array(broken_json('{"update": 3, "deep": [[1], {"a": "b"}]}', source))


def test_broken_statistics_are_read_or_one_line(arrays, tmp_path):
    source, path, refused = random.Random(1), tmp_path / "statistics.npz", 0
    whole = packed(arrays)
    for number in range(5000):
        if number % 2:
            spoiled = dict(arrays)
            for _ in range(source.randint(1, 2)):
                name = source.choice(list(arrays))
                if source.random() < 0.1:
                    spoiled.pop(name, None)
                else:
                    with contextlib.suppress(ValueError, TypeError, IndexError):
                        spoiled[name] = other(arrays[name], source)
            content = packed(spoiled)
        else:
            content = broken(whole, source)
        path.write_bytes(content)
        try:
            read = GradientStatistics.load(path)
        except StatisticsError as error:
            told = str(error)
            assert told.isprintable(), told
            assert len(told) < 700 + len(str(path)), told
            assert str(path) in told
            refused += 1
        else:
            assert len(read.signature) == 16
    assert 1000 < refused < 5000


@pytest.mark.parametrize("schema", [True, 1.0, "1", [1], 2])
def test_a_schema_is_a_number(arrays, tmp_path, schema):
    (tmp_path / "x.npz").write_bytes(packed({**arrays, "schema": np.array(schema)}))
    with pytest.raises(StatisticsError, match="expected gradient statistics of schema 1, found"):
        GradientStatistics.load(tmp_path / "x.npz")
