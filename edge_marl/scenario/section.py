"""The base of every section of a scenario, its kinds of numbers and the sizes that fit."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "MAX_CHANGES",
    "MAX_LINKS",
    "MAX_OUTAGES",
    "MAX_STAGES",
    "MAX_TASKS",
    "Factor",
    "Kilobytes",
    "Positive",
    "Seconds",
    "Section",
    "Share",
    "Weight",
    "ms",
]


MAX_TASKS = 2**20
"""No episode holds more tasks (the simulator packs a task's number into 20 bits)."""

MAX_STAGES = 3
"""Stages that a request may have."""

MAX_OUTAGES = 2**16
"""Server failures that an episode may have on average."""

MAX_LINKS = 2**22
"""Pairs of a gateway and a server, where distances count."""

MAX_CHANGES = 10_000
"""Times that a gateway's rate may change in an episode for any one reason, about."""

Positive = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Weight = Annotated[float, Field(gt=0, le=1e9)]
Factor = Annotated[float, Field(ge=0.001, le=1000)]
Seconds = Annotated[float, Field(ge=0, le=1e7)]
Kilobytes = Annotated[int, Field(ge=0, le=10**9)]


def ms(seconds: float) -> int:
    """Return whole milliseconds."""
    return round(seconds * 1000)


class Section(BaseModel):
    """Base of all sections: frozen, and no field is unknown."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
