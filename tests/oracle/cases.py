"""Small cases of every rule of the extended model, with numbers worked out by hand.

The oracle and the kernel may share a misreading of `docs/model/extended.md`; here both are held
against numbers that come from neither. Unless a case says otherwise, a server holds 10 steps, all
qualities are 1, the penalty is 2, and the horizon is at 1000 ms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import gymnasium as gym
import numpy as np
import pytest

from edge_marl import edge_aigc_v0
from edge_marl.kernel import world as k
from edge_marl.scenario import Scenario
from edge_marl.workload import Workload
from edge_marl.workload.topology import Topology
from tests.oracle.agreement import STATUS, OracleGame
from tests.oracle.reference_sim import Fate, OracleEnv

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


F = Fate
NOTHING = -1


class Row(NamedTuple):
    """A task: times in ms, sizes in kB."""

    arrival: int
    run_time: int
    demand: int = 1
    gateway: int = 0
    stage: int = 0
    after: int = 0
    deadline: int = 0
    load_time: int = 0
    upload: int = 0
    download: int = 0
    fails: int = 0


def case(
    rows: Sequence[Row],
    *,
    servers: int = 1,
    services: int = 1,
    gateways: int = 1,
    horizon: int = 1000,
    penalty: float = 2.0,
    loss_sum: str = "in-order",
    refund: bool = False,
    restart: int = 0,
    period: int = 0,
    slot: int = 0,
    hold: bool = False,
    sleeps: Sequence[tuple[int, int, int]] = (),
    weight: float = 0.0,
    residency: bool = False,
    outages: Sequence[tuple[int, int, int]] = (),
    cloud: dict[str, float] | None = None,
    network: dict[str, Any] | None = None,
    scales: dict[str, Any] | None = None,
    **arrays: Any,
) -> tuple[Scenario, Workload]:
    """A world of devices with one workload."""
    model = {"name": "model", "slowdown": 1.0}
    neighbours = arrays.get("neighbours")
    all_servers = servers + (cloud is not None)
    near = 0 if neighbours is None or len(neighbours[0]) == all_servers else len(neighbours[0])
    facts: dict[str, Any] = {
        "name": "by-hand",
        "version": 1,
        "summary": "worked out by hand",
        "servers": {
            "law": "devices",
            "count": servers,
            "devices": [{"name": "device", "capacity": [10]}],
            "models": [model] * services,
        },
        "tasks": {
            "types": 1,
            "demand": sorted({5, *(row.demand for row in rows)}),
            "run_time_minutes": [0.0, 0.0, max(200, *(row.run_time for row in rows)) / 60000],
            "stages": [1.0, 1.0, 1.0],
            "deadline_s": [0.1],
            "fail_share": 0.1,
            **(scales or {}),
        },
        "arrivals": {"rate_per_s": 1.0, "horizon_s": horizon / 1000},
        "gateways": {
            "count": gateways,
            "neighbourhood": near,
            "sleep": {"awake_s": 1.0, "asleep_s": 1.0} if sleeps else None,
        },
        "overload": {
            "penalty": penalty,
            "loss_sum": loss_sum,
            "refund": refund,
            "restart_s": restart / 1000,
        },
        "episode": {"end": "horizon"},
        "clock": {"slot_s": slot / 1000, "hold": hold},
        "telemetry": {"period_s": period / 1000},
        "energy": {"weight": weight},
        "cloud": cloud,
        "network": network,
        "outages": {"every_s": 1.0, "repair_s": 1.0} if outages else None,
    }
    if residency:
        facts["residency"] = {"load": [{"share": 1.0, "median_s": 1.0, "sd_log": 0.0}]}
    shape = all_servers, services
    given: dict[str, Any] = {
        "capacity": [10] * all_servers,
        "baseline": np.ones((*shape, 1)),
        "curve": np.tile([0.0, 0.0, 1.0, 0.0], (*shape, 1)),
        **{name: np.array(array) for name, array in arrays.items()},
    }
    tasks = [(row.arrival, row.run_time, row.demand, 0, row.gateway) for row in rows]
    details = [row[4:] for row in rows]
    failures = np.array(outages) if outages else None
    workload = Workload(
        Topology(**given),
        np.array(tasks),
        np.array(details),
        failures,
        sleeps=np.array(sleeps) if sleeps else None,
    )
    return Scenario.model_validate(facts), workload


def request(arrival: int, run_times: Sequence[int], **more: Any) -> list[Row]:
    """The rows of a request of several stages."""
    after = len(run_times) - 1
    return [
        Row(arrival, run_time, stage=stage, after=after - stage, **more)
        for stage, run_time in enumerate(run_times)
    ]


@dataclass
class Played:
    """What an episode gave; `seen` has one entry more than there are steps."""

    rewards: list[Any]
    seen: list[NDArray[np.float32]]
    status: list[int]
    ends: list[int]
    illegal: int
    crashes: list[int]


def on_oracle(scenario: Scenario, workload: Workload, actions: Sequence[int]) -> Played:
    env = OracleEnv(scenario)
    seen, rewards = [env.reset(workload)[0]], []
    for action in actions:
        observation, reward, *_ = env.step(action)
        seen.append(observation)
        rewards.append(reward)
    return played_of(env.sim, rewards, seen)


def played_of(sim: Any, rewards: list[Any], seen: list[Any]) -> Played:
    assert sim.over
    status = [STATUS[task.fate] for task in sim.tasks]
    ends = [task.end for task in sim.tasks]
    return Played(rewards, seen, status, ends, sim.illegal, [s.crashes for s in sim.servers])


def on_kernel(scenario: Scenario, workload: Workload, actions: Sequence[int]) -> Played:
    env: Any = gym.make("EdgeAIGC-v0", scenario=scenario).unwrapped
    seen, rewards = [env.reset(options={"workload": workload})[0]], []
    over = False
    for action in actions:
        observation, reward, terminated, over, _ = env.step(action)
        assert not terminated
        seen.append(observation)
        rewards.append(reward)
    assert over
    return of_log(env.log(), rewards, seen)


def of_log(log: Any, rewards: list[Any], seen: list[Any]) -> Played:
    status, ends = log.tasks[:, k.STATUS].tolist(), log.tasks[:, k.END].tolist()
    return Played(rewards, seen, status, ends, log.illegal_actions, log.server_crashes.tolist())


def game_on_oracle(scenario: Scenario, workload: Workload, choices: Any) -> Played:
    game = OracleGame(scenario, workload)
    seen, rewards = [game.seen], []
    for step in choices:
        rewards.append(game.play([game.nothing if c == NOTHING else c for c in step]))
        seen.append(game.seen)
    return played_of(game.sim, rewards, seen)


def game_on_kernel(scenario: Scenario, workload: Workload, choices: Any) -> Played:
    env: Any = edge_aigc_v0.parallel_env(scenario=scenario, reward="local")
    observations, _ = env.reset(options={"workload": workload})
    seen, rewards = [np.stack(list(observations.values()))], []
    for step in choices:
        chosen = [scenario.num_actions if c == NOTHING else c for c in step]
        observations, paid, *_ = env.step(dict(zip(env.agents, chosen, strict=True)))
        seen.append(np.stack(list(observations.values())))
        rewards.append(list(paid.values()))
    assert not env.agents
    return of_log(env.log(), rewards, seen)


class Sides(NamedTuple):
    """One of the two implementations."""

    play: Any
    game: Any


@pytest.fixture(params=["oracle", "kernel"])
def side(request: pytest.FixtureRequest) -> Sides:
    if request.param == "oracle":
        return Sides(on_oracle, game_on_oracle)
    return Sides(on_kernel, game_on_kernel)


def check(
    played: Played, rewards: Any, fates: Sequence[Fate] = (), ends: Sequence[int] = ()
) -> None:
    """Compare what was played with what comes out by hand."""
    np.testing.assert_allclose(played.rewards, rewards, rtol=0, atol=1e-12)
    if fates:
        assert played.status == [STATUS[fate] for fate in fates]
    if ends:
        assert played.ends == list(ends)


# Layout with one type: task 4, then 5 per server, then 4 per (server, service).
def server_part(seen: NDArray[np.float32], n: int) -> list[float]:
    part: list[float] = seen[4 + 5 * n : 9 + 5 * n].tolist()
    return part


# ------------------------------------------------------------ network, run time, value

NETWORK: dict[str, Any] = {"latency_ms": 10.0, "bandwidth_mbit": [8.0, 8.0]}
LINKS: dict[str, Any] = {
    "neighbours": [[0, 1]],
    "propagation": [[10, 30]],
    "us_per_kb": [[1000, 1500]],
}


# ------------------------------------------------------------ residency

MEMORY: dict[str, Any] = {
    "residency": True,
    "services": 3,
    "memory": [5],
    "model_memory": [2, 2, 3],
}


# ------------------------------------------------------------ stages

QUALITIES: dict[str, Any] = {"servers": 2, "baseline": [[[0.25]], [[1.0]]]}
