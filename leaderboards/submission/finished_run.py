"""A finished run as what a submission is made of: its cells, their records and their agents."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_marl.agents import Agent, make
from edge_marl.agents.registry import find
from edge_marl.agents.training.settings_text import configure, parse_spec
from edge_marl.benchmarks.plan.cells import Arena, Cell
from edge_marl.benchmarks.records.records import (
    CellResult,
    Provenance,
    read_plan,
    read_record,
    record_path,
)
from edge_marl.benchmarks.run import kept_agents
from edge_marl.errors import AgentError, ScenarioError, SubmissionError
from edge_marl.leaderboards.submission.chain import is_game
from edge_marl.leaderboards.submission.facts import is_released, kind_of
from edge_marl.leaderboards.submission.schema import FEWER_RUNS, RUNS, WORKLOADS
from edge_marl.scenario import load_scenario

__all__ = [
    "FinishedCell",
    "arena_of",
    "chosen_settings",
    "command_for_all",
    "finished_cells",
    "load_agents",
]


@dataclass(frozen=True)
class FinishedCell:
    """A cell of a run, with its result."""

    cell: Cell
    result: CellResult
    provenance: Provenance


def arena_of(run_dir: Path, wanted: str | None) -> Arena:
    """Return where a run's agents were evaluated: a released game, or the single environment of a
    released tier.

    Args:
        run_dir: the run's folder.
        wanted: name or label of its scenario; None will do where the run has one.

    Raises:
        SubmissionError: there is no such scenario, it is no released one, or it was played as a
            game of gateways that is none, or alone where it is one.
    """
    arenas = [arena for arena in read_plan(run_dir).arenas if _has_board(arena)]
    if not arenas:
        raise SubmissionError(
            f"{run_dir}: its agents played the game of gateways: boards are of the single "
            "environment and of released games; run without --api parallel, or a game by its name"
        )
    labels = [arena.scenario.label for arena in arenas]
    if wanted is None and len(labels) > 1:
        raise SubmissionError(
            f"{run_dir}: has the scenarios {', '.join(labels)}: say which with --scenario"
        )
    label = labels[0] if wanted is None else _label_of(wanted)
    if label not in labels:
        raise SubmissionError(f"{run_dir}: has no scenario '{wanted}', only {', '.join(labels)}")
    arena = arenas[labels.index(label)]
    if not is_released(arena.scenario):
        raise SubmissionError(
            f"{run_dir}: scenario '{arena.scenario.label}' (digest {arena.scenario.digest[:12]}) "
            "is no released tier: boards are of released tiers"
        )
    return arena


def _has_board(arena: Arena) -> bool:
    """Whether an arena is what boards are of: games on the clock of slots, the rest alone."""
    return (arena.api == "parallel") == is_game(arena.scenario)


def _label_of(wanted: str) -> str:
    """Return the label of what a tier's bare name stands for; any other label as it is."""
    try:
        return load_scenario(wanted).label
    except ScenarioError:
        return wanted


def finished_cells(run_dir: Path, agent: str, arena: Arena) -> list[FinishedCell]:
    """Return the cells that a submission is made of, by seed: all that are asked for, or the few of
    a learner that are taken with a mark.

    Raises:
        SubmissionError: the run lacks the agent, test workloads or seeds, or is not at its end.
    """
    plan = read_plan(run_dir)
    entries = {entry.name: entry for entry in plan.agents}
    if agent not in entries:  # perhaps with its settings as they were typed
        asked = parse_spec(agent)
        agent = next((name for name in entries if parse_spec(name) == asked), agent)
    if agent not in entries:
        raise SubmissionError(f"{run_dir}: has no agent '{agent}', only {', '.join(entries)}")
    if (plan.split, plan.episodes) != ("test", WORKLOADS):
        raise SubmissionError(
            f"{run_dir}: has {plan.workloads}: a submission has all {WORKLOADS} of test; "
            f"run with --split test --episodes {WORKLOADS}"
        )
    cells = plan.cells(arena, entries[agent])
    kind = kind_of(parse_spec(entries[agent].agent)[0])
    count = RUNS[kind]
    if kind == "learner" and len(cells) < count:
        count = FEWER_RUNS
    if len(cells) < count:
        also = f" ({FEWER_RUNS} are taken with a mark)" if kind == "learner" else ""
        raise SubmissionError(
            f"{run_dir}: has {len(cells)} seed(s) of '{agent}': a {kind} agent needs "
            f"{RUNS[kind]}{also}; what is missing is made by: {_command(run_dir, cells[0])}"
        )
    return [_finished(run_dir, cell) for cell in cells[:count]]


def command_for_all(run_dir: Path, agent: str, wanted: str | None) -> str:
    """Return the command that makes the seeds that a run lacks of an agent; those done stay."""
    return _command(run_dir, finished_cells(run_dir, agent, arena_of(run_dir, wanted))[0].cell)


def _command(run_dir: Path, cell: Cell) -> str:
    scenario, learns = cell.scenario, cell.budget is not None
    kind = kind_of(parse_spec(cell.agent)[0])
    words: list[object] = ["edge-marl", "run", "--scenario", scenario.release]
    words += ["--world", scenario.servers.world] if scenario.servers.world else []
    words += ["--agents", cell.agent, "--seeds", RUNS[kind], "--episodes", cell.episodes]
    words += ["--budget", cell.budget] if learns else []
    words += ["--train-on", cell.train_on.release] if cell.train_on else []
    words += ["--threads", cell.threads] if cell.threads > 1 else []
    return shlex.join(map(str, [*words, "--out", run_dir]))


def _finished(run_dir: Path, cell: Cell) -> FinishedCell:
    record = read_record(run_dir, cell)
    if record is None or record.result is None:
        state = "has not been run" if record is None or record.failure is None else "has failed"
        raise SubmissionError(
            f"{record_path(run_dir, cell)}: {cell.label} {state}: run it to its end first"
        )
    return FinishedCell(cell, record.result, record.provenance)


def chosen_settings(cell: Cell) -> dict[str, Any]:
    """Return what of a cell's settings tells its agent from the one that nothing is asked of.

    A setting that the agent would have anyway is none of them, nor is one that comes with another.
    """
    name, asked = parse_spec(cell.agent)
    place = cell.train_on or cell.scenario

    def resolved(settings: dict[str, Any]) -> dict[str, Any] | None:
        made = make(name, place)
        try:
            configure(made, settings)
        except AgentError:  # they do not go without what was left out
            return None
        return made.settings

    every = resolved(asked) if asked else {}
    if every is None:
        raise AgentError(f"agent '{cell.agent}': takes these settings no more: run it again")
    for one in sorted(asked):
        rest = {name: value for name, value in asked.items() if name != one}
        if resolved(rest) == every:
            asked = rest
    return {name: every[name] for name in sorted(asked)}


def load_agents(
    run_dir: Path, finished: Sequence[FinishedCell], trained: Sequence[Path]
) -> list[Agent]:
    """Return the agent of each cell.

    Args:
        run_dir: the run's folder.
        finished: cells of one agent, by seed.
        trained: folders of the trained agents by seed; none are those that the run has kept.

    Raises:
        SubmissionError: the run has kept no trained agents, or others than it recorded.
        AgentError: a checkpoint cannot be read.
    """
    places: Sequence[Path | None] = [None] * len(finished)
    if kind_of(parse_spec(finished[0].cell.agent)[0]) == "learner":
        places = _checkpoints(run_dir, finished, trained)
    return [_load(done.cell, place) for done, place in zip(finished, places, strict=True)]


def _checkpoints(
    run_dir: Path, finished: Sequence[FinishedCell], given: Sequence[Path]
) -> list[Path]:
    """Return the folder of each trained agent, by seed."""
    if given and len(given) != len(finished):
        raise SubmissionError(
            f"{len(given)} checkpoint(s): give {len(finished)}, one per seed from 0 up"
        )
    if given:
        return list(given)
    return [_kept_folder(run_dir, done) for done in finished]


def _kept_folder(run_dir: Path, done: FinishedCell) -> Path:
    """Return the folder where a run has kept the trained agent of a cell."""
    checkpoint = done.result.checkpoint
    if checkpoint is None or not (run_dir / checkpoint.folder).is_dir():
        raise SubmissionError(
            f"{run_dir}: the trained agent of {done.cell.label} was not kept: give the folder of "
            "each seed's with --checkpoint"
        )
    folder = run_dir / checkpoint.folder
    if not kept_agents.is_intact(run_dir, checkpoint):
        raise SubmissionError(f"{folder}: not the agent that the run has kept: files were changed")
    return folder


def _load(cell: Cell, checkpoint: Path | None) -> Agent:
    """Return the agent of a cell: from its checkpoint, or as it is made."""
    name, settings = parse_spec(cell.agent)
    if checkpoint is not None:
        transfer = cell.train_on is not None
        return find(name).load(checkpoint, cell.scenario, transfer=transfer)
    agent = make(name, cell.scenario)
    configure(agent, settings)
    if not isinstance(agent, Agent):
        raise AgentError(f"agent '{name}' has to learn first")
    return agent
