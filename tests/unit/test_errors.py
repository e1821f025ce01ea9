"""What errors came of."""

import pytest

from fairseq_gist.errors import OptionError, causes_of, was_interrupted
from fairseq_gist.host.boundary import as_errors, one_line_errors


def test_errors_that_came_of_each_other_are_each_given_once():
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__context__ = other, one
    assert list(causes_of(one)) == [one, other]
    assert not was_interrupted(one)


def test_an_error_that_became_an_exit_is_given_back():
    raised = OptionError("wrong")
    with pytest.raises(OptionError, match="wrong") as caught, as_errors(), one_line_errors():
        raise raised
    assert caught.value is raised
    assert next(causes_of(raised)) is raised
    assert len(list(causes_of(raised))) <= 2  # the exit came of the error, and not the reverse
    with pytest.raises(SystemExit, match="other"), as_errors():
        raise SystemExit("other")
