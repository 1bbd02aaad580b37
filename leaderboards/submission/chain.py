"""Playing a board's episodes side by side, with hash chains over what happens in them.

Submitting, replaying and re-executing are this one walk; they differ in who chooses. An episode of
the single environment has one chain. In a game of gateways, each gateway of an episode has its own,
over what this gateway saw, did and got, and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode

from edge_marl.agents.base import Agent, CentralAgent, ChooseAll
from edge_marl.agents.own_code import CheckedAgent
from edge_marl.agents.play import Gateways, shown_to_gateways
from edge_marl.envs import EdgeAIGCRows, EdgeAIGCVectorEnv
from edge_marl.scenario import Scenario
from edge_marl.simulator.gateways import GatewaySimulator
from edge_marl.workload import Workload

__all__ = [
    "GATEWAY_DIGITS",
    "Choose",
    "Episode",
    "Moment",
    "choices_of",
    "chooser_of",
    "first_difference",
    "gateways_of",
    "is_game",
    "play_episodes",
    "rows_of",
]

CHAIN_START = b"edge-marl-chain-1"
GAME_CHAIN_START = b"edge-marl-game-chain-1"
GATEWAY_DIGITS = 8
"""Base64 digits that are kept of a gateway's last hash: 48 bits, which say whose chain parts."""
BASE64 = string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/"


@dataclass(frozen=True, eq=False)
class Moment:
    """What is to be decided: the same decision number in every episode that goes on.

    Rows R are the episodes E; in a game of G gateways (episode, gateway), in this order, and what
    they decide on is a step of the game.
    """

    number: int
    """Decisions before this one, or steps of the game."""
    observation: npt.NDArray[np.float32]
    """(R, D); of an episode that is over, its last."""
    mask: npt.NDArray[np.int8]
    """(R, A), 1 where an action is legal; where a gateway has no task, 1."""
    agent_index: npt.NDArray[np.int64]
    """(R,) the gateway that decides."""
    going: npt.NDArray[np.bool_]
    """(R,) rows that decide: of episodes that go on, and in a game of gateways with a task."""
    gateways: int = 1
    """Rows of an episode."""
    gateway: int | None = None
    """Of a game, the one that all rows are of; None where they are of all."""
    game: GatewaySimulator | None = None
    """The game itself, for references that see the whole of it; no policy is shown it."""

    def of(self, gateway: int) -> Moment:
        """Return what one gateway sees, in rows (E,)."""
        own = self.at(np.arange(gateway, len(self.going), self.gateways))
        return replace(own, gateway=gateway)

    def at(self, rows: npt.NDArray[np.int64]) -> Moment:
        """Return what some rows see."""
        return Moment(
            self.number,
            self.observation[rows],
            self.mask[rows],
            self.agent_index[rows],
            self.going[rows],
        )

    @property
    def info(self) -> dict[str, Any]:
        """What an agent is told besides what it sees (`Agent.act`)."""
        return {"action_mask": self.mask, "agent_index": self.agent_index}

    def place(self, row: int) -> str:
        """Say where a row's decision is, for people."""
        workload, gateway = divmod(row, self.gateways)
        if self.gateway is not None:
            gateway = self.gateway
        elif self.gateways == 1:
            return f"workload {row}, decision {self.number}"
        return f"workload {workload}, step {self.number}, gateway {gateway}"


Choose = Callable[[Moment], npt.NDArray[np.int64] | None]
"""Returns (R,) actions, of a row that does not decide any, as it counts for nothing. None ends all.
"""


@dataclass(frozen=True, eq=False)
class Episode:
    """What came of one workload."""

    actions: npt.NDArray[np.int64]
    """Of every decision; in a game step by step, and in a step gateway by gateway."""
    metrics: dict[str, float | None]
    """None where the episode has no value."""
    head: str
    """Last hash of its chain (hex); in a game the hash of the last hashes of its gateways."""
    marks: str
    """A base64 digit of the hash after each decision."""
    gateways: str | None = None
    """In a game the first `GATEWAY_DIGITS` digits of each gateway's last hash."""

    def marks_every(self, step: int) -> str:
        """Return the digit after each `step` decisions."""
        return self.marks[step - 1 :: step]


def is_game(scenario: Scenario) -> bool:
    """Whether a board of this scenario is of the game of gateways."""
    return scenario.api == "parallel"


def rows_of(scenario: Scenario) -> int:
    """Return how many rows an episode has: one, or in a game one per gateway."""
    return scenario.gateways.count if is_game(scenario) else 1


def choices_of(scenario: Scenario) -> int:
    """Return how many choices a decision has: the actions, and in a game to do nothing."""
    return scenario.num_actions + is_game(scenario)


def chooser_of(
    agent: Agent, scenario: Scenario, workloads: Sequence[Workload], seed: int
) -> Choose:
    """Return how an agent plays in a run (`agents.play`), from the start of episodes on.

    Args:
        agent: what decides.
        scenario: the world.
        workloads: of the episodes.
        seed: of the run.
    """
    checked = CheckedAgent(agent)
    if not is_game(scenario):
        checked.reset(seed)
        return lambda moment: checked.act(moment.observation, moment.info)
    if not isinstance(agent, CentralAgent):
        policy = Gateways(agent, scenario)
        policy.reset(seed)
        return lambda moment: policy.act(moment.observation, moment.info, moment.going)
    seats: list[ChooseAll] = []

    def choose(moment: Moment) -> npt.NDArray[np.int64]:
        if moment.number == 0 and moment.game is not None:
            checked.reset(seed)
            seats[:] = [agent.take_seats(moment.game, workloads)]
        return seats[0]().ravel()

    return choose


def play_episodes(
    scenario: Scenario, workloads: Sequence[Workload], choose: Choose
) -> list[Episode]:
    """Play one episode per workload, side by side, until the last has ended.

    Args:
        scenario: the world.
        workloads: one episode each.
        choose: what decides.
    """
    if is_game(scenario):
        return _play_game(scenario, workloads, choose)
    count = len(workloads)
    envs = EdgeAIGCVectorEnv(count, scenario=scenario, autoreset_mode=AutoresetMode.DISABLED)
    chains = [_Chain(workload) for workload in workloads]
    observation, info = envs.reset(options={"workloads": list(workloads)})
    going = np.ones(count, dtype=np.bool_)
    number = 0
    while going.any():
        legal, gateway = info["action_mask"], info["agent_index"]
        choice = choose(Moment(number, observation, legal, gateway, going))
        if choice is None:
            break
        action = np.where(going, choice, 0)
        seen = observation
        observation, reward, terminated, truncated, info = envs.step(action)
        for row in np.flatnonzero(going):
            chains[row].add(seen[row], int(action[row]), float(reward[row]))
        going = going & ~(terminated | truncated)
        number += 1
    return [chain.episode(envs.metrics(row)) for row, chain in enumerate(chains)]


def _play_game(scenario: Scenario, workloads: Sequence[Workload], choose: Choose) -> list[Episode]:
    """Play the game of gateways on each workload, side by side."""
    count, gateways = len(workloads), scenario.gateways.count
    envs = EdgeAIGCRows(
        count, scenario=scenario, reward="local", autoreset_mode=AutoresetMode.DISABLED
    )
    chains = [_GameChains(workload, gateways) for workload in workloads]
    observation, info = envs.reset(options={"workloads": list(workloads)})
    going = np.ones(count, dtype=np.bool_)
    number = 0
    while going.any():
        shown, idle = shown_to_gateways(info["action_mask"])
        deciding = going[:, None] & ~idle
        seen = observation.reshape(count * gateways, -1)
        index = info["agent_index"].ravel()
        decides = deciding.ravel()
        choice = choose(Moment(number, seen, shown, index, decides, gateways, game=envs.game))
        if choice is None:
            break
        action = np.where(deciding, choice.reshape(count, gateways), scenario.num_actions)
        before = observation
        observation, own_reward, terminated, truncated, info = envs.step(action)
        for row, gateway in zip(*np.nonzero(deciding), strict=True):
            chains[row].add(gateway, before[row, gateway], int(action[row, gateway]))
        for row in np.flatnonzero(going):
            chains[row].pay(own_reward[row])
        going = going & ~(terminated | truncated)
        number += 1
    return [chain.episode(envs.metrics(row)) for row, chain in enumerate(chains)]


def gateways_of(episodes: Sequence[Episode]) -> tuple[str, ...] | None:
    """Return what `chain.json` keeps of the gateways of each episode; None if no gateways play."""
    found = [episode.gateways for episode in episodes if episode.gateways is not None]
    return tuple(found) or None


def first_difference(marks: str, others: str) -> int:
    """Return the mark at which two chains part; the shorter's length if only that differs."""
    pairs = zip(marks, others, strict=False)
    parted = (k for k, (one, other) in enumerate(pairs) if one != other)
    return next(parted, min(len(marks), len(others)))


class _Chain:
    """The hash chain of an episode, and its actions."""

    def __init__(self, workload: Workload) -> None:
        self._hash = hashlib.sha256(CHAIN_START + bytes.fromhex(workload.digest)).digest()
        self._actions: list[int] = []
        self._marks: list[str] = []

    def add(self, observation: npt.NDArray[np.float32], action: int, reward: float) -> None:
        """Add a decision: what was seen, done and earned."""
        sha = hashlib.sha256(self._hash)
        sha.update(observation.astype("<f4", copy=False).tobytes())
        sha.update(np.int64(action).astype("<i8").tobytes())
        sha.update(np.float64(reward).astype("<f8").tobytes())
        self._hash = sha.digest()
        self._actions.append(action)
        self._marks.append(BASE64[self._hash[0] >> 2])

    def episode(self, metrics: dict[str, float]) -> Episode:
        """Return the episode, given its metrics."""
        return Episode(
            actions=np.array(self._actions, dtype=np.int64),
            metrics={k: None if v != v else float(v) for k, v in metrics.items()},
            head=self._hash.hex(),
            marks="".join(self._marks),
        )


class _GameChains:
    """The hash chains of an episode's gateways, and their actions in order of the game.

    A link holds what the gateway got since the link before (float64), what it saw (float32) and
    what it did (int64); the last one what it got after its last decision.
    """

    def __init__(self, workload: Workload, gateways: int) -> None:
        start = GAME_CHAIN_START + bytes.fromhex(workload.digest)
        self._hashes = [
            hashlib.sha256(start + np.int64(g).astype("<i8").tobytes()).digest()
            for g in range(gateways)
        ]
        self._got = np.zeros(gateways)
        self._actions: list[int] = []
        self._marks: list[str] = []

    def add(self, gateway: int, observation: npt.NDArray[np.float32], action: int) -> None:
        """Add a decision of a gateway: what it got before, saw and did."""
        sha = self._link(gateway)
        sha.update(observation.astype("<f4", copy=False).tobytes())
        sha.update(np.int64(action).astype("<i8").tobytes())
        self._hashes[gateway] = digest = sha.digest()
        self._got[gateway] = 0.0
        self._actions.append(action)
        self._marks.append(BASE64[digest[0] >> 2])

    def pay(self, own_reward: npt.NDArray[np.float64]) -> None:
        """Add what each gateway got in a step, (G,)."""
        self._got += own_reward

    def episode(self, metrics: dict[str, float]) -> Episode:
        """Return the episode, given its metrics."""
        heads = [self._link(gateway).digest() for gateway in range(len(self._hashes))]
        return Episode(
            actions=np.array(self._actions, dtype=np.int64),
            metrics={k: None if v != v else float(v) for k, v in metrics.items()},
            head=hashlib.sha256(b"".join(heads)).hexdigest(),
            marks="".join(self._marks),
            gateways="".join(map(_digits, heads)),
        )

    def _link(self, gateway: int) -> hashlib._Hash:
        """Begin a link of a gateway's chain."""
        sha = hashlib.sha256(self._hashes[gateway])
        sha.update(self._got[gateway].astype("<f8").tobytes())
        return sha


def _digits(digest: bytes) -> str:
    return base64.b64encode(digest)[:GATEWAY_DIGITS].decode()
