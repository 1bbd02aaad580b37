"""A submission's logged decisions, played again and recorded (`agents.recording`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_marl.agents.play import Rows, shown_to_gateways
from edge_marl.agents.recording import Recorded, open_recorded, record
from edge_marl.benchmarks.run.evaluation import draw_test_workloads
from edge_marl.envs import EdgeAIGCRows
from edge_marl.errors import SubmissionError
from edge_marl.kernel.world import GOING_ON
from edge_marl.leaderboards.submission.chain import Moment
from edge_marl.leaderboards.submission.facts import tier_of
from edge_marl.leaderboards.submission.files import (
    ACTIONS,
    SUBMISSION,
    read_actions,
    read_submission,
)
from edge_marl.leaderboards.submission.schema import WORKLOADS, Submission
from edge_marl.leaderboards.verification.choosers import Logged
from edge_marl.scenario import Scenario

__all__ = ["record_submission", "scenario_of"]


def scenario_of(submission: Submission, folder: Path) -> Scenario:
    """Return the released scenario of a submission.

    Raises:
        SubmissionError: there is none of its name and digest.
    """
    facts = submission.scenario
    scenario = tier_of(facts.name)
    if scenario is None or scenario.digest != facts.digest:
        raise SubmissionError(
            f"{folder / SUBMISSION}: scenario '{facts.name}' (digest {facts.digest[:12]}) is no "
            "tier of this version"
        )
    return scenario


def record_submission(folder: Path, seed: int, workloads: int) -> Iterator[Recorded]:
    """Yield the episodes of a submission's run on the first test workloads.

    All of them are played before the first is there. Whether they are what the submission claims is
    for `edge-marl verify` to say.

    Args:
        folder: the submission's.
        seed: of the run.
        workloads: how many, from 0 on.

    Raises:
        SubmissionError: no submission, no such run in its log, or one that does not fit.
    """
    submission, actions = read_submission(folder), read_actions(folder)
    scenario = scenario_of(submission, folder)
    runs = len(actions.lengths)  # of a compact one the first only
    if not seed < runs:
        raise SubmissionError(
            f"{folder / ACTIONS}: has no run {seed}: its log has the runs 0 to {runs - 1}"
        )
    if workloads > WORKLOADS:
        raise SubmissionError(
            f"--workloads {workloads}: a submission has {WORKLOADS}: give at most as many"
        )
    envs = open_recorded(scenario, WORKLOADS, scenario.api)
    log = Log(envs, Logged(actions, seed, scenario, f"{folder / ACTIONS}: run {seed}"))
    played = record(envs, log, log.decide, draw_test_workloads(scenario, WORKLOADS))
    yield from played[:workloads]


class Log:
    """Decides in rows as a log says.

    Args:
        envs: the rows, one per workload of the log.
        logged: the log.
    """

    def __init__(self, envs: Rows, logged: Logged) -> None:
        self._logged, self._scenario = logged, envs.scenario
        self._game = isinstance(envs, EdgeAIGCRows)
        self._simulator = envs.game if isinstance(envs, EdgeAIGCRows) else envs.simulator
        self._number = 0

    def decide(
        self, observation: npt.NDArray[np.float32], info: Mapping[str, Any]
    ) -> npt.NDArray[np.int64]:
        """Return the logged decisions of rows that go on; nothing, or any, of the others."""
        mask = info["action_mask"]
        going = np.equal(self._simulator.done, GOING_ON)
        if self._game:
            going = going[:, None] & ~shown_to_gateways(mask)[1]
        moment = Moment(self._number, observation, mask, info["agent_index"], going.ravel())
        self._number += 1
        choice = self._logged.choose(moment).reshape(going.shape)
        return np.where(going, choice, self._scenario.num_actions if self._game else 0)

    def error(self, reason: str) -> SubmissionError:
        """Return the error that says what is wrong with the latest decisions."""
        return SubmissionError(f"decision {self._number} of the log: {reason}")
