"""A log of decisions as what decides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode

from edge_marl.agents.play import Seat, shown_to_gateways
from edge_marl.envs import EdgeAIGCRows, EdgeAIGCVectorEnv
from edge_marl.errors import SubmissionError
from edge_marl.leaderboards.submission.chain import is_game
from edge_marl.scenario import Scenario

__all__ = ["seat_of_log"]


def seat_of_log(scenario: Scenario, actions: npt.NDArray[np.uint16], where: str) -> Seat:
    """Return what decides in one episode as a log says.

    Args:
        scenario: the world.
        actions: (n,) of every decision; in a game step by step, and in a step gateway by gateway.
        where: the log's place, for people.
    """
    log = _Log(actions, scenario.num_actions, where)
    envs: EdgeAIGCVectorEnv | EdgeAIGCRows
    if is_game(scenario):
        envs = EdgeAIGCRows(1, scenario=scenario, autoreset_mode=AutoresetMode.DISABLED)
        return Seat(envs, log, log.choose)
    envs = EdgeAIGCVectorEnv(1, scenario=scenario, autoreset_mode=AutoresetMode.DISABLED)
    return Seat(envs, log, log.act)


class _Log:
    """The decisions of an episode, one after the other."""

    def __init__(self, actions: npt.NDArray[np.uint16], nothing: int, where: str) -> None:
        self._actions, self._nothing, self._where = actions.astype(np.int64), nothing, where
        self._next = 0

    def act(
        self, observation: npt.NDArray[np.float32], info: Mapping[str, Any]
    ) -> npt.NDArray[np.int64]:
        """Return the next decision, (1,)."""
        return self._take(1)

    def choose(
        self, observation: npt.NDArray[np.float32], info: Mapping[str, Any]
    ) -> npt.NDArray[np.int64]:
        """Return the next decision of each gateway with a task, (1, G); of others nothing."""
        _, idle = shown_to_gateways(info["action_mask"])
        choices = np.full(idle.shape, self._nothing)
        choices[~idle] = self._take(int((~idle).sum()))
        return choices

    def error(self, reason: str) -> SubmissionError:
        """Return the error that says what is wrong with the latest decision."""
        return SubmissionError(f"{self._where}, decision {self._next - 1}: {reason}")

    def _take(self, count: int) -> npt.NDArray[np.int64]:
        if self._next + count > len(self._actions):
            raise SubmissionError(
                f"{self._where}: the log ends after {len(self._actions)} decisions, and the "
                "episode goes on"
            )
        self._next += count
        return self._actions[self._next - count : self._next]
