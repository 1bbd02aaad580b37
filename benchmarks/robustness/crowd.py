"""Games in which some gateways play one agent's policy and some another's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode

from edge_marl.agents.base import Agent
from edge_marl.agents.play import Gateways, shown_to_gateways
from edge_marl.envs.rows import EdgeAIGCRows
from edge_marl.errors import ActionError
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
    observation, info = rows.reset(options={"workloads": list(workloads)})
    over = np.zeros(len(workloads), dtype=np.bool_)
    while not over.all():
        shown, idle = shown_to_gateways(info["action_mask"])
        known = {"action_mask": shown, "agent_index": info["agent_index"].ravel()}
        seen = observation.reshape(len(shown), -1)
        chosen = np.full(idle.shape, game.num_actions)
        for policy, own in zip(policies, (~replaced, replaced), strict=True):
            decides = own & ~idle
            if own.any():  # all rows are passed: a row's number says whose it is
                action = policy.act(seen, known, decides.ravel()).reshape(idle.shape)
                chosen = np.where(decides, action, chosen)
        try:
            observation, _, terminated, truncated, info = rows.step(chosen)
        except ActionError as error:
            raise policies[0].error(str(error)) from None
        over |= terminated | truncated
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
