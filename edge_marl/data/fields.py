"""What a field of a table means: numbers and moments, read exactly from their text.

Only plain ASCII forms count: Python's own `float` would also take `4_808`, full-width digits and
`infinity`, which no file of numbers means to hold.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal

import numpy as np
import numpy.typing as npt

__all__ = ["TIME_RULE", "parse_decimal", "parse_number", "parse_times", "to_milliseconds"]

MAX_WIDTH = 64
"""Characters of a number or a time: more is no value but a damaged line."""

NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,4})?", re.ASCII)
DATE = re.compile(
    r"(?P<moment>(?:1[789]|2[01])\d\d-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)?)\d*"
    r"(?P<zone> ?(?:Z|UTC|[+-]\d\d(?::?\d\d)?))?",
    re.ASCII,
)
"""A date of the years that 64 bits of nanoseconds can hold, and its zone; digits past them go."""

EPOCH_S = (10**8, 9 * 10**9)
"""Seconds since 1970 that a bare number may be: 1973 to 2255, so no year and no 20241115."""

TIME_RULE = (
    f"a time such as 2024-11-15 16:57:50 or seconds since 1970 from {EPOCH_S[0]} to {EPOCH_S[1]}, "
    "of one form (and with a time zone or without) in the whole column"
)

EXACT = Context(prec=10_000 + 2 * MAX_WIDTH)
"""Holds every number of the form above to its last digit."""


def parse_number(text: str) -> float:
    """Return a number.

    Raises:
        ValueError: any other form.
    """
    _check(text)
    return float(text)


def parse_decimal(text: str) -> Decimal:
    """Return a number as it is written, to its last digit.

    Raises:
        ValueError: any other form.
    """
    _check(text)
    return Decimal(text)


def _check(text: str) -> None:
    if len(text) > MAX_WIDTH or not NUMBER.fullmatch(text):
        raise ValueError(text[:MAX_WIDTH])


def to_milliseconds(seconds: Decimal, *, cut: bool = False) -> int:
    """Return seconds in whole milliseconds: the nearest (of two the even), or cut down."""
    rounding = ROUND_FLOOR if cut else ROUND_HALF_EVEN
    return int(seconds.scaleb(3, EXACT).to_integral_value(rounding, EXACT))


def parse_times(texts: Sequence[str]) -> tuple[npt.NDArray[np.datetime64], int | None]:
    """Return moments, (N,) datetime64[ns] in UTC where a zone is stated.

    Returns:
        The moments before the first wrong text, and that one's place; None if there is none.
    """
    moments = np.empty(len(texts), dtype="M8[ns]")
    form = None
    for row, text in enumerate(texts):
        try:
            moments[row], found = _parse_time(text)
        except ValueError:
            return moments[:row], row
        form = found if form is None else form
        if found != form:
            return moments[:row], row
    return moments, None


def _parse_time(text: str) -> tuple[np.datetime64, str]:
    """One moment and its form."""
    match = DATE.fullmatch(text) if len(text) <= MAX_WIDTH else None
    if match is None:
        seconds = parse_decimal(text)
        if not EPOCH_S[0] <= seconds <= EPOCH_S[1]:
            raise ValueError(text)
        return np.datetime64(int(seconds.scaleb(9, EXACT)), "ns"), "seconds"
    moment = np.datetime64(match["moment"], "ns")
    if not match["zone"]:
        return moment, "local"
    return moment - np.timedelta64(_offset(match["zone"].strip())), "zoned"


def _offset(zone: str) -> timedelta:
    """How far a zone's clocks are ahead of UTC's."""
    if zone in ("Z", "UTC"):
        return timedelta(0)
    hours, minutes = int(zone[1:3]), int(zone[-2:]) if len(zone) > 3 else 0
    if hours > 23 or minutes > 59:
        raise ValueError(zone)
    ahead = timedelta(hours=hours, minutes=minutes)
    return -ahead if zone[0] == "-" else ahead
