"""Spaces and masks of a scenario, for every API."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from edge_marl.errors import ScenarioError
from edge_marl.layout import ObservationLayout
from edge_marl.scenario import Scenario

__all__ = [
    "MaskIn",
    "action_space",
    "gateway_action_space",
    "gateway_observation_space",
    "indices_of",
    "observation_space",
    "with_mask",
]

MaskIn = Literal["info", "observation"]


def action_space(scenario: Scenario) -> spaces.Discrete:
    """Return the actions of one decision: server (or neighbour) * V + service."""
    return spaces.Discrete(scenario.num_actions)


def observation_space(scenario: Scenario, mask_in: MaskIn) -> spaces.Box | spaces.Dict:
    """Return the space of one observation.

    Raises:
        ScenarioError: if `mask_in` is neither "info" nor "observation".
    """
    return _observed(scenario, mask_in, scenario.num_actions)


def _observed(scenario: Scenario, mask_in: MaskIn, choices: int) -> spaces.Box | spaces.Dict:
    box = spaces.Box(0.0, 1.0, (ObservationLayout(scenario).size,), np.float32)
    if mask_in == "info":
        return box
    if mask_in == "observation":
        mask = spaces.Box(0, 1, (choices,), np.int8)
        return spaces.Dict({"observation": box, "action_mask": mask})
    raise ScenarioError(f"action_mask = {mask_in!r}: must be 'info' or 'observation'")


def gateway_action_space(scenario: Scenario) -> spaces.Discrete:
    """Return the choices of a gateway: the actions, and as the last one to do nothing."""
    return spaces.Discrete(scenario.num_actions + 1)


def gateway_observation_space(scenario: Scenario, mask_in: MaskIn) -> spaces.Box | spaces.Dict:
    """Return the space of what one gateway sees.

    Raises:
        ScenarioError: if `mask_in` is neither "info" nor "observation".
    """
    return _observed(scenario, mask_in, scenario.num_actions + 1)


def indices_of(scenario: Scenario) -> list[np.int64]:
    """Return what `agent_index` is of each gateway: made once, as nobody can write to a number."""
    return [np.int64(g) for g in range(scenario.gateways.count)]


def with_mask(
    observation: npt.NDArray[np.float32], mask: npt.NDArray[np.int8]
) -> dict[str, npt.NDArray[Any]]:
    """Return what a learner sees that looks for the mask in the observation."""
    return {"observation": observation, "action_mask": mask.copy()}
