"""Playing episodes with an agent: on the single environment, or as the policy of all gateways."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode

from edge_marl.agents.base import Agent, CentralAgent
from edge_marl.agents.own_code import CheckedAgent
from edge_marl.envs import EdgeAIGCVectorEnv
from edge_marl.envs.rows import EdgeAIGCRows
from edge_marl.errors import ActionError, AgentError
from edge_marl.scenario import Api, Scenario
from edge_marl.simulator import EpisodeLog
from edge_marl.workload import Workload

__all__ = [
    "Decide",
    "Decider",
    "Gateways",
    "Played",
    "Rows",
    "Seat",
    "gateway_seed",
    "open_rows",
    "play",
    "play_out",
    "shown_to_gateways",
    "take_seat",
]

Decide = Callable[[npt.NDArray[np.float32], Mapping[str, Any]], npt.NDArray[np.int64]]


Rows = EdgeAIGCVectorEnv | EdgeAIGCRows
"""Episodes side by side, each of which stays at its end."""


class Steps(Protocol):
    """What `play_out` asks of rows."""

    scenario: Scenario

    def reset(self, *, options: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Start the episodes."""

    def step(self, actions: npt.NDArray[np.int64], /) -> tuple[Any, ...]:
        """Take a step in each."""


class Decider(Protocol):
    """Whose decisions are played."""

    def error(self, reason: str, /) -> Exception:
        """Return the error that says what is wrong with the latest decision."""


class Seat(NamedTuple):
    """An agent before the episodes that it is going to play."""

    envs: Rows
    agent: Decider
    """Says what is wrong with its decisions."""
    decide: Decide
    """For all rows at once."""


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

    With `parallel` the game and its clock are the scenario's, and the agent is the policy of all
    gateways (`Gateways`); one without a task does nothing, whatever its row says. On the event
    clock an agent whose actions depend on what it sees then gets what it gets on the single
    environment, to the last bit. A `CentralAgent` decides for all gateways of an episode together.

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
    envs = open_rows(scenario, len(workloads), api)
    actions = play_out(*take_seat(agent, envs, workloads, seed), workloads, progress)
    metrics = [envs.metrics(row) for row in range(len(workloads))]
    return Played(metrics, actions, envs.log(0))


def open_rows(scenario: Scenario, rows: int, api: Api, **more: Any) -> Rows:
    """Return environments for as many episodes, of which none starts another by itself.

    Args:
        scenario: the world.
        rows: how many.
        api: what the episodes are played on.
        more: settings of both kinds of environments.
    """
    kind = EdgeAIGCVectorEnv if api == "single" else EdgeAIGCRows
    return kind(rows, scenario=scenario, autoreset_mode=AutoresetMode.DISABLED, **more)


def take_seat(agent: Agent, envs: Rows, workloads: Sequence[Workload], seed: int) -> Seat:
    """Return an agent before the episodes of environments, none of which has begun.

    Args:
        agent: what decides; it is reset with `seed`.
        envs: as many rows as workloads.
        workloads: one episode each.
        seed: seed of the agent's own randomness.

    Raises:
        AgentError: the agent's code raised.
    """
    if isinstance(envs, EdgeAIGCRows) and not isinstance(agent, CentralAgent):
        policy = Gateways(agent, envs.scenario)
        policy.reset(seed)
        return Seat(envs, policy, policy.choose)
    checked = CheckedAgent(agent)
    checked.reset(seed)
    if isinstance(envs, EdgeAIGCVectorEnv) or not isinstance(agent, CentralAgent):
        return Seat(envs, checked, checked.act)
    choose_all = agent.take_seats(envs.game, workloads)
    return Seat(envs, checked, lambda observation, info: choose_all())


class Gateways:
    """An agent as the policy of all gateways of a game.

    In slots what draws lots is one agent per gateway, each with a seed of its own (`gateway_seed`),
    so that no gateway's lots depend on another's. What draws none is one agent for all rows: a
    row's action does not depend on the others (`Agent`), so it is the same. So are a `central`
    agent, and any on the event clock, where one gateway decides at a time.

    Args:
        agent: what decides.
        scenario: the game.

    Raises:
        AgentError: it draws lots, and cannot be copied.
    """

    def __init__(self, agent: Agent, scenario: Scenario) -> None:
        count = scenario.gateways.count
        self._nothing = scenario.num_actions
        in_slots = scenario.api == "parallel"
        self._alone = in_slots and not (agent.central or agent.deterministic)
        self._stateless = agent.stateless
        agents = [_copy_of(agent) for _ in range(count)] if self._alone else [agent]
        self._agents = [CheckedAgent(one) for one in agents]

    def reset(self, seed: int) -> None:
        """Start new episodes in all rows (see `Agent.reset`).

        Raises:
            AgentError: the agent's code raised.
        """
        for gateway, agent in enumerate(self._agents):
            agent.reset(gateway_seed(seed, gateway) if self._alone else seed)

    def choose(
        self,
        observation: npt.NDArray[np.float32],
        info: Mapping[str, Any],
        own: npt.NDArray[np.bool_] | None = None,
    ) -> npt.NDArray[np.int64]:
        """Return one choice per gateway, (E, G), of what `EdgeAIGCRows` shows; nothing if it idles.

        Args:
            observation: (E, G, D) what each gateway sees.
            info: of the rows.
            own: (E, G) gateways that play this policy, where others do not; they choose nothing.

        Raises:
            AgentError: the agent's code raised, or returned something else.
        """
        shown, idle = shown_to_gateways(info["action_mask"])
        known = {"action_mask": shown, "agent_index": info["agent_index"].ravel()}
        decides = ~idle if own is None else own & ~idle
        action = self.act(observation.reshape(len(shown), -1), known, decides.ravel())
        return np.where(decides, action.reshape(idle.shape), self._nothing)

    def act(
        self,
        observation: npt.NDArray[np.float32],
        info: Mapping[str, Any],
        decides: npt.NDArray[np.bool_],
    ) -> npt.NDArray[np.int64]:
        """Return one choice per row; rows are (episode, gateway), (E * G, ...).

        Args:
            observation: (E * G, D) what each gateway sees.
            info: as in `Agent.act`; the mask is as `shown_to_gateways` gives it.
            decides: (E * G,) rows whose choice counts. The others are asked as well, unless the
                agent is `stateless`.

        Raises:
            AgentError: the agent's code raised, or returned something else.
        """
        action = np.zeros(len(observation), dtype=np.int64)
        asked, every = decides | (not self._stateless), len(self._agents)
        for number, agent in enumerate(self._agents):
            own = number + every * np.flatnonzero(asked[number::every])
            if len(own):
                known = {name: value[own] for name, value in info.items()}
                action[own] = agent.act(observation[own], known)
        return action

    def error(self, reason: str) -> AgentError:
        """Return the error that says what is wrong with the latest decision."""
        return self._agents[0].error(reason)


def _copy_of(agent: Agent) -> Agent:
    """Return a copy that shares nothing with the agent but the scenario."""
    try:
        return copy.deepcopy(agent, {id(agent.scenario): agent.scenario})
    except Exception as error:  # whatever its parts raise
        raise AgentError(
            f"{type(agent).__name__} cannot be copied, one for each gateway ({error}): say "
            "deterministic = True in its class if it draws no lots, or give it a __deepcopy__"
        ) from None


def gateway_seed(seed: int, gateway: int) -> int:
    """Return the seed of a gateway's own randomness, of 32 bits.

    Args:
        seed: of the run.
        gateway: its index.
    """
    digest = hashlib.sha256(f"edge-marl gateway {gateway} of seed {seed}".encode()).digest()
    return int.from_bytes(digest[:4])


def shown_to_gateways(
    mask: npt.NDArray[np.int8],
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.bool_]]:
    """Return the masks that a policy of gateways is shown (E * G, A), and who has no task (E, G).

    The choice to hold a task is not shown. Rows without a task are shown every action as legal, as
    the single environment does where it has no task: a mask of zeros would be something that no
    agent has ever seen.

    Args:
        mask: (E, G, A + 1), of `EdgeAIGCRows`, or of one gateway each (E, A + 1); the last action
            is to do nothing.
    """
    legal = mask[..., :-1]
    idle = legal.sum(-1) == 0
    shown = np.where(idle[..., None], np.int8(1), legal)
    return shown.reshape(-1, legal.shape[-1]), idle


def play_out(
    envs: Steps,
    agent: Decider,
    decide: Decide,
    workloads: Sequence[Workload],
    progress: Callable[[int], None] = lambda finished: None,
) -> frozenset[int]:
    """Play one episode per workload to its end; return the actions that were taken.

    Args:
        envs: as many rows as workloads.
        agent: says what was wrong with a decision.
        decide: returns what is done next.
        workloads: one episode each.
        progress: called with the number of finished episodes whenever that has changed.

    Raises:
        AgentError: the agent's code raised, or chose what is no action.
    """
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
    return frozenset(np.flatnonzero(taken[:-1]).tolist())  # the last is to do nothing
