"""Plans, records and folders made by hand, for tests that need no run."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edge_marl.benchmarks.plan.cells import AgentEntry, Anchors, Arena, Cell, Plan
from edge_marl.benchmarks.records.records import (
    AnchorValues,
    CellResult,
    CurvePoint,
    EpisodeResult,
    Failure,
    Hardware,
    Load,
    Provenance,
    Record,
    write_plan,
    write_record,
)
from edge_marl.benchmarks.report.columns import PRICE, SCORE, columns_of
from edge_marl.scenario import load_scenario

EPISODES = 4
SMOKE = load_scenario("smoke")
ARENA = Arena(scenario=SMOKE)
PROVENANCE = Provenance(
    started="2026-01-01T00:00:00+00:00",
    wall_s=1.0,
    cpu_s=1.0,
    energy_j=None,
    threads=1,
    hardware=Hardware(cpu="", cores=1, memory_gb=None, system=""),
    versions={},
    commit=None,
)
HEURISTIC = AgentEntry(agent="greedy", learns=False, deterministic=True, code="1")
LEARNER = AgentEntry(agent="student", learns=True, deterministic=False, code="1")


def plan(*agents: AgentEntry, seeds: int = 2) -> Plan:
    return Plan(
        name="fake",
        arenas=(ARENA,),
        agents=agents or (HEURISTIC, LEARNER),
        seeds=seeds,
        episodes=EPISODES,
        budget=1000,
        code="1",
    )


def cell_record(cell: Cell, level: float, **metrics: float | None) -> Record:
    """A record whose utility on workload k is `level` + k, of anchors 0 and 100."""
    episodes = []
    for k in range(cell.episodes):
        values: dict[str, float | None] = {
            column.name: 0.01 * (k + 1)
            for column in columns_of(cell.scenario)
            if column.name not in (SCORE, PRICE)
        }
        values |= {"utility": level + k, "utility_per_task": (level + k) / 60, **metrics}
        episodes.append(EpisodeResult(workload=f"w{k}", metrics=values))
    result = CellResult(
        episodes=tuple(episodes),
        distinct_actions=1 + cell.seed,
        settings={},
        decision_latency_us=10.0 + cell.seed,
        train_s=0.0,
        evaluate_s=1.0,
    )
    return Record(job=cell, result=result, provenance=PROVENANCE)


def with_lines(record: Record) -> Record:
    """The same with a load and, of a learner, a curve of two points."""
    assert isinstance(record.job, Cell)
    assert record.result is not None
    points = range(2) if record.job.budget else ()
    curve = tuple(
        CurvePoint(
            decisions=500 * (i + 1),
            updates=i,
            training_utility_per_task=0.5,
            utility=30.0 + i,
            utility_per_task=0.5 + i + record.job.seed,
            server_crash_rate=0.1,
            distinct_actions=3,
        )
        for i in points
    )
    load = Load(time_s=(30.0, 90.0), share=(0.5, 0.25), crashes=(0, 1))
    result = record.result.model_copy(update={"curve": curve, "load": load})
    return record.model_copy(update={"result": result})


def anchors_record(anchors: Anchors) -> Record:
    values = tuple(
        AnchorValues(workload=f"w{k}", random=0.0, bound=100.0) for k in range(anchors.episodes)
    )
    return Record(job=anchors, anchors=values, provenance=PROVENANCE)


def failure_record(job: Cell | Anchors) -> Record:
    failure = Failure(reason="ValueError: no luck", traceback="Traceback ...")
    return Record(job=job, failure=failure, provenance=PROVENANCE)


def make_run(folder: Path, what: Plan, levels: dict[str, float]) -> None:
    """Write a run's plan and records; an agent that `levels` does not name has failed."""
    write_plan(folder, what)
    for job in what.jobs():
        if isinstance(job, Anchors):
            record = anchors_record(job)
        elif job.agent in levels:
            record = cell_record(job, levels[job.agent] + job.seed)
        else:
            record = failure_record(job)
        write_record(folder, record)


def scores(level: float, seeds: int) -> np.ndarray:
    return (level + np.arange(seeds)[:, None] + np.arange(EPISODES)) / 100
