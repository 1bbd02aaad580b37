"""Plays episodes on the package's environments and on the oracle, and compares every bit.

Used by the suite (`tests/oracle/test_extended_oracle.py`) and by the long run (`long_run.py`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode

from edge_marl import EdgeAIGCRows, edge_aigc_v0
from edge_marl.kernel import world as k
from tests.oracle.reference_sim import Choice, Fate, OracleEnv, ReferenceSimulator
from tests.oracle.sight import Sight
from tests.oracle.slotted_game import EventGame, SlottedGame
from tests.worlds.extended_strategies import FOR_LINES, FOR_MEMORY, PARTS, Recipe, simplest

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_marl.scenario import Scenario
    from edge_marl.simulator import EpisodeLog
    from edge_marl.workload import Workload
    from tests.worlds.extended_episode import ExtendedEpisode

MAX_STEPS = 500
NUM_ROWS = 3
BUT_SLEEP = tuple(part for part in PARTS if part != "sleep")
STATUS = {
    Fate.WAITING: k.WAITING,
    Fate.RUNNING: k.ADMITTED,
    Fate.FINISHED: k.ADMITTED,
    Fate.CRASHED: k.CRASHED,
    Fate.REFUSED: k.REFUSED,
    Fate.DROPPED: k.DROPPED,
    Fate.DENIED: k.DENIED,
    Fate.FAILED: k.FAILED,
    Fate.OUTAGE: k.OUTAGE,
    Fate.DECLINED: k.DECLINED,
}


def assert_same(name: str, ours: Any, expected: Any) -> None:
    """Say what differs, and where."""
    ours, expected = np.asarray(ours), np.asarray(expected)
    assert ours.shape == expected.shape, f"{name}: shape {ours.shape}, oracle {expected.shape}"
    assert ours.dtype == expected.dtype, f"{name}: {ours.dtype}, oracle {expected.dtype}"
    if ours.tobytes() != expected.tobytes():
        at = np.flatnonzero(ours.ravel() != expected.ravel()).tolist()
        values = ours.ravel()[at].tolist(), expected.ravel()[at].tolist()
        raise AssertionError(f"{name} differs at {at}: {values[0]}, oracle {values[1]}")


def assert_same_log(log: EpisodeLog, sim: ReferenceSimulator) -> None:
    """What has become of every task, and what was counted."""
    assert_same("status", log.tasks[:, k.STATUS], [STATUS[task.fate] for task in sim.tasks])
    running = [task.fate is Fate.RUNNING for task in sim.tasks]
    assert_same("running", log.running, running)
    sent = [task for task in sim.tasks if task.fate is not Fate.WAITING]
    rows = log.tasks[[task.number for task in sent]]
    assert_same("sent", rows[:, k.START], np.array([task.sent for task in sent], np.int64))
    assert_same("end", rows[:, k.END], np.array([task.end for task in sent], np.int64))
    if log.terms is not None:
        taken = [task for task in sent if task.steps]
        terms = log.terms[[task.number for task in taken]]
        assert_same("steps", terms[:, k.STEPS], np.array([t.steps for t in taken], np.int64))
        turns = [t for t in taken if t.turn or t.fate in (Fate.RUNNING, Fate.FINISHED)]
        at = log.terms[[t.number for t in turns]][:, k.TURN]
        assert_same("turn", at, np.array([t.turn for t in turns], np.int64))
    assert_same("paid", log.rewards, [task.paid for task in sim.tasks])
    assert_same("crashes", log.server_crashes, [server.crashes for server in sim.servers])
    assert log.illegal_actions == sim.illegal, f"illegal {log.illegal_actions}, {sim.illegal}"
    assert log.clock_ms == sim.now, f"clock {log.clock_ms}, oracle {sim.now}"


def assert_same_coordination(metrics: dict[str, float], sim: ReferenceSimulator) -> None:
    """How gateways have met so far, and how much of the servers was idle; on events nobody asks."""
    if not isinstance(sim, SlottedGame):
        assert not metrics.keys() & {"herding", "idle_share"}
        return
    servers = sum(not server.is_cloud for server in sim.servers)
    elapsed = servers * (sim.now - sim.tasks[0].ready)
    idle = sim.idle / elapsed if elapsed and metrics["tasks"] else math.nan
    herding = sim.herds / sim.slots if sim.slots else math.nan
    assert_same("idle share", np.float64(metrics["idle_share"]), np.float64(idle))
    assert_same("herding", np.float64(metrics["herding"]), np.float64(herding))


def done_of(sim: ReferenceSimulator) -> tuple[bool, bool]:
    """Terminated, truncated."""
    return sim.terminated, sim.truncated


def agree_single(episode: ExtendedEpisode) -> ReferenceSimulator:
    """`EdgeAIGC-v0` on one workload; returns the oracle at the end."""
    oracle = OracleEnv(episode.scenario)
    env: Any = gym.make("EdgeAIGC-v0", scenario=episode.scenario).unwrapped
    seen, info = env.reset(options={"workload": episode.workload})
    expected, expected_info = oracle.reset(episode.workload)
    step, over = 0, False
    while True:
        assert_same(f"observation {step}", seen, expected)
        assert_same(f"mask {step}", info["action_mask"], expected_info["action_mask"])
        assert info["agent_index"] == expected_info["agent_index"]
        assert_same_log(env.log(), oracle.sim)
        if over:
            return oracle.sim
        action = episode.choices[step % len(episode.choices)] % episode.scenario.num_actions
        seen, reward, terminated, truncated, info = env.step(action)
        expected, expected_reward, *ends, expected_info = oracle.step(action)
        assert_same(f"reward {step}", np.float64(reward), np.float64(expected_reward))
        assert [terminated, truncated] == ends
        over = terminated or truncated
        step += 1


def agree_vector(episode: ExtendedEpisode) -> None:
    """`make_vec`: one row per workload; those that are over rest until all are."""
    workloads, count = episode.workloads, len(episode.workloads)
    envs: Any = gym.make_vec(
        "EdgeAIGC-v0",
        num_envs=count,
        scenario=episode.scenario,
        autoreset_mode=AutoresetMode.DISABLED,
    )
    oracles = [OracleEnv(episode.scenario) for _ in workloads]
    seen, infos = envs.reset(options={"workloads": workloads})
    rows = [oracle.reset(workload) for oracle, workload in zip(oracles, workloads, strict=True)]
    step = 0
    while True:
        assert_same(f"observations {step}", seen, [row[0] for row in rows])
        assert_same(f"masks {step}", infos["action_mask"], [row[1]["action_mask"] for row in rows])
        if all(oracle.sim.over for oracle in oracles):
            break
        at = [episode.choices[(step + i) % len(episode.choices)] for i in range(count)]
        actions = [choice % episode.scenario.num_actions for choice in at]
        seen, rewards, terminated, truncated, infos = envs.step(np.array(actions))
        expected = np.zeros(count)
        for i, oracle in enumerate(oracles):
            if not oracle.sim.over:
                observation, expected[i], *_, info = oracle.step(actions[i])
                rows[i] = observation, info
        assert_same(f"rewards {step}", rewards, expected)
        ends = [done_of(oracle.sim) for oracle in oracles]
        assert list(zip(terminated, truncated, strict=True)) == ends
        step += 1
    for row, oracle in enumerate(oracles):
        assert_same_log(envs.log(row), oracle.sim)
    envs.close()


class OracleGame:
    """An oracle's game with what its gateways see, as arrays."""

    def __init__(self, scenario: Scenario, workload: Workload) -> None:
        game = SlottedGame if scenario.clock.slot_ms else EventGame
        self.sim = game(scenario, workload)
        self.sight = Sight(scenario)
        self.num_gateways = scenario.gateways.count
        self.nothing = scenario.num_actions

    def play(self, choices: list[int]) -> list[float]:
        """Take a step; return what each gateway gets."""
        return self.sim.play([self._choice(choice) for choice in choices])

    def _choice(self, number: int) -> Choice:
        return None if number == self.nothing else self.sim.choice_of(number)

    @property
    def seen(self) -> np.ndarray[Any, Any]:
        """What each gateway sees, (G, size)."""
        gateways = range(self.num_gateways)
        views = [self.sight.observation(self.sim, g, self.sim.waiting(g)) for g in gateways]
        return np.stack(views)

    @property
    def masks(self) -> np.ndarray[Any, Any]:
        """What each gateway may choose, (G, actions + 1)."""
        rows = []
        for gateway in range(self.num_gateways):
            waits = self.sim.waiting(gateway) is not None
            actions = self.sight.mask(self.sim, gateway) * waits
            rows.append([*actions.tolist(), int(not waits or self.sim.hold)])
        return np.array(rows, dtype=np.int8)


def choices_at(episode: ExtendedEpisode, step: int, game: OracleGame, row: int = 0) -> list[int]:
    """A choice of every gateway; those without a task mostly do nothing."""
    chosen = []
    for gateway in range(game.num_gateways):
        at = step * game.num_gateways + gateway + row
        choice = episode.choices[at % len(episode.choices)] % (game.nothing + 1)
        idle = game.sim.waiting(gateway) is None and at % 7
        chosen.append(game.nothing if idle else choice)
    return chosen


def agree_parallel(episode: ExtendedEpisode, most: int = MAX_STEPS) -> ReferenceSimulator:
    """`parallel_env` with own rewards on one workload; returns the oracle at the end."""
    env: Any = edge_aigc_v0.parallel_env(scenario=episode.scenario, reward="local")
    seen, infos = env.reset(options={"workload": episode.workload})
    game = OracleGame(episode.scenario, episode.workload)
    for step in range(most):
        assert_same(f"observations {step}", np.stack(list(seen.values())), game.seen)
        masks = np.stack([info["action_mask"] for info in infos.values()])
        assert_same(f"masks {step}", masks, game.masks)
        assert_same_log(env.log(), game.sim)
        assert_same_coordination(env.metrics(), game.sim)
        if game.sim.over:
            if step == 0:  # nobody ever decides, which the first step says
                env.step(dict.fromkeys(env.agents, game.nothing))
            assert not env.agents
            return game.sim
        choices = choices_at(episode, step, game)
        actions = dict(zip(env.agents, choices, strict=True))
        seen, rewards, terminations, truncations, infos = env.step(actions)
        expected = game.play(choices)
        assert_same(f"rewards {step}", np.array(list(rewards.values())), expected)
        assert set(terminations.values()) == {game.sim.terminated}
        assert set(truncations.values()) == {game.sim.truncated}
    raise AssertionError(f"no end after {most} steps")


def agree_rows(episode: ExtendedEpisode) -> None:
    """`EdgeAIGCRows` with team rewards: one environment per workload."""
    workloads, count = episode.workloads, len(episode.workloads)
    rows = EdgeAIGCRows(count, scenario=episode.scenario, autoreset_mode=AutoresetMode.DISABLED)
    seen, infos = rows.reset(options={"workloads": workloads})
    games = [OracleGame(episode.scenario, workload) for workload in workloads]
    for step in range(MAX_STEPS):
        assert_same(f"observations {step}", seen, [game.seen for game in games])
        assert_same(f"masks {step}", infos["action_mask"], [game.masks for game in games])
        if all(game.sim.over for game in games):
            break
        chosen = [choices_at(episode, step, game, row) for row, game in enumerate(games)]
        seen, rewards, terminated, truncated, infos = rows.step(np.array(chosen))
        expected = np.zeros((count, rows.num_gateways))
        for i, game in enumerate(games):
            if not game.sim.over:
                expected[i] = np.sum(game.play(chosen[i])) / rows.num_gateways
        assert_same(f"rewards {step}", rewards, expected)
        ends = [done_of(game.sim) for game in games]
        assert list(zip(terminated, truncated, strict=True)) == ends
    for row, game in enumerate(games):
        assert_same_log(rows.log(row), game.sim)
        assert_same_coordination(rows.metrics(row), game.sim)


@dataclass(frozen=True)
class Drive:
    """A way to play episodes, and which ones."""

    play: Callable[[ExtendedEpisode], object]
    recipe: Recipe

    def check(self, seed: int) -> None:
        """Play the episode of a seed; on a difference, find a simpler one that differs too."""
        try:
            self.play(replace(self.recipe, seed=seed).episode())
        except Exception:
            simple = simplest(replace(self.recipe, seed=seed), self._fails)
            episode = simple.episode()
            try:
                self.play(episode)
            except Exception as error:
                raise AssertionError(f"{error}\n{simple}\n{episode}") from error

    def _fails(self, recipe: Recipe) -> bool:
        try:
            self.play(recipe.episode())
        except Exception:
            return True
        return False


DRIVES = {
    "single": Drive(agree_single, Recipe(0)),
    "memory": Drive(agree_single, Recipe(0, always=("residency",), never=FOR_MEMORY)),
    "lines": Drive(agree_single, Recipe(0, always=("queue",), never=FOR_LINES, crowded=True)),
    "vector": Drive(agree_vector, Recipe(0, rows=NUM_ROWS)),
    "events": Drive(agree_parallel, Recipe(0)),
    "slots": Drive(agree_parallel, Recipe(0, slotted=True)),
    "base slots": Drive(agree_parallel, Recipe(0, slotted=True, never=PARTS)),
    "base sleep": Drive(
        agree_parallel, Recipe(0, slotted=True, always=("sleep",), never=BUT_SLEEP)
    ),
    "every part in slots": Drive(agree_parallel, Recipe(0, slotted=True, always=PARTS)),
    "rows": Drive(agree_rows, Recipe(0, slotted=True, rows=NUM_ROWS)),
}
"""Every environment, on the episodes that concern it."""
