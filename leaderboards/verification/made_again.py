"""The first check of the level `replayed`: what a compact submission leaves out is made again.

It brings the log of its first run and the policies of all. Each other run's policy plays, and what
it decides is the log if its chains are the claimed ones. On another machine a policy may now and
then choose the other one of two actions that it prefers alike; the marks of the chain say from
where on, so those are exchanged until the chain comes out. Then the log is one like any other:
whoever made it, it is replayed, and the policy is asked on it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from edge_marl.errors import SubmissionError
from edge_marl.leaderboards.policies.asking import Ask
from edge_marl.leaderboards.submission.chain import (
    Episode,
    Moment,
    first_difference,
    play_episodes,
)
from edge_marl.leaderboards.submission.files import CHAIN, Actions, actions_of
from edge_marl.leaderboards.submission.schema import WORKLOADS
from edge_marl.leaderboards.verification.case import Case
from edge_marl.leaderboards.verification.choosers import alike, checked
from edge_marl.leaderboards.verification.duplicates import check_duplicates

__all__ = ["check_made_again"]

MOST_PLAYS = 40
"""Of a run, to find the decisions that are other ones on this machine: few, and each costs one or
two."""

MOST_TIES = 1000
"""Of an episode, that are kept: a policy with more of them says nothing."""

Decision = tuple[int, int]
"""The number of a decision in its episode, and an action."""


def check_made_again(case: Case) -> str:
    """Raise unless the policies decide so that the chains of runs without a log come out.

    Raises:
        SubmissionError: they do not, or a run that was made again is another's.
    """
    if not case.is_compact:
        return "nothing: the log of every run was brought"
    others = range(1, len(case.submission.runs))
    made = case.side_by_side(lambda number: _made_again(case, number), others)
    logs = [case.actions, *(actions_of([episodes]) for episodes, _ in made)]
    case.actions = Actions(
        actions=np.concatenate([log.actions for log in logs]),
        lengths=np.concatenate([log.lengths for log in logs]),
    )
    check_duplicates(case)  # of all its decisions now
    return f"the log of {len(logs) - 1} runs, in {sum(plays for _, plays in made)} plays"


def _made_again(case: Case, number: int) -> tuple[list[Episode], int]:
    """Return the episodes of a run whose chains are the claimed ones, and how often it played."""
    run, chain = case.submission.runs[number], case.chain.runs[number]
    searches = [_Search() for _ in case.workloads]
    for plays in range(1, MOST_PLAYS + 1):
        with case.open_whole_policy(run.seed, case.workloads) as ask:
            player = _Player(ask, case, [search.exchanged for search in searches])
            episodes = play_episodes(case.scenario, case.workloads, player.choose)
        broken = [k for k, episode in enumerate(episodes) if episode.head != chain.heads[k]]
        if not broken:
            return episodes, plays
        for k in broken:
            good = first_difference(chain.marks[k], episodes[k].marks_every(case.chain.every))
            at = good * case.chain.every
            ties = [tie for tie in player.ties[k] if tie[0] < at + case.chain.every]
            if plays == MOST_PLAYS or not searches[k].go_on(good, ties):
                raise SubmissionError(
                    f"{case.folder / CHAIN}: run {run.seed}, workload {k}, from decision {at} on: "
                    "what its policy decides does not give the claimed chain"
                )
    raise AssertionError("the last play returns or raises")


@dataclass
class _Search:
    """The search for decisions of an episode that are to be exchanged: one after another, depth
    first, the latest before a wrong mark first."""

    exchanged: list[Decision] = field(default_factory=list)
    """Those that are tried now, in order."""
    open: list[tuple[int, list[Decision]]] = field(default_factory=list)
    """Of each of them the marks that were right before, and what else may be exchanged there."""

    def go_on(self, good: int, ties: Sequence[Decision]) -> bool:
        """Exchange another decision; False if none is left.

        Args:
            good: marks that are right with those exchanged so far.
            ties: what the policy likes as much as what it chose, up to the first wrong mark.
        """
        if not self.open or good >= self.open[-1][0]:  # what was exchanged last may be right
            last = self.exchanged[-1][0] if self.exchanged else -1
            self.open.append((good, [tie for tie in ties if tie[0] > last]))
        while self.open:
            if rest := self.open[-1][1]:
                self.exchanged[len(self.open) - 1 :] = [rest.pop()]
                return True
            self.open.pop()
        return False


class _Player:
    """Lets a policy play, but for some decisions, and notes where it likes two actions alike.

    Args:
        ask: the policy.
        case: whose.
        exchanged: of each episode, what it is to decide otherwise.
    """

    def __init__(self, ask: Ask, case: Case, exchanged: Sequence[Sequence[Decision]]) -> None:
        self._ask, self._choose = ask, checked(ask, case.scenario)
        self._exchanged = {k: dict(found) for k, found in enumerate(exchanged) if found}
        self._next = np.zeros(WORKLOADS, dtype=np.int64)
        self.ties: list[list[Decision]] = [[] for _ in exchanged]
        """Of each episode, the earliest first."""

    def choose(self, moment: Moment) -> npt.NDArray[np.int64]:
        """Return the actions, (R,)."""
        chosen = self._choose(moment).copy()
        going = moment.going.reshape(WORKLOADS, moment.gateways)
        numbers = (self._next[:, None] + going.cumsum(axis=1) - 1).ravel()
        self._next += going.sum(axis=1)
        for row, action in self._ties(moment, chosen):
            if len(ties := self.ties[row // moment.gateways]) < MOST_TIES:
                ties.append((int(numbers[row]), action))
        for k, found in self._exchanged.items():
            for row in range(k * moment.gateways, (k + 1) * moment.gateways):
                if moment.going[row] and numbers[row] in found:
                    chosen[row] = found[int(numbers[row])]
        return chosen

    def _ties(self, moment: Moment, chosen: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
        """Return rows and the actions that the policy likes as much as what it chose there."""
        told = self._ask.preferences()
        if told is None:
            return []
        going = np.flatnonzero(moment.going)
        found, own = alike(told[going], chosen[going]), chosen[going]
        found[np.arange(len(going)), np.minimum(own, told.shape[1] - 1)] = False
        return [(int(going[row]), int(action)) for row, action in np.argwhere(found)]
