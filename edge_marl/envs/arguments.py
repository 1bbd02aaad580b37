"""What environments are called with, checked before anything changes."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

import numpy as np

from edge_marl.errors import ScenarioError, WorkloadError

__all__ = ["as_action", "check_options", "check_reward"]

R = TypeVar("R", bound=str)


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


def check_reward(reward: R, known: tuple[R, ...]) -> R:
    """Return what rewards are to be.

    Raises:
        ScenarioError: if it is none of those that are known.
    """
    if reward not in known:
        raise ScenarioError(
            f"reward = {reward!r}: must be {', '.join(map(repr, known[:-1]))} or {known[-1]!r}"
        )
    return reward


def check_options(options: Any, taken: Literal["workload", "workloads"]) -> Mapping[str, Any]:
    """Return the options of a reset; none are no options.

    Args:
        options: of a reset.
        taken: what is to be played, of one environment or of a batch. The other's name is no key to
            pass over: another episode than was meant would be played.

    Raises:
        WorkloadError: if they are no dict, or have the other's name.
    """
    if options is None:
        return {}
    if not isinstance(options, Mapping):
        raise WorkloadError(f"options is a {type(options).__name__}: must be a dict or None")
    other = "workloads" if taken == "workload" else "workload"
    if other in options:
        instead = {"workload": "one Workload", "workloads": "a list, one per row"}[taken]
        raise WorkloadError(f"options['{other}']: this environment takes '{taken}', {instead}")
    return options
