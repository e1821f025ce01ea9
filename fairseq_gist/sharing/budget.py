"""How large a differentiated model may become: in multiples of the shared model, or parameters."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Tuple

from fairseq_gist.errors import OptionError

__all__ = ["check_budget", "parse_budget"]

_PATTERN = re.compile(r"^(?P<number>\d+(?:\.\d+)?)(?P<unit>[kMGB]?)$")
_UNITS = {"k": 10**3, "M": 10**6, "G": 10**9, "B": 10**9}


def parse_budget(text: str, shared_parameters: int) -> int:
    """Return the budget in parameters.

    Args:
        text: a multiple of the shared model (``2.5``), or parameters with a unit (``190.6M``) or
            without one from 1,000 on (``190600000``).
        shared_parameters: parameters of the fully shared model.

    Raises:
        OptionError: when the text is neither, or less than the shared model.

    >>> parse_budget("2.5", 1000), parse_budget("1.5k", 1000)
    (2500, 1500)
    """
    number, unit = _read(text)
    if unit:
        budget = round(number * _UNITS[unit])
    elif number >= 1000:
        budget = round(number)
    else:
        budget = int(number * shared_parameters)
    if budget < shared_parameters:
        raise OptionError(
            f"{text} is less than the fully shared model, which is 1 or "
            f"{shared_parameters:,} parameters; nothing can be smaller",
            "size_budget",
        )
    return budget


def check_budget(text: str) -> None:
    """Find what is wrong with a budget before the size of the model is known.

    Raises:
        OptionError: when the text is neither a multiple nor parameters, or a multiple below 1.
    """
    number, unit = _read(text)
    if not unit and number < 1:
        raise OptionError(
            f"{text} is less than the fully shared model, which is 1; nothing can be smaller",
            "size_budget",
        )


def _read(text: str) -> Tuple[Fraction, str]:
    match = _PATTERN.match(text.strip())
    if not match:
        raise OptionError(
            f"expected a multiple such as 2.5 or parameters such as 190.6M, found '{text}'",
            "size_budget",
        )
    # exact: in floating point, 2.3 times 100 is a little less than 230
    return Fraction(match.group("number")), match.group("unit")
