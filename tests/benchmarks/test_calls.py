"""`edge_marl.evaluate`, `train` and `compare`: the commands' figures, as tables of pandas."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edge_marl
from edge_marl.agents import Agent, make
from edge_marl.agents.play import play
from edge_marl.benchmarks.report.stats import difference, probability_of_improvement
from edge_marl.draw import draw_workload
from edge_marl.errors import AgentError, EdgeMarlError, WorkloadError
from edge_marl.metrics import METRICS
from edge_marl.scenario import load_scenario

SMOKE = load_scenario("smoke")
WORKLOADS = [draw_workload(SMOKE, number, split="test") for number in range(3)]


def played(name: str, seed: int, metric: str = "utility_per_task") -> list[float]:
    agent = make(name, SMOKE)
    assert isinstance(agent, Agent)
    return [episode[metric] for episode in play(agent, SMOKE, WORKLOADS, seed).metrics]


def test_a_row_per_seed_and_workload() -> None:
    found = edge_marl.evaluate("random", "smoke", workloads=3, seeds=(0, 4))
    assert list(found["seed"]) == [0, 0, 0, 4, 4, 4]
    assert list(found["workload"]) == [0, 1, 2, 0, 1, 2]
    assert set(found["agent"]) == {"random"}
    assert set(found["scenario"]) == {"smoke"}
    assert METRICS.keys() >= set(found.columns[5:]) >= {"utility", "lost_fraction"}
    for seed, rows in found.groupby("seed"):
        assert list(rows["utility_per_task"]) == played("random", seed)


def test_workloads_and_agents_of_ones_own() -> None:
    agent = make("crash-avoid", SMOKE)
    found = edge_marl.evaluate(agent, workloads=WORKLOADS[1:])  # type: ignore[arg-type]
    assert list(found["utility"]) == played("crash-avoid", 0, "utility")[1:]
    game = edge_marl.evaluate("crash-avoid", "smoke-game", workloads=1)
    assert list(game["api"]) == ["parallel"]


def test_what_was_trained_can_be_kept_and_gone_on_with(tmp_path: Path) -> None:
    settings = {"hidden": [16], "num_envs": 8}
    seen: list[Any] = []
    one = edge_marl.train(
        "sac", "smoke", budget=300, seed=3, settings=settings, progress=seen.append
    )
    assert seen[-1].decisions >= 296
    twice = [
        edge_marl.train("sac", "smoke", budget=300, seed=3, settings=settings, out=tmp_path / "sac")
        for _ in range(2)
    ]
    folder = tmp_path / "sac" / "agent"
    agents: list[Any] = [one, *twice, str(folder)]
    frames = [edge_marl.evaluate(agent, workloads=WORKLOADS) for agent in agents]
    assert all(frame.equals(frames[0]) for frame in frames)


def test_pairs_are_compared_on_common_workloads() -> None:
    prophet, lots = (
        np.array([played("prophet", 0)]),
        np.array([played("random", seed) for seed in (0, 1)]),
    )
    found = edge_marl.compare(["prophet", "random"], "smoke", workloads=3, draws=2)
    assert len(found) == 1
    row = found.iloc[0]
    assert (row["agent"], row["other"], row["workloads"]) == ("prophet", "random", 3)
    assert row["mean"] - row["other_mean"] == pytest.approx(row["difference"])
    for name, expected in (
        ("difference", difference(prophet, lots)),
        ("higher", probability_of_improvement(prophet, lots)),
    ):
        told = (row[name], row[f"{name}_low"], row[f"{name}_high"])
        assert told == (expected.value, expected.low, expected.high)


def test_runs_of_one_agent_are_a_list() -> None:
    """Run i is played with seed i, so twice `random` is what its two seeds are."""
    twice: dict[str, Any] = {"twice": ["random", "random"], "prophet": "prophet"}
    runs = edge_marl.compare(twice, "smoke", workloads=3)
    draws = edge_marl.compare({**twice, "twice": "random"}, "smoke", workloads=3, draws=2)
    assert runs.equals(draws)


UNTYPED: Any = edge_marl
"""For calls that a type checker would refuse: a notebook has none."""


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: edge_marl.evaluate("ppo", "smoke"),
            r"learn first.*train\('ppo', budget=48_000\)",
        ),
        (lambda: edge_marl.evaluate("randon", "smoke"), "did you mean 'random'"),
        (lambda: edge_marl.evaluate("random", "smoke", workloads=0), "give at least one"),
        (lambda: UNTYPED.evaluate("random", "smoke", workloads="3"), "give how many, such as 20"),
        (lambda: UNTYPED.evaluate("random", "smoke", workloads=3.0), "workloads = 3.0: give how"),
        (lambda: UNTYPED.evaluate("random", "smoke", seeds=3), r"seeds = 3: .* range\(5\)"),
        (lambda: UNTYPED.evaluate(["random"], "smoke"), "give an agent, a name"),
        (
            lambda: UNTYPED.train("adsac", "smoke", budget="9"),
            "must be a whole number of decisions",
        ),
        (lambda: edge_marl.compare("random", "smoke"), "agents = 'random': give a list"),
        (lambda: edge_marl.evaluate("random", "smoke", workloads=101), "has the seeds 0..99"),
        (lambda: edge_marl.evaluate("random", "paper", workloads=WORKLOADS), "the workload has"),
        (lambda: edge_marl.evaluate("random", "smoke", seeds=(), workloads=1), "no seed is given"),
        (lambda: edge_marl.train("prophet", "smoke", budget=9), "'prophet' does not learn"),
        (lambda: edge_marl.compare(["random"], "smoke"), "1 agents to compare: give at least two"),
        (lambda: edge_marl.compare(["random", "random"], "smoke"), "give them names of their own"),
        (
            lambda: edge_marl.compare(["random", "prophet"], "smoke", metric="utilty"),
            "did you mean 'utility'",
        ),
    ],
)
def test_bad_input_is_one_message(call: Any, message: str) -> None:
    with pytest.raises(EdgeMarlError, match=message) as raised:
        call()
    assert raised.type in (AgentError, WorkloadError)
