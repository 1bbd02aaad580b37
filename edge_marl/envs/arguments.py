"""What environments are called with, checked before anything changes."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edge_marl.errors import ScenarioError, WorkloadError
from edge_marl.scenario import Scenario, load_scenario

__all__ = ["as_action", "check_options", "check_seed", "read_scenario", "whole_number"]


def as_action(action: Any) -> int:
    """Return an action as a whole number, -1 if it is none; an array of just one is one as well.

    Libraries with a batch axis hand over such arrays for a batch of one.
    """
    try:
        return operator.index(action)
    except TypeError:
        array = np.asarray(action)
    if array.size != 1 or not np.issubdtype(array.dtype, np.integer):
        return -1
    return int(array.item())


def whole_number(name: str, value: Any, hint: str = "") -> int:
    """Return an argument as a whole number, NumPy's included.

    Raises:
        ScenarioError: if it is none.
    """
    try:
        return operator.index(value)
    except TypeError:
        raise ScenarioError(f"{name} = {value!r}: must be a whole number{hint}") from None


def read_scenario(scenario: str | Path | Scenario, world: int | None) -> Scenario:
    """Return the scenario that an environment is made with.

    Raises:
        ScenarioError: neither name, path nor `Scenario`; unknown tier, malformed file or world.
    """
    if not isinstance(scenario, str | Path | Scenario):
        raise ScenarioError(
            f"scenario = {scenario!r}: must be a tier's name, the path of a scenario file, or a "
            "Scenario"
        )
    return load_scenario(scenario, None if world is None else whole_number("world", world))


def check_seed(seed: Any) -> int:
    """Return a seed as Python's whole number.

    Raises:
        WorkloadError: if it is none, or negative.
    """
    try:
        number = operator.index(seed)
    except TypeError:
        number = -1
    if number < 0:
        raise WorkloadError(f"seed {seed!r}: must be a whole number, 0 or larger")
    return number


def check_options(options: Any) -> Mapping[str, Any]:
    """Return the options of a reset; none are no options.

    Raises:
        WorkloadError: if they are no mapping.
    """
    if options is None:
        return {}
    if not isinstance(options, Mapping):
        raise WorkloadError(f"options is a {type(options).__name__}: must be a dict or None")
    return options
