"""Playing episodes with an agent: on the single environment, or as the policy of all gateways."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode

from edge_marl.agents.base import Agent, CentralAgent
from edge_marl.agents.own_code import CheckedAgent
from edge_marl.envs import EdgeAIGCVectorEnv
from edge_marl.envs.rows import EdgeAIGCRows
from edge_marl.errors import ActionError
from edge_marl.scenario import Api, Scenario
from edge_marl.simulator import EpisodeLog
from edge_marl.workload import Workload

__all__ = ["Played", "play"]

Decide = Callable[[npt.NDArray[np.float32], Mapping[str, Any]], npt.NDArray[np.int64]]


@dataclass(frozen=True)
class Played:
    """What came of an agent's episodes."""

    metrics: list[dict[str, float]]
    """Every metric of each workload's episode."""
    actions: frozenset[int]
    """Actions that were taken at least once, whatever the workload."""
    first: EpisodeLog
    """What became of the first workload's tasks."""


def play(
    agent: Agent,
    scenario: Scenario,
    workloads: Sequence[Workload],
    seed: int,
    progress: Callable[[int], None] = lambda finished: None,
    api: Api = "single",
) -> Played:
    """Play one episode per workload, side by side, until the last has ended.

    With `parallel` the game and its clock are the scenario's, each gateway of each episode is a row
    of the agent's, and one without a task does nothing, whatever its row says. On the event clock
    an agent whose actions depend on what it sees then gets what it gets on the single environment,
    to the last bit. A `CentralAgent` decides for all gateways of an episode together.

    Args:
        agent: what decides; it is reset with `seed`.
        scenario: the world.
        workloads: one episode each.
        seed: seed of the agent's own randomness.
        progress: called with the number of finished episodes whenever that has changed.
        api: what the episodes are played on.

    Raises:
        AgentError: the agent's code raised, or it returned something else than one action per row.
    """
    checked = CheckedAgent(agent)
    checked.reset(seed)
    if api == "single":
        envs = EdgeAIGCVectorEnv(
            len(workloads), scenario=scenario, autoreset_mode=AutoresetMode.DISABLED
        )
        return _play(envs, checked, checked.act, workloads, progress)

    rows = EdgeAIGCRows(len(workloads), scenario=scenario, autoreset_mode=AutoresetMode.DISABLED)
    if isinstance(agent, CentralAgent):
        choose_all = agent.take_seats(rows.game, workloads)
        return _play(rows, checked, lambda observation, info: choose_all(), workloads, progress)

    def choose(
        observation: npt.NDArray[np.float32], info: Mapping[str, Any]
    ) -> npt.NDArray[np.int64]:
        return _choose(checked, observation, info)

    return _play(rows, checked, choose, workloads, progress)


def _play(
    envs: EdgeAIGCVectorEnv | EdgeAIGCRows,
    agent: CheckedAgent,
    decide: Decide,
    workloads: Sequence[Workload],
    progress: Callable[[int], None],
) -> Played:
    observation, info = envs.reset(options={"workloads": list(workloads)})
    over = np.zeros(len(workloads), dtype=bool)
    taken = np.zeros(envs.scenario.num_actions + 1, dtype=bool)
    while not over.all():
        action = decide(observation, info)
        try:
            observation, _, terminated, truncated, info = envs.step(action)
        except ActionError as error:
            raise agent.error(str(error)) from None
        taken[action[~over]] = True
        now = over | terminated | truncated
        if (now != over).any():
            progress(int(now.sum()))
        over = now
    actions = np.flatnonzero(taken[:-1])  # the last is to do nothing
    metrics = [envs.metrics(row) for row in range(len(workloads))]
    return Played(metrics, frozenset(actions.tolist()), envs.log(0))


def _choose(
    agent: CheckedAgent, observation: npt.NDArray[np.float32], infos: Mapping[str, Any]
) -> npt.NDArray[np.int64]:
    """Return what gateways choose, (E, G), for what they see (E, G, D) and infos of `EdgeAIGCRows`.

    Rows without a task are shown every action as legal, as the single environment does where it
    has no task: a mask of zeros would be something that no agent has ever seen.
    """
    mask = infos["action_mask"]
    nothing = mask.shape[-1] - 1
    legal = mask[..., :nothing]
    idle = legal.sum(-1) == 0
    shown = np.where(idle[..., None], np.int8(1), legal)
    info: dict[str, Any] = {
        "action_mask": shown.reshape(-1, nothing),
        "agent_index": infos["agent_index"].reshape(-1),
    }
    action = agent.act(observation.reshape(-1, observation.shape[-1]), info)
    return np.where(idle, nothing, action.reshape(idle.shape))
