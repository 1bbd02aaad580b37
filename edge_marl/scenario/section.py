"""The base of every section of a scenario, its kinds of numbers and the sizes that fit."""

from __future__ import annotations

import operator
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from edge_marl.errors import ScenarioError, show

__all__ = [
    "MAX_CHANGES",
    "MAX_GATEWAYS",
    "MAX_LINKS",
    "MAX_OUTAGES",
    "MAX_QUALITIES",
    "MAX_SLEEPS",
    "MAX_STAGES",
    "MAX_STEPS",
    "MAX_TASKS",
    "MAX_TIME_MS",
    "MAX_WAITING",
    "MAX_WEIGHT",
    "RAISED",
    "Coordinate",
    "Factor",
    "Kilobytes",
    "Positive",
    "Quality",
    "Seconds",
    "Section",
    "Share",
    "Span",
    "Steps",
    "Weight",
    "ms",
    "rule_of",
    "told_of",
    "whole_number",
    "zero_or_a_millisecond",
]

RAISED = "Value error, "
"""What pydantic puts before the text of a ValueError."""

MAX_TASKS = 2**20
"""No episode holds more tasks (the simulator packs a task's number into 20 bits)."""

MAX_TIME_MS = 2**42
"""No task ends later than this, some 139 years (the simulator packs end times into 43 bits)."""

MAX_STEPS = 2**31 - 1
"""Capacity and demand in denoising steps (the simulator counts them in 32 bits)."""

MAX_GATEWAYS = 2**20
"""Gateways of a scenario, each with a stream of its own."""

MAX_QUALITIES = 2**24
"""Numbers on services: servers x services x (task types + 4 of the curve)."""

MAX_STAGES = 3
"""Stages that a request may have."""

MAX_OUTAGES = 2**16
"""Server failures that an episode may have on average."""

MAX_SLEEPS = 2**20
"""Sleeps of all gateways that an episode may have on average."""

MAX_WAITING = 2**10
"""Tasks that may wait at a server."""

MAX_WEIGHT = 10**6
"""Weight of a request, in thousandths."""

MAX_LINKS = 2**22
"""Pairs of a gateway and a server, where distances count."""

MAX_CHANGES = 10_000
"""Times that a gateway's rate may change in an episode for any one reason, about."""


def zero_or_a_millisecond(zero: str) -> AfterValidator:
    """Return a check that refuses what would be rounded to 0, and so be `zero` without a word."""

    def check(seconds: float) -> float:
        if 0 < seconds < 0.001:
            raise ValueError(f"must be 0 ({zero}) or at least 0.001, a millisecond")
        return seconds

    return AfterValidator(check)


Positive = Annotated[int, Field(ge=1, le=2**31 - 1)]
Steps = Annotated[int, Field(ge=1, le=MAX_STEPS)]
Quality = Annotated[float, Field(ge=-1e9, le=1e9)]
Coordinate = Annotated[float, Field(ge=-1e12, le=1e12)]
Share = Annotated[float, Field(ge=0, le=1)]
Weight = Annotated[float, Field(gt=0, le=1e9)]
Factor = Annotated[float, Field(ge=0.001, le=1000)]
Span = Annotated[float, Field(ge=0.001, le=1e7)]
"""A time in seconds that is there: a millisecond at least, the simulator's unit."""
Seconds = Annotated[float, Field(ge=0, le=1e7), zero_or_a_millisecond("none")]
"""A time in seconds, or 0 for none."""
Kilobytes = Annotated[int, Field(ge=0, le=10**9)]


def ms(seconds: float) -> int:
    """Return whole milliseconds."""
    return round(seconds * 1000)


class Section(BaseModel):
    """Base of all sections: frozen, and no field is unknown."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def whole_number(name: str, value: Any, hint: str = "") -> int:
    """Return an argument as a whole number, NumPy's included.

    Raises:
        ScenarioError: if it is none.
    """
    try:
        return operator.index(value)
    except TypeError:
        raise ScenarioError(f"{name} = {value!r}: must be a whole number{hint}") from None


def told_of(problem: Any, field: str) -> str:
    """Return a field's value, unless it is a table, and the rule that it breaks.

    Args:
        problem: one of `ValidationError.errors()`.
        field: what it is called.
    """
    value = problem["input"]
    shown = "" if isinstance(value, dict | BaseModel) else f" = {show(value)}"
    return f"{field}{shown}: {problem['msg'].removeprefix(RAISED)}"


def rule_of(error: ValidationError) -> str:
    """Return the first rule that facts of a scenario break, in words."""
    return error.errors()[0]["msg"].removeprefix(RAISED)
