"""One cell's work, in this process."""

from collections.abc import Callable
from dataclasses import fields, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_marl.agents import Agent, make
from edge_marl.agents.play import play
from edge_marl.agents.training import run_folder
from edge_marl.agents.training.selection import Evaluation
from edge_marl.benchmarks.plan.cells import Anchors, Cell
from edge_marl.benchmarks.plan.sources import agent_code, code_digest
from edge_marl.benchmarks.records.records import CurvePoint, Load, Record, without_clock
from edge_marl.benchmarks.run.evaluation import (
    LOAD_INTERVALS,
    decision_latency_us,
    draw_test_workloads,
    evaluate,
    load_over_time,
)
from edge_marl.benchmarks.run.task import Task
from edge_marl.benchmarks.run.worker import execute
from edge_marl.draw import draw_workload
from edge_marl.kernel import world as k
from edge_marl.scenario import load_scenario
from edge_marl.scenario.section import MAX_TIME_MS
from tests.worlds.fakes import PROVENANCE, SMOKE

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
    code = agent_code(agent)
    return Cell(scenario=SMOKE, episodes=3, code=code, agent=agent, seed=seed, budget=budget)


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


def test_a_training_that_was_killed_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_folder, "KEPT_EVERY_S", -1.0)
    job = cell("reinforce", budget=640)
    (tmp_path / "trainings").mkdir()
    task = Task(job=job, state=tmp_path / "trainings" / "one")
    seen: list[tuple[str, int]] = []

    def stop_half_way(phase: str, done: int, total: int, value: float | None) -> None:
        if done >= 320:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        execute(task, stop_half_way)
    outcome = execute(task, lambda phase, done, *rest: seen.append((phase, done)))
    assert seen[0][1] > 320
    whole = without_clock(record(job, execute(Task(job=job), no_report)))
    assert without_clock(record(job, outcome)) == whole


def test_anchors_are_those_of_the_workloads() -> None:
    job = Anchors(scenario=SMOKE, episodes=2, code=code_digest())
    anchors = record(job, execute(Task(job=job), no_report)).anchors
    assert anchors is not None
    workloads = draw_test_workloads(SMOKE, 2)
    assert [values.workload for values in anchors] == [workload.digest for workload in workloads]
    best = [m["utility"] for m in evaluate(heuristic("prophet"), SMOKE, workloads, 0)]
    assert (np.array([values.bound for values in anchors]) >= best).all()
    assert all(values.random < values.bound for values in anchors)


def test_a_job_planned_with_other_sources_is_refused(tmp_path: Path) -> None:
    own = tmp_path / "own.py"
    own.write_text(STUDENT)
    job = cell(f"{own}:Student", budget=400)
    own.write_text(STUDENT + "# edited while the run is going on\n")
    for planned in (job, Anchors(scenario=SMOKE, episodes=1, code="0" * 64)):
        failure = record(planned, execute(Task(job=planned), no_report)).failure
        assert failure is not None
        assert f"planned with sources {planned.code[:12]}" in failure.reason


def test_an_undefined_metric_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    from edge_marl.agents import play as playing

    def played(*arguments: Any) -> playing.Played:
        metrics = [{"utility": 1.0, "latency_p95_s": float("nan")}] * 3
        return replace(play(*arguments), metrics=metrics)

    play = playing.play
    monkeypatch.setattr(playing, "play", played)
    job = cell("prophet")
    found = record(job, execute(Task(job=job), no_report))
    assert found.result is not None
    assert found.result.episodes[0].metrics == {"utility": 1.0, "latency_p95_s": None}


def test_a_cell_is_judged_on_the_workloads_that_it_names() -> None:
    job = cell("prophet").model_copy(update={"split": "validation", "first": 5})
    anchors = Anchors(scenario=SMOKE, split="validation", first=5, episodes=3, code=code_digest())
    found = record(job, execute(Task(job=job), no_report)).result
    ends = record(anchors, execute(Task(job=anchors), no_report)).anchors
    assert found is not None
    assert ends is not None
    drawn = [draw_workload(SMOKE, number, split="validation").digest for number in (5, 6, 7)]
    assert [episode.workload for episode in found.episodes] == drawn
    assert [values.workload for values in ends] == drawn


def test_a_result_says_how_many_actions_the_agent_took() -> None:
    for agent in ("round-robin", "prophet"):
        job = cell(agent)
        found = record(job, execute(Task(job=job), no_report)).result
        played = play(heuristic(agent), SMOKE, draw_test_workloads(SMOKE, 3), seed=0)
        assert found is not None
        assert found.distinct_actions == len(played.actions) > 1


def test_a_point_of_a_curve_is_an_evaluation_of_the_training() -> None:
    assert list(CurvePoint.model_fields) == [field.name for field in fields(Evaluation)]


def test_a_learner_keeps_its_curve_and_every_agent_its_load() -> None:
    for job, points in ((cell("reinforce", budget=640), 10), (cell("prophet"), 0)):
        found = record(job, execute(Task(job=job), no_report)).result
        assert found is not None
        assert len(found.curve) == points
        assert [point.decisions for point in found.curve] == [64 * (i + 1) for i in range(points)]
        first = found.episodes[0].metrics
        assert np.mean(found.load.share) == pytest.approx(first["utilisation"], rel=0.01)
        assert sum(found.load.crashes) == first["server_crashes"]


@pytest.mark.parametrize(
    "tier", ["smoke", "paper", "campus@1", "campus@2", "metro@1", "metro@2", "studio@2"]
)
def test_the_load_over_time_adds_up_to_the_utilisation(tier: str) -> None:
    # On `metro` with a cloud and restarts; version 2 has lines and levels, `campus@2` says no too.
    scenario = load_scenario(tier)
    made = make("random", scenario)
    assert isinstance(made, Agent)
    played = play(made, scenario, draw_test_workloads(scenario, 1), seed=0)
    found = load_over_time(played.first)
    lengths = np.diff(np.concatenate([[0.0], np.array(found.time_s)]))  # equal to a millisecond
    assert lengths[1:] == pytest.approx(lengths[1], abs=0.0011)
    assert np.mean(found.share) == pytest.approx(played.metrics[0]["utilisation"], rel=1e-4)
    assert sum(found.crashes) == played.metrics[0]["server_crashes"]
    assert max(found.share) <= 1.0


def test_the_load_of_one_task_is_its_demand_while_it_runs() -> None:
    scenario = load_scenario("smoke")
    made = make("prophet", scenario)
    assert isinstance(made, Agent)
    log = play(made, scenario, draw_test_workloads(scenario, 1), seed=0).first
    alone = log.tasks[:1].copy()
    alone[0, [k.ARRIVAL, k.START, k.END, k.DEMAND, k.STATUS]] = 1000, 2000, 5000, 6, k.ADMITTED
    alone[0, k.PLACE] = 0
    one = replace(log, tasks=alone, num_shown=1, clock_ms=9000, capacity=np.array([8, 4]))
    found = load_over_time(one, intervals=4)
    assert found == Load(
        time_s=(1.0, 3.0, 5.0, 7.0), share=(0.25, 0.5, 0.0, 0.0), crashes=(0, 0, 0, 0)
    )
    alone[0, k.STATUS] = k.REFUSED
    assert load_over_time(one, intervals=4) == Load(
        time_s=(1.0, 3.0, 5.0, 7.0), share=(0.0,) * 4, crashes=(0, 0, 1, 0)
    )
    assert load_over_time(replace(one, clock_ms=1000)) == Load()


def test_the_load_of_the_largest_episode_overflows_nothing() -> None:
    scenario = load_scenario("smoke")
    made = make("prophet", scenario)
    assert isinstance(made, Agent)
    log = play(made, scenario, draw_test_workloads(scenario, 1), seed=0).first
    tasks = log.tasks[:2].copy()
    end, demand = MAX_TIME_MS - 1, 2**31 - 1
    tasks[:, [k.ARRIVAL, k.START, k.END, k.DEMAND, k.STATUS]] = 0, 0, end, demand, k.ADMITTED
    tasks[:, k.PLACE] = 0
    whole = replace(
        log, tasks=tasks, num_shown=2, clock_ms=end, capacity=np.array([3 * demand, 2 * demand])
    )
    assert load_over_time(whole).share == (0.4,) * LOAD_INTERVALS
