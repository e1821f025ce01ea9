"""What a folder was made with is compared with what is wanted, both ways."""

import re

import pytest

from fairseq_gist.errors import DataError
from fairseq_gist.preparing.making import Making


@pytest.fixture
def make(tmp_path):
    return Making(tmp_path, "record.json", "made", "choose another", ())


@pytest.mark.parametrize(
    ("found", "wanted", "names", "message"),
    [
        ({"size": 1}, {"size": 2}, None, "made with size 1, wanted 2; choose another"),
        ({}, {"size": 2}, None, "made with size none, wanted 2"),
        ({"size": 1, "keep": ["a"]}, {"size": 1}, None, "made with keep a, wanted none"),
        ({"size": None}, {}, None, "made with size None, wanted none"),
        ({"size": 1, "keep": 2, "rows": 3}, {"size": 1}, ["size", "keep"], "made with keep 2, wa"),
    ],
)
def test_a_difference_is_one_in_either_direction(make, found, wanted, names, message):
    with pytest.raises(DataError, match=re.escape(message)):
        make.check_same(found, wanted, names)


def test_what_a_record_has_beside_options_is_no_difference(make):
    make.check_same({"size": 1, "rows": 3}, {"size": 1}, ["size", "keep"])


def test_unfinished_files_for_more_options_are_for_others(make):
    make.begin({"size": 1, "keep": 2})
    make.begin({"keep": 2, "size": 1})
    with pytest.raises(DataError, match="made with keep 2, wanted none"):
        make.begin({"size": 1})
