"""The process of one job: reads the job, answers on a pipe, and ends with its parent.

Started as `python -m edge_marl.benchmarks.worker` by `runner.py`. Standard input brings the job as
one line of JSON and then stays open: its end means that the parent is gone. Answers are lines of
JSON on what was standard output, which is moved out of the way first, so that an agent's own
`print` ends up on standard error instead of in the middle of an answer.
"""

from __future__ import annotations

import json
import math
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from edge_marl.benchmarks.cells import Anchors, Cell, Job
from edge_marl.benchmarks.records import (
    AnchorValues,
    CellResult,
    CurvePoint,
    EpisodeResult,
    Failure,
)

if TYPE_CHECKING:
    from edge_marl.agents import Agent, Trainer, TrainProgress

__all__ = ["execute", "main"]

Report = Callable[[str, int, int, float | None], None]
"""Takes (phase, steps done, steps in all, utility per task so far or None)."""


def main() -> None:
    """Do the job that standard input brings."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    job: Cell | Anchors = TypeAdapter(Job).validate_json(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()

    def answer(facts: dict[str, Any]) -> None:
        answers.write(json.dumps(facts) + "\n")

    answer(execute(job, _Throttled(answer)))


def execute(job: Cell | Anchors, report: Report) -> dict[str, Any]:
    """Do a job and return its outcome, as fields of a `Record`; a failure is an outcome too."""
    try:
        if isinstance(job, Cell):
            return {"result": _run_cell(job, report).model_dump(mode="json")}
        return {"anchors": [values.model_dump(mode="json") for values in _anchors(job, report)]}
    except Exception as error:  # whatever an agent does wrong is its cell's failure, not the run's
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        return {"failure": Failure(reason=reason, traceback=traceback.format_exc()).model_dump()}


def _run_cell(cell: Cell, report: Report) -> CellResult:
    # Imported here, not above: this takes a second, in which the parent may go.
    from edge_marl.agents import Trainer, make
    from edge_marl.agents.playing import play
    from edge_marl.benchmarks import evaluation

    start = time.perf_counter()
    made = make(cell.agent, cell.scenario)
    agent, curve = _train(made, cell, report) if isinstance(made, Trainer) else (made, ())
    trained = time.perf_counter()
    workloads = evaluation.draw_test_workloads(cell.scenario, cell.episodes)
    played = play(
        agent,
        cell.scenario,
        workloads,
        cell.seed,
        lambda finished: report("evaluate", finished, cell.episodes, None),
        cell.api,
    )
    evaluated = time.perf_counter()
    return CellResult(
        episodes=tuple(
            EpisodeResult(workload=workload.digest, metrics=_defined(values))
            for workload, values in zip(workloads, played.metrics, strict=True)
        ),
        settings=made.settings,
        decision_latency_us=evaluation.decision_latency_us(
            agent, cell.scenario, workloads, cell.seed
        ),
        train_s=trained - start,
        evaluate_s=evaluated - trained,
        curve=curve,
        load=evaluation.load_over_time(played.first),
    )


def _train(trainer: Trainer, cell: Cell, report: Report) -> tuple[Agent, tuple[CurvePoint, ...]]:
    """Return the trained agent and its learning curve, which only our own trainers have."""
    from edge_marl.agents.trainer import LearningTrainer

    budget = cell.budget
    if budget is None:
        raise ValueError(f"agent '{cell.agent}' learns, but its cell has no budget")

    def progress(now: TrainProgress) -> None:
        report("train", now.decisions, budget, now.utility_per_task)

    if isinstance(trainer, LearningTrainer):
        selection = trainer.select(cell.scenario, budget, cell.seed, progress)
        return selection.best, tuple(
            CurvePoint.model_validate(_defined(point)) for point in selection.curve_facts
        )
    return trainer.train(cell.scenario, budget, cell.seed, progress), ()


def _anchors(job: Anchors, report: Report) -> list[AnchorValues]:
    from edge_marl import bound
    from edge_marl.benchmarks import evaluation

    values = []
    workloads = evaluation.draw_test_workloads(job.scenario, job.episodes)
    for done, workload in enumerate(workloads):
        report("bound", done, len(workloads), None)
        anchors = bound.anchors(job.scenario, [workload])
        values.append(
            AnchorValues(
                workload=workload.digest,
                random=float(anchors.random[0]),
                bound=float(anchors.bound[0]),
            )
        )
    return values


def _defined(metrics: dict[str, float]) -> dict[str, float | None]:
    """Turn NaN, a metric without a value in this episode, into None: JSON has no NaN."""
    return {name: None if math.isnan(value) else value for name, value in metrics.items()}


class _Throttled:
    """Sends reports on, at most ten a second, so that they cost an agent's training nothing."""

    def __init__(self, answer: Callable[[dict[str, Any]], None]) -> None:
        self._answer = answer
        self._last = -1.0

    def __call__(self, phase: str, done: int, total: int, value: float | None) -> None:
        now = time.monotonic()
        if now - self._last >= 0.1:
            self._last = now
            self._answer({"progress": [phase, done, total, value]})


def _end_with_parent() -> None:
    """Wait for the end of standard input, which comes when the parent is gone, and end."""
    while os.read(0, 1024):
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
