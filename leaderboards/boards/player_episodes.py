"""Episodes for the site's player: logged actions, simulated again, as compact JSON.

All that the player shows follows from what became of each task (`EpisodeLog`), so a few whole
numbers per task are enough.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from edge_marl.draw import draw_workload
from edge_marl.errors import SubmissionError
from edge_marl.kernel import world as k
from edge_marl.leaderboards.boards.board import Board, BoardRow
from edge_marl.leaderboards.submission.chain import choices_of, is_game
from edge_marl.leaderboards.submission.files import read_actions
from edge_marl.metrics import episode_metrics
from edge_marl.scenario import Scenario
from edge_marl.simulator import EpisodeLog, Simulator
from edge_marl.simulator.gateways import GatewaySimulator
from edge_marl.workload import Workload

__all__ = ["Pick", "episodes_of"]

LARGEST = 4_000
"""Tasks of an episode from which on a page has one episode, not two."""


@dataclass(frozen=True)
class Pick:
    """An episode worth a look."""

    title: str
    run: int
    workload: int


def episodes_of(board: Board, row: BoardRow) -> list[dict[str, Any]]:
    """Return episodes of a submission, ready for JSON; none where the trace is not the project's.

    Raises:
        SubmissionError: if an action is none, an episode has too few or too many of them, or they
            do not give the claimed utility: the board shows nothing that its own player belies.
    """
    if board.scenario.replay:
        return []
    actions = read_actions(row.entry.folder)
    episodes = []
    for pick in _picks(board, row):
        workload = _workload(board.scenario, pick.workload)
        log = _replay(board.scenario, workload, actions.episode(pick.run, pick.workload), row, pick)
        claimed = row.submission.runs[pick.run].metrics["utility"][pick.workload]
        if episode_metrics(log)["utility"] != claimed:
            raise _problem(row, pick, f"the actions do not give the claimed utility {claimed}")
        episodes.append(_facts(board.scenario, workload, log, pick))
        if workload.num_tasks > LARGEST:
            break
    return episodes


def _picks(board: Board, row: BoardRow) -> list[Pick]:
    """The middle and the worst workload of the first run."""
    values = row.log.values(board.ranked_by)[0]
    order = np.argsort(values, kind="stable")
    return [
        Pick("its median result", 0, int(order[len(order) // 2])),
        Pick("its lowest result", 0, int(order[0])),
    ]


@lru_cache(maxsize=256)
def _workload(scenario: Scenario, seed: int) -> Workload:
    return draw_workload(scenario, seed, split="test")


def _replay(
    scenario: Scenario, workload: Workload, actions: np.ndarray[Any, Any], row: BoardRow, pick: Pick
) -> EpisodeLog:
    if actions.max() >= choices_of(scenario):
        raise _problem(
            row, pick, f"action {actions.max()}: the largest is {choices_of(scenario) - 1}"
        )
    if is_game(scenario):
        return _replay_game(scenario, workload, actions, row, pick)
    simulator = Simulator(scenario)
    simulator.load(0, workload)
    for action in actions.tolist():
        if simulator.done[0] != k.GOING_ON:
            raise _problem(row, pick, "more actions than the episode has decisions")
        simulator.step_row(0, action)
    if simulator.done[0] == k.GOING_ON:
        raise _problem(row, pick, "fewer actions than the episode has decisions")
    return simulator.log(0)


def _replay_game(
    scenario: Scenario, workload: Workload, actions: np.ndarray[Any, Any], row: BoardRow, pick: Pick
) -> EpisodeLog:
    """Return the same of a game: the actions are those of gateways with a task, step by step."""
    simulator = GatewaySimulator(scenario, 1)
    simulator.load(0, workload)
    own, rest = np.zeros((1, simulator.num_gateways)), actions.astype(np.int64)
    while simulator.done[0] == k.GOING_ON:
        waiting = simulator.waiting
        if len(rest) < (count := int(waiting.sum())):
            raise _problem(row, pick, "fewer actions than the episode has decisions")
        choices = np.full(waiting.shape, simulator.nothing)
        choices[waiting], rest = rest[:count], rest[count:]
        simulator.play(choices, own)
    if len(rest):
        raise _problem(row, pick, "more actions than the episode has decisions")
    return simulator.log(0)


def _problem(row: BoardRow, pick: Pick, what: str) -> SubmissionError:
    return SubmissionError(
        f"{row.entry.folder}: run {pick.run}, workload {pick.workload}: {what}; edge-marl verify "
        "says more"
    )


def _facts(scenario: Scenario, workload: Workload, log: EpisodeLog, pick: Pick) -> dict[str, Any]:
    """Columns over the tasks that were decided on, in order of decision; times in ms.

    `sent` is since the decision before, `ran` from the decision to the end or the loss.
    """
    tasks = log.tasks[np.not_equal(log.tasks[:, k.STATUS], k.WAITING)]
    rewards = log.rewards[np.not_equal(log.tasks[:, k.STATUS], k.WAITING)]
    order = np.argsort(tasks[:, k.START], kind="stable")
    tasks, rewards = tasks[order], rewards[order]
    outages = [] if workload.outages is None else workload.outages.tolist()
    return {
        "title": pick.title,
        "run": pick.run,
        "workload": pick.workload,
        "services": log.num_services,
        "capacity": log.capacity.tolist(),
        "cloud": log.has_cloud,
        "restart": scenario.overload.restart_ms,
        "outages": outages,
        "clock": log.clock_ms,
        "sent": np.diff(tasks[:, k.START], prepend=0).tolist(),
        "ran": (tasks[:, k.END] - tasks[:, k.START]).tolist(),
        "demand": tasks[:, k.DEMAND].tolist(),
        "place": tasks[:, k.PLACE].tolist(),
        "status": tasks[:, k.STATUS].tolist(),
        "reward": [float(f"{x:.3f}") for x in rewards],
    }
