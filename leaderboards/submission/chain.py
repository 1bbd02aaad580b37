"""Playing a board's episodes side by side, with hash chains over what happens in them.

Submitting, replaying and re-executing are this one walk; they differ in who chooses. An episode of
the single environment has one chain. In a game of gateways, each gateway of an episode has its own,
over what this gateway saw, did and got, and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import string
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

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
    "watch_episodes",
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

    @classmethod
    def joined(cls, moments: Sequence[Moment]) -> Self:
        """Return the rows of several, one after the other: for who decides on each row alone."""
        return cls(
            moments[0].number,
            np.concatenate([moment.observation for moment in moments]),
            np.concatenate([moment.mask for moment in moments]),
            np.concatenate([moment.agent_index for moment in moments]),
            np.concatenate([moment.going for moment in moments]),
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
        game = _open_game(scenario, len(workloads))
        links = [_GameChains(workload, scenario.gateways.count) for workload in workloads]
        for step in _steps_of_game(game, workloads, choose):
            for row, gateway in zip(*np.nonzero(step.deciding), strict=True):
                action = int(step.action[row, gateway])
                links[row].add(gateway, step.seen[row, gateway], action)
            for row in np.flatnonzero(step.going):
                links[row].pay(step.reward[row])
        return [chain.episode(game.metrics(row)) for row, chain in enumerate(links)]
    envs = _open(scenario, len(workloads))
    chains = [_Chain(workload) for workload in workloads]
    for step in _steps(envs, workloads, choose):
        for row in np.flatnonzero(step.going):
            chains[row].add(step.seen[row], int(step.action[row]), float(step.reward[row]))
    return [chain.episode(envs.metrics(row)) for row, chain in enumerate(chains)]


def watch_episodes(scenario: Scenario, workloads: Sequence[Workload], choose: Choose) -> None:
    """Play as `play_episodes` does, for what is chosen on the way: nothing is made of the episodes.

    Args:
        scenario: the world.
        workloads: one episode each.
        choose: what decides, and looks at what there is.
    """
    count = len(workloads)
    if is_game(scenario):
        steps = _steps_of_game(_open_game(scenario, count), workloads, choose)
    else:
        steps = _steps(_open(scenario, count), workloads, choose)
    for _ in steps:
        pass


def _open(scenario: Scenario, count: int) -> EdgeAIGCVectorEnv:
    return EdgeAIGCVectorEnv(count, scenario=scenario, autoreset_mode=AutoresetMode.DISABLED)


def _open_game(scenario: Scenario, count: int) -> EdgeAIGCRows:
    return EdgeAIGCRows(
        count, scenario=scenario, reward="local", autoreset_mode=AutoresetMode.DISABLED
    )


class _Step(NamedTuple):
    """A step of all episodes, of which those over do nothing; in a game (E, G, ...)."""

    going: npt.NDArray[np.bool_]
    """(E,) episodes that were not over."""
    deciding: npt.NDArray[np.bool_]
    """(E,), or in a game (E, G), what decided."""
    seen: npt.NDArray[np.float32]
    action: npt.NDArray[np.int64]
    reward: npt.NDArray[np.float64]


def _steps(
    envs: EdgeAIGCVectorEnv, workloads: Sequence[Workload], choose: Choose
) -> Iterator[_Step]:
    observation, info = envs.reset(options={"workloads": list(workloads)})
    going = np.ones(len(workloads), dtype=np.bool_)
    number = 0
    while going.any():
        moment = Moment(number, observation, info["action_mask"], info["agent_index"], going)
        choice = choose(moment)
        if choice is None:
            return
        action, seen = np.where(going, choice, 0), observation
        observation, reward, terminated, truncated, info = envs.step(action)
        yield _Step(going, going, seen, action, reward)
        going = going & ~(terminated | truncated)
        number += 1


def _steps_of_game(
    envs: EdgeAIGCRows, workloads: Sequence[Workload], choose: Choose
) -> Iterator[_Step]:
    scenario, count = envs.scenario, len(workloads)
    gateways = scenario.gateways.count
    observation, info = envs.reset(options={"workloads": list(workloads)})
    going = np.ones(count, dtype=np.bool_)
    number = 0
    while going.any():
        shown, idle = shown_to_gateways(info["action_mask"])
        deciding = going[:, None] & ~idle
        rows = observation.reshape(count * gateways, -1)
        index = info["agent_index"].ravel()
        decides = deciding.ravel()
        choice = choose(Moment(number, rows, shown, index, decides, gateways, game=envs.game))
        if choice is None:
            return
        action = np.where(deciding, choice.reshape(count, gateways), scenario.num_actions)
        seen = observation
        observation, own_reward, terminated, truncated, info = envs.step(action)
        yield _Step(going, deciding, seen, action, own_reward)
        going = going & ~(terminated | truncated)
        number += 1


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
