"""Games in which some gateways play one agent's policy and some another's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode

from edge_marl.agents.base import Agent
from edge_marl.agents.play import Gateways, play_out
from edge_marl.envs.rows import EdgeAIGCRows
from edge_marl.kernel.world import GATEWAY, STAGE
from edge_marl.scenario import Scenario
from edge_marl.simulator import EpisodeLog
from edge_marl.workload import Workload

__all__ = ["Crowd", "nested", "play_crowd"]

Flags = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Crowd:
    """What gateways got in W episodes."""

    utility: Floats
    """(W, G) sum of what each gateway's tasks paid: crashes that it caused, refunds of its own."""
    requests: npt.NDArray[np.int64]
    """(W, G) requests that came to it."""

    def per_request(self, gateways: Flags) -> Floats:
        """Return utility per request of some gateways together, (W,); NaN where they had none.

        Args:
            gateways: (W, G).
        """
        requests = np.where(gateways, self.requests, 0).sum(axis=1)
        utility = np.where(gateways, self.utility, 0.0).sum(axis=1)
        return np.where(requests > 0, utility / np.maximum(requests, 1), np.nan)


def nested(workloads: int, gateways: int, count: int, seed: int) -> Flags:
    """Return which gateways are replaced, (W, G): `count` of them in each episode.

    They are drawn anew for each; those of a larger count are those of a smaller one and more.
    """
    flags = np.zeros((workloads, gateways), dtype=np.bool_)
    for k in range(workloads):
        order = np.random.default_rng([seed, k]).permutation(gateways)
        flags[k, order[:count]] = True
    return flags


def play_crowd(
    agent: Agent,
    other: Agent,
    replaced: Flags,
    game: Scenario,
    workloads: Sequence[Workload],
    seed: int,
) -> Crowd:
    """Play one episode per workload, side by side.

    Every gateway sees and decides as in a game that its policy plays alone (`agents.play.play`).

    Args:
        agent: the policy of the gateways that are not replaced.
        other: the policy of those that are.
        replaced: (W, G).
        game: in slots.
        workloads: W of them.
        seed: of both agents' own randomness.

    Raises:
        AgentError: an agent's code raised, or it chose what is no action.
    """
    rows = EdgeAIGCRows(len(workloads), scenario=game, autoreset_mode=AutoresetMode.DISABLED)
    policies = (Gateways(agent, game), Gateways(other, game))
    for policy in policies:
        policy.reset(seed)

    def decide(
        observation: npt.NDArray[np.float32], info: Mapping[str, Any]
    ) -> npt.NDArray[np.int64]:
        chosen = np.full(replaced.shape, game.num_actions)
        for policy, own in zip(policies, (~replaced, replaced), strict=True):
            if own.any():
                chosen = np.where(own, policy.choose(observation, info, own), chosen)
        return chosen

    play_out(rows, policies[0], decide, workloads)
    return _of_logs([rows.log(row) for row in range(len(workloads))], rows.num_gateways)


def _of_logs(logs: Sequence[EpisodeLog], gateways: int) -> Crowd:
    utility = np.zeros((len(logs), gateways))
    requests = np.zeros((len(logs), gateways), dtype=np.int64)
    for row, log in enumerate(logs):
        owner = log.tasks[log.shown, GATEWAY]
        np.add.at(utility[row], owner, log.rewards[log.shown])
        first = np.ones(len(owner), dtype=np.bool_)
        if log.details is not None:
            first = log.details[log.shown, STAGE] == 0
        requests[row] = np.bincount(owner[first], minlength=gateways)
    return Crowd(utility, requests)
