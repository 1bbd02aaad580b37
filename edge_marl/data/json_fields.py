"""Objects in JSON: each key once, whatever is wrong told with its place."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping

from edge_marl.data.csv_tables import FIX, show
from edge_marl.errors import DataError

__all__ = ["MOST", "parse_count", "parse_object"]

MOST = 2**31 - 1
"""More than any recorded count."""


def parse_object(text: str, place: str) -> dict[str, object]:
    """Return the object that a text holds; `place` names it in errors.

    Raises:
        DataError: no JSON, a key that is there twice, too deep or too long a value, or no object.
    """
    try:
        value = json.loads(text, object_pairs_hook=_each_key_once)
    except RecursionError:
        raise DataError(f"{place}: not valid JSON (nested too deeply): {FIX}") from None
    except ValueError as error:  # also of a number of thousands of digits
        raise DataError(f"{place}: not valid JSON ({error}): {FIX}") from None
    if not isinstance(value, dict):
        raise DataError(f"{place}: holds {type(value).__name__}: must be a JSON object: {FIX}")
    return value


def _each_key_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"key '{show(twice)}' is there twice")
    return found


def parse_count(fields: Mapping[str, object], name: str, place: str) -> int:
    """Return a whole number from 0 to `MOST` that an object holds.

    Raises:
        DataError: it holds none of that name.
    """
    value = fields.get(name)
    if type(value) is not int or not 0 <= value <= MOST:
        raise DataError(
            f"{place}: '{name}' is {show(repr(value))}: must be a whole number from 0 to {MOST}: "
            f"{FIX}"
        )
    return value
