"""The process of one job: reads the job, answers on a pipe, and ends with its parent.

Started as `python -m edge_marl.benchmarks.run.worker` by `executors.py`. Standard input brings the
job as one line of JSON (a `Task`) and then stays open: its end means that the parent is gone.
Answers are lines of JSON on standard output. Both are moved out of the way first: an agent's own
`print` ends up on standard error instead of in the middle of an answer, and its `input` finds
nothing to read instead of waiting for ever.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import tempfile
import threading
import time
import traceback
from bdb import BdbQuit
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_marl.benchmarks.plan.cells import Anchors, Cell
from edge_marl.benchmarks.plan.sources import code_now
from edge_marl.benchmarks.records.provenance import Meter, processor_s
from edge_marl.benchmarks.records.records import (
    AnchorValues,
    CellResult,
    CurvePoint,
    EpisodeResult,
    Failure,
)
from edge_marl.benchmarks.run import kept_agents
from edge_marl.benchmarks.run.task import Report, Task
from edge_marl.errors import AgentError, RecordError

if TYPE_CHECKING:
    from edge_marl.agents import Agent, Trainer, TrainProgress
    from edge_marl.agents.training.run_folder import RunFolder
    from edge_marl.agents.training.selection import Selection
    from edge_marl.agents.training.trainer import LearningTrainer
    from edge_marl.scenario import Scenario

    Curve = tuple[CurvePoint, ...]

__all__ = ["execute", "main"]

NO_TERMINAL = (
    " (an agent of a run has no terminal: take out input() or breakpoint(), or use them with "
    "`edge-marl evaluate` or `edge-marl train`)"
)


def main() -> None:
    """Do the job that standard input brings."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    jobs = os.dup(0)
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    with open(jobs, "rb", closefd=False) as lines:
        task = Task.model_validate_json(lines.readline())
    meter = Meter(task.threads)
    threading.Thread(target=_end_with_parent, args=[jobs], daemon=True).start()

    def answer(facts: dict[str, Any]) -> None:
        answers.write(json.dumps(facts) + "\n")

    outcome = execute(task, _Throttled(answer))
    answer({**outcome, "provenance": meter.read().model_dump(mode="json")})


def execute(task: Task, report: Report) -> dict[str, Any]:
    """Do a job and return its outcome: fields of a `Record`, and `agent`, its files if it has any.

    A failure is an outcome too.
    """
    job = task.job
    try:
        _check_code(job)
        if isinstance(job, Cell):
            return _run_cell(job, task, report)
        return {"anchors": [values.model_dump(mode="json") for values in _anchors(job, report)]}
    except Exception as error:  # whatever an agent does wrong is its cell's failure, not the run's
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        if isinstance(error.__cause__ or error, BdbQuit | EOFError):
            reason += NO_TERMINAL
        return {"failure": Failure(reason=reason, traceback=traceback.format_exc()).model_dump()}


def _check_code(job: Cell | Anchors) -> None:
    """Refuse a job that was planned with other sources: its record would say what is not so.

    They were edited while the run was going on, or another machine has another version.
    """
    if (code := code_now(job)) != job.code:
        raise RecordError(
            f"planned with sources {job.code[:12]}, but here they are {code[:12]}: start the run "
            "again, with the same sources on every machine"
        )


def _run_cell(cell: Cell, task: Task, report: Report) -> dict[str, Any]:
    # Imported here, not above: this takes a second, in which the parent may go.
    from edge_marl.agents import Trainer, make
    from edge_marl.agents.play import play
    from edge_marl.agents.training.settings_text import configure, parse_spec
    from edge_marl.benchmarks.run import evaluation

    start, used = time.perf_counter(), processor_s()
    name, settings = parse_spec(cell.agent)
    made = make(name, cell.train_on or cell.scenario)
    configure(made, settings)
    agent, curve, files = (
        _trained(made, cell, task, report) if isinstance(made, Trainer) else (made, (), None)
    )
    trained, used = time.perf_counter(), processor_s() - used
    workloads = evaluation.draw_workloads(cell.scenario, cell.split, cell.first, cell.episodes)
    played = play(
        agent,
        cell.scenario,
        workloads,
        cell.seed,
        lambda finished: report("evaluate", finished, cell.episodes, None),
        cell.api,
    )
    evaluated = time.perf_counter()
    result = CellResult(
        episodes=tuple(
            EpisodeResult(workload=workload.digest, metrics=_defined(values))
            for workload, values in zip(workloads, played.metrics, strict=True)
        ),
        distinct_actions=len(played.actions),
        settings=made.settings,
        decision_latency_us=evaluation.decision_latency_us(
            agent, cell.scenario, workloads, cell.seed
        ),
        train_s=trained - start if task.agent is None else 0.0,
        train_cpu_s=used if task.agent is None else 0.0,
        evaluate_s=evaluated - trained,
        curve=curve,
        load=evaluation.load_over_time(played.first),
    )
    return {"result": result.model_dump(mode="json"), "agent": files}


def _trained(
    trainer: Trainer, cell: Cell, task: Task, report: Report
) -> tuple[Agent, Curve, kept_agents.Files | None]:
    """Return the agent, made for the cell's scenario, its curve, and its files if it can be saved.

    An agent that another cell has trained brings no curve: that cell's record has it.
    """
    if task.agent is not None:
        return _loaded(trainer, task.agent, cell.scenario), (), task.agent
    agent, curve = _train(trainer, cell, task.state, report)
    try:
        files = kept_agents.pack(agent)
    except NotImplementedError:  # a user's agent that cannot be saved
        files = None
    if cell.train_on is not None:
        if files is None:
            raise AgentError(f"agent '{cell.name}' cannot be saved, so it cannot be transferred")
        agent = _loaded(trainer, files, cell.scenario)
    return agent, curve, files


def _loaded(trainer: Trainer, files: kept_agents.Files, scenario: Scenario) -> Agent:
    with tempfile.TemporaryDirectory() as folder:
        kept_agents.unpack(files, Path(folder))
        return type(trainer).load(folder, scenario, transfer=True)


def _train(trainer: Trainer, cell: Cell, state: Path | None, report: Report) -> tuple[Agent, Curve]:
    """Return the trained agent and its learning curve, which only our own trainers have."""
    from edge_marl.agents.training.trainer import LearningTrainer

    budget = cell.budget
    if budget is None:
        raise ValueError(f"agent '{cell.name}' learns, but its cell has no budget")

    def progress(now: TrainProgress) -> None:
        report("train", now.decisions, budget, now.utility_per_task)

    where = cell.train_on or cell.scenario
    if not isinstance(trainer, LearningTrainer):
        return trainer.train(where, budget, cell.seed, progress), ()
    if state is None or not state.parents[1].is_dir():
        selection = trainer.select(where, budget, cell.seed, progress)
        return selection.best, _curve(selection)
    run = _resumed(trainer, where, budget, cell.seed, state)
    for now in run.run():
        progress(now)
    return run.agent(), _curve(run.selection)


def _curve(selection: Selection) -> Curve:
    return tuple(CurvePoint.model_validate(_defined(point)) for point in selection.curve_facts)


def _resumed(
    trainer: LearningTrainer, scenario: Scenario, budget: int, seed: int, state: Path
) -> RunFolder:
    """Go on with a training that was killed; one whose files cannot be used starts anew."""
    from edge_marl.agents.training.run_folder import RunFolder

    try:
        return RunFolder(state, trainer, scenario, budget, seed)
    except Exception:  # half-written files of a killed process: of any kind
        shutil.rmtree(state, ignore_errors=True)
        return RunFolder(state, trainer, scenario, budget, seed)


def _anchors(job: Anchors, report: Report) -> list[AnchorValues]:
    from edge_marl import bound
    from edge_marl.benchmarks.run import evaluation

    values = []
    workloads = evaluation.draw_workloads(job.scenario, job.split, job.first, job.episodes)
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


def _end_with_parent(jobs: int) -> None:
    """Wait for the end of the pipe of jobs, which comes when the parent is gone, and end."""
    while os.read(jobs, 1024):
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
