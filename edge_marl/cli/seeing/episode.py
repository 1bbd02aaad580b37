"""One episode, played by an agent or as a log says, and looked at from time to time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_marl.agents.play import Seat, play_out
from edge_marl.envs import EdgeAIGCVectorEnv
from edge_marl.envs.render import Scene, scene_of
from edge_marl.kernel import world as k
from edge_marl.scenario import Scenario
from edge_marl.workload import Workload

__all__ = ["Look", "show_episode"]

Look = Callable[[Scene], None]
"""Takes what there is to see."""


def show_episode(seat: Seat, workloads: Sequence[Workload], looks: int, look: Look) -> None:
    """Play the episodes of workloads side by side, and look at the last of them.

    Args:
        seat: what decides, before the episodes.
        workloads: one episode each.
        looks: about how often to look, evenly in time; at the start and the end in any case.
        look: looks.

    Raises:
        AgentError: the agent's code raised, or chose what is no action.
    """
    row, scenario = len(workloads) - 1, seat.envs.scenario
    simulator = seat.envs.simulator if isinstance(seat.envs, EdgeAIGCVectorEnv) else seat.envs.game
    period = max(_end_of(scenario, workloads[row]) // max(looks, 1), 1)
    due = 0

    def look_if_due() -> None:
        nonlocal due
        now = int(simulator.world.episode[row, k.CLOCK])
        if now >= due and simulator.done[row] == k.GOING_ON:
            due = (now // period + 1) * period
            look(scene_of(simulator, row))

    def decide(
        observation: npt.NDArray[np.float32], info: Mapping[str, Any]
    ) -> npt.NDArray[np.int64]:
        look_if_due()
        return seat.decide(observation, info)

    play_out(seat.envs, seat.agent, decide, workloads)
    look(scene_of(simulator, row))


def _end_of(scenario: Scenario, workload: Workload) -> int:
    """Return when an episode ends, in ms."""
    if scenario.episode.end == "horizon":
        return scenario.arrivals.horizon_ms
    return int(workload.tasks[-1, k.ARRIVAL])
