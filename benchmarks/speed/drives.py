"""Every way to play a scenario, as something that plays on and says how long it took.

Actions are random legal ones. Choosing them takes time, so it is left out: an API of one
environment plays an episode once, and then the same actions again; of a batch, only its steps are
timed. The time of resets is kept apart from that of the steps between them.
"""

from __future__ import annotations

import statistics
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import gymnasium
import numba
import numpy as np
import numpy.typing as npt

from edge_marl import EdgeAIGCRows, draw_workload, edge_aigc_v0
from edge_marl.scenario import Scenario

__all__ = ["APIS", "NATIVE", "Drive", "Sample", "game_of", "on_threads", "rows_of"]

CHECKOUT = Path(__file__).resolve().parents[2]
"""Where the project lies, if it is not installed from a wheel."""

NATIVE = "gym.make_vec"
"""Name of the batch whose decisions are taken apart."""

MOST_ROWS = 1024
PASS = {False: 1_600_000, True: 600_000}
"""Decisions of a batch between two resets of all rows, at most; whether the model is extended."""
SYNC_ENVS = 8
ORACLE_DECISIONS = 300
AEC_DECISIONS = 300
RESETS = 3
"""Resets of one environment that are timed."""
ONWARD = 1.15
"""Steps of a pass of a batch, in mean episodes: nearly every row comes to an end once."""


@dataclass(frozen=True)
class Sample:
    """What one measurement of an API found."""

    step_ns: float
    """Of a decision, resets left out."""
    reset_ns: float
    """Of the reset of one environment, shared out among the decisions of its episode."""
    turns: float = 1.0
    """Choices per decision that are asked for: in the game, those of idle gateways too."""


class Drive(ABC):
    """An API that plays on.

    Args:
        scenario: what is played.
        quick: whether less is played.
    """

    def __init__(self, scenario: Scenario, quick: bool) -> None:
        self.scenario = scenario
        self.quick = quick

    @abstractmethod
    def measure(self) -> Sample:
        """Play on, timed."""


@contextmanager
def on_threads(count: int | None) -> Iterator[None]:
    """Have simulators that are made here use so many threads; None is one per core."""
    before = numba.config.NUMBA_NUM_THREADS
    numba.config.NUMBA_NUM_THREADS = count or before
    try:
        yield
    finally:
        numba.config.NUMBA_NUM_THREADS = before


@contextmanager
def _first_on_path(folder: Path) -> Iterator[None]:
    """Have a folder's modules importable by their names there."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def game_of(scenario: Scenario) -> Scenario:
    """Return the game that is played: with a gateway at every server where there is one in all."""
    return scenario if scenario.gateways.count > 1 else scenario.with_gateways(scenario.num_servers)


def rows_of(scenario: Scenario, seats: int, quick: bool) -> int:
    """Return the rows of a batch: a power of two, fewer where an episode is long.

    Args:
        scenario: what is played.
        seats: agents of a row that see something at each step.
        quick: whether less is played.
    """
    requests = max(1.0, scenario.arrivals.rate_per_s * scenario.arrivals.horizon_s)
    most = PASS[scenario.extended] / requests / seats / (8 if quick else 1)
    return int(2 ** np.clip(np.floor(np.log2(most)), 3, np.log2(MOST_ROWS)))


# ------------------------------------------------------------ one environment


class _OneByOne(Drive):
    """Plays the actions of one episode again and again; resets are those of the episodes after."""

    def __init__(self, scenario: Scenario, quick: bool) -> None:
        super().__init__(scenario, quick)
        self.workload = draw_workload(scenario, 0)
        self.make()
        self.actions = self.record()

    def make(self) -> None:
        """Make the environment."""
        self.env: Any = gymnasium.make(
            "EdgeAIGC-v0", scenario=self.scenario, disable_env_checker=True
        )

    def record(self) -> list[Any]:
        """Return random legal actions of the episode, up to its end."""
        dice, env = np.random.default_rng(0), self.env
        _, info = env.reset(seed=0, options={"workload": self.workload})
        actions, over = [], False
        while not over:
            action = int(dice.choice(np.flatnonzero(info["action_mask"])))
            actions.append(action)
            _, _, terminated, truncated, info = env.step(action)
            over = terminated or truncated
        return actions

    def start(self) -> None:
        """Start the episode that was recorded."""
        self.env.reset(options={"workload": self.workload})

    def step(self) -> None:
        """Take all its steps."""
        step = self.env.step
        for action in self.actions:
            step(action)

    def measure(self) -> Sample:
        """Time the steps of the episode, and the resets of others."""
        resets = [_ns(self.env.reset) for _ in range(RESETS)]
        self.start()
        step_ns = _ns(self.step) / len(self.actions)
        return Sample(step_ns, statistics.median(resets) / len(self.actions), self.turns)

    turns = 1.0


class Single(_OneByOne):
    """`gymnasium.make`, step by step."""


class Oracle(_OneByOne):
    """The tests' simulator in plain Python, written from the rules; only a checkout has it."""

    def make(self) -> None:
        """Make it, and the environment that finds legal actions for it."""
        super().make()
        with _first_on_path(CHECKOUT):
            module = import_module("tests.oracle.reference_sim")
        self.oracle: Any = module.OracleEnv(self.scenario)

    def measure(self) -> Sample:
        """Time the first steps of the episode; its resets draw nothing, and are not counted."""
        self.oracle.reset(self.workload)
        actions = self.actions[:ORACLE_DECISIONS]

        def steps() -> None:
            for action in actions:
                self.oracle.step(action)

        return Sample(_ns(steps) / len(actions), 0.0)


class Parallel(_OneByOne):
    """PettingZoo's Parallel API on the event clock: one gateway decides, the others are idle."""

    def __init__(self, scenario: Scenario, quick: bool) -> None:
        super().__init__(game_of(scenario), quick)

    def make(self) -> None:
        """Make the game."""
        self.env = edge_aigc_v0.parallel_env(scenario=self.scenario)
        self.turns = float(self.scenario.gateways.count)

    def record(self) -> list[Any]:
        """Return random legal choices of all gateways, step by step."""
        dice, env = np.random.default_rng(0), self.env
        _, infos = env.reset(seed=0, options={"workload": self.workload})
        played = []
        while env.agents:
            played.append({agent: _legal(dice, infos[agent]["action_mask"]) for agent in infos})
            *_, infos = env.step(played[-1])
        return played


class AEC(Parallel):
    """PettingZoo's AEC API: every agent in turn, idle or not."""

    def record(self) -> list[Any]:
        """Return the choices of the Parallel API, agent by agent."""
        steps = super().record()[:AEC_DECISIONS]
        self.env = edge_aigc_v0.env(scenario=self.scenario)
        self.env.reset(seed=0)
        return [list(choices.values()) for choices in steps]

    def step(self) -> None:
        """Take all turns."""
        last, step = self.env.last, self.env.step
        for choices in self.actions:
            for choice in choices:
                last()
                step(choice)

    def measure(self) -> Sample:
        """As the others; of resets, only the share of the decisions that are played."""
        sample = super().measure()
        whole = self.workload.num_decisions(self.scenario)
        share = len(self.actions) / whole
        return Sample(sample.step_ns, sample.reset_ns * share, sample.turns)


def _legal(dice: np.random.Generator, mask: npt.NDArray[np.int8]) -> int:
    return int(dice.choice(np.flatnonzero(mask)))


def _ns(call: Callable[[], object]) -> float:
    """Return the time of a call."""
    start = time.perf_counter_ns()
    call()
    return time.perf_counter_ns() - start


# ------------------------------------------------------------ many environments


class _Batch(Drive):
    """Steps all rows; steps in which a row ends take longer, by what its reset costs."""

    turns = 1.0

    def __init__(self, scenario: Scenario, quick: bool) -> None:
        super().__init__(scenario, quick)
        self.envs = self.make()
        self.dice = np.random.default_rng(0)
        _, infos = self.envs.reset(seed=0)
        self.masks: npt.NDArray[np.int8] = infos["action_mask"]
        self.age = np.zeros(self.rows, np.int64)
        self.lengths: list[int] = []
        requests = scenario.arrivals.rate_per_s * scenario.arrivals.horizon_s
        self.steps = max(8, int(requests * ONWARD))

    @property
    def rows(self) -> int:
        """Environments."""
        return int(self.envs.num_envs)

    @abstractmethod
    def make(self) -> Any:
        """Return the environments."""

    def choose(self) -> npt.NDArray[np.int64]:
        """Return random actions, legal ones but for a few."""
        masks = self.masks
        shape, count = masks.shape[:-1], masks.shape[-1]
        chosen = self.dice.integers(count, size=shape)
        for _ in range(4):
            legal = np.take_along_axis(masks, chosen[..., None], -1)[..., 0]
            if legal.all():
                break
            chosen = np.where(legal == 1, chosen, self.dice.integers(count, size=shape))
        return chosen

    def measure(self) -> Sample:
        """Time a pass of steps."""
        times = np.empty(self.steps)
        ends = np.zeros(self.steps, np.int64)
        for step in range(self.steps):
            chosen = self.choose()
            start = time.perf_counter_ns()
            _, _, terminated, truncated, infos = self.envs.step(chosen)
            times[step] = time.perf_counter_ns() - start
            self.masks = infos["action_mask"]
            ended = terminated | truncated
            self.age += 1
            if ended.any():
                ends[step] = ended.sum()
                self.lengths += self.age[ended].tolist()
                self.age[ended] = 0
        plain = float(times[ends == 0].mean())
        resetting = times[ends > 0]
        reset_ns = (resetting.sum() - plain * len(resetting)) / max(1, ends.sum())
        length = statistics.fmean(self.lengths) if self.lengths else self.steps
        return Sample(plain / self.rows, max(0.0, reset_ns) / length, self.turns)


class Native(_Batch):
    """`gymnasium.make_vec`: the package's own batch."""

    def make(self) -> Any:
        """Return it."""
        rows = rows_of(self.scenario, 1, self.quick)
        return gymnasium.make_vec("EdgeAIGC-v0", num_envs=rows, scenario=self.scenario)


class Sync(_Batch):
    """Gymnasium's `SyncVectorEnv` of single environments."""

    def make(self) -> Any:
        """Return it."""
        return gymnasium.vector.SyncVectorEnv(
            [self._one] * SYNC_ENVS, autoreset_mode=gymnasium.vector.AutoresetMode.SAME_STEP
        )

    def _one(self) -> Any:
        return gymnasium.make("EdgeAIGC-v0", scenario=self.scenario, disable_env_checker=True)


class Rows(_Batch):
    """`EdgeAIGCRows`: the game as arrays."""

    def __init__(self, scenario: Scenario, quick: bool) -> None:
        super().__init__(game_of(scenario), quick)
        self.turns = float(self.scenario.gateways.count)

    def make(self) -> Any:
        """Return it."""
        rows = rows_of(self.scenario, self.scenario.gateways.count, self.quick)
        return EdgeAIGCRows(rows, scenario=self.scenario)


@dataclass(frozen=True)
class Api:
    """A way to play, as the table names it."""

    name: str
    drive: Callable[[Scenario, bool], Drive]
    threaded: bool = False
    """Whether it shares rows out among threads."""


APIS = (
    *([Api("oracle (plain Python)", Oracle)] if (CHECKOUT / "tests" / "oracle").is_dir() else []),
    Api("gym.make", Single),
    Api("SyncVectorEnv", Sync),
    Api(NATIVE, Native, threaded=True),
    Api("parallel_env", Parallel),
    Api("AEC env", AEC),
    Api("EdgeAIGCRows", Rows, threaded=True),
)
"""All ways, in the order of the table."""
