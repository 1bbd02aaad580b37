"""One cell's work, in this process."""

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_marl.agents import Agent, make
from edge_marl.benchmarks.cells import Anchors, Cell
from edge_marl.benchmarks.evaluation import decision_latency_us, draw_test_workloads, evaluate
from edge_marl.benchmarks.records import Record
from edge_marl.benchmarks.worker import Task, execute
from tests.benchmarks.fakes import PROVENANCE, SMOKE

STUDENT = '''
from edge_marl.agents import Trainer, TrainProgress, make

class Student(Trainer):
    """Learns nothing, but tells how far it is."""

    settings = {"rate": 0.5}

    def __init__(self, scenario):
        pass

    def train(self, scenario, budget, seed, progress=lambda now: None):
        progress(TrainProgress(0, budget, updates=0, utility_per_task=0.25, mean_return=None))
        progress(TrainProgress(budget, budget, updates=7, utility_per_task=1.25, mean_return=75.0))
        return make("random", scenario)
'''


def cell(agent: str, seed: int = 0, budget: int | None = None) -> Cell:
    return Cell(scenario=SMOKE, episodes=3, code="", agent=agent, seed=seed, budget=budget)


def no_report(phase: str, done: int, total: int, value: float | None) -> None:
    pass


def record(job: Cell | Anchors, outcome: dict[str, Any]) -> Record:
    outcome.pop("agent", None)
    return Record.model_validate({"job": job, "provenance": PROVENANCE, **outcome})


def heuristic(name: str) -> Agent:
    made = make(name, SMOKE)
    assert isinstance(made, Agent)
    return made


@pytest.mark.parametrize("agent", ["random", "round-robin", "prophet"])
def test_episodes_side_by_side_are_the_episodes_one_by_one(agent: str) -> None:
    workloads = draw_test_workloads(SMOKE, 3)
    together = evaluate(heuristic(agent), SMOKE, workloads, seed=5)
    assert together[0] == evaluate(heuristic(agent), SMOKE, workloads[:1], seed=5)[0]
    assert evaluate(heuristic(agent), SMOKE, workloads, seed=5) == together


def test_the_seed_is_the_agents_and_the_workloads_stay() -> None:
    workloads = draw_test_workloads(SMOKE, 3)
    first, second = (evaluate(heuristic("random"), SMOKE, workloads, seed) for seed in (0, 1))
    assert first != second
    assert [m["tasks"] for m in first] == [w.num_tasks for w in workloads]
    assert [m["tasks"] for m in first] == [m["tasks"] for m in second]


def test_progress_counts_finished_episodes() -> None:
    seen: list[int] = []
    evaluate(heuristic("prophet"), SMOKE, draw_test_workloads(SMOKE, 3), 0, seen.append)
    assert seen[-1] == 3
    assert seen == sorted(set(seen))


def ticking(step_ns: int) -> Callable[[], int]:
    ticks = count(0, step_ns)
    return lambda: next(ticks)


def test_decision_latency_is_the_median_of_single_decisions() -> None:
    workloads = draw_test_workloads(SMOKE, 8)
    agent = heuristic("prophet")
    assert decision_latency_us(agent, SMOKE, workloads, 0, ticking(2500)) == 2.5
    # Few decisions in all: still a figure.
    assert decision_latency_us(agent, SMOKE, workloads[:1], 0, ticking(4000)) == 4.0


def test_a_trainer_is_trained_on_the_cells_budget(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(STUDENT)
    seen = []
    job = cell(f"{tmp_path}/own.py:Student", budget=400)
    found = record(job, execute(Task(job=job), lambda *state: seen.append(state)))
    assert found.result is not None
    assert found.result.settings == {"rate": 0.5}
    assert seen[:2] == [("train", 0, 400, 0.25), ("train", 400, 400, 1.25)]
    assert seen[-1] == ("evaluate", 3, 3, None)


def test_a_trainer_without_a_budget_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(STUDENT)
    job = cell(f"{tmp_path}/own.py:Student")
    failure = record(job, execute(Task(job=job), no_report)).failure
    assert failure is not None
    assert "no budget" in failure.reason


def test_anchors_are_those_of_the_workloads() -> None:
    job = Anchors(scenario=SMOKE, episodes=2, code="")
    anchors = record(job, execute(Task(job=job), no_report)).anchors
    assert anchors is not None
    workloads = draw_test_workloads(SMOKE, 2)
    assert [values.workload for values in anchors] == [workload.digest for workload in workloads]
    best = [m["utility"] for m in evaluate(heuristic("prophet"), SMOKE, workloads, 0)]
    assert (np.array([values.bound for values in anchors]) >= best).all()
    assert all(values.random < values.bound for values in anchors)


def test_an_undefined_metric_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    from edge_marl.benchmarks import evaluation

    def evaluated(*_: object) -> list[dict[str, float]]:
        return [{"utility": 1.0, "latency_p95_s": float("nan")}] * 3

    monkeypatch.setattr(evaluation, "evaluate", evaluated)
    job = cell("prophet")
    found = record(job, execute(Task(job=job), no_report))
    assert found.result is not None
    assert found.result.episodes[0].metrics == {"utility": 1.0, "latency_p95_s": None}
