"""The last check of the level `re-executed`: in twins of the episodes the policy decides the same.

A twin is the same up to some moment, and goes on differently. A policy that knows what is to come
decides otherwise before it can tell the two apart.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edge_marl.errors import SubmissionError
from edge_marl.leaderboards.policies.asking import Ask
from edge_marl.leaderboards.submission.chain import Moment, watch_episodes
from edge_marl.leaderboards.submission.schema import WORKLOADS
from edge_marl.leaderboards.verification.case import Case
from edge_marl.leaderboards.verification.choosers import (
    MAY_DIFFER,
    Again,
    Logged,
    Seen,
    as_good,
    digests_of,
    firsts,
    own_part,
)
from edge_marl.leaderboards.verification.fresh import draw_twin, number_from

__all__ = ["check_twins"]

TWINS = 2
"""Twins of every test workload that a policy is asked in."""

TWIN_GATEWAYS = 2
"""Gateways of a game that are asked in each twin: others for each, drawn from the seal. That none
knows what another one sees needs no twins: they were asked alone."""


class Paired:
    """Asks a policy in twin episodes, and compares while they show the same as before.

    Args:
        ask: the policy, or in a game a gateway of it.
        again: what it chose before.
        logged: the log, which is played.
        seen: what the episodes showed before.
    """

    def __init__(self, ask: Ask, again: Again, logged: Logged, seen: Seen) -> None:
        self._ask, self._again, self._logged, self._seen = ask, again, logged, seen
        self._same = np.ones(WORKLOADS, dtype=np.bool_)
        self._shared = np.zeros(WORKLOADS, dtype=np.int64)
        self.compared = self._differing = 0
        self._first = self._worse = ""

    def choose(self, moment: Moment) -> npt.NDArray[np.int64] | None:
        """Return what was chosen before where all is the same; None when nothing is any more."""
        number = moment.number
        seen = self._seen.shown
        before = seen[number] if number < len(seen) else [b""] * WORKLOADS
        now = digests_of(moment)
        self._same &= np.array(
            [one == other != b"" for one, other in zip(now, before, strict=True)]
        )
        if not self._same.any():
            return None
        needed = moment.going & np.repeat(self._same, moment.gateways)
        self._compare(*own_part(moment, needed, self._again.gateway))
        if self._worse:
            return None
        self._shared += self._same
        return self._logged.choose(moment, needed)

    def _compare(self, own: Moment, still: npt.NDArray[np.bool_]) -> None:
        chosen, expected = self._ask(own), self._again.asked[own.number]
        self.compared += int(still.sum())
        wrong = np.flatnonzero(still & (chosen != expected))
        if not wrong.size:
            return
        self._differing += wrong.size

        def says(k: int) -> str:
            return (
                f"{own.place(k)}: expected {expected[k]} as in the twin that is the same so far, "
                f"found {chosen[k]}: the policy knows what is to come"
            )

        first, worse = firsts(wrong, as_good(self._ask, chosen, expected), says)
        self._first, self._worse = self._first or first, self._worse or worse

    def check(self, where: str) -> None:
        """Raise if a decision differs that was no choice between equals, or too many differ.

        Raises:
            SubmissionError: that, or there was nothing to compare.
        """
        if self._worse or self._differing > MAY_DIFFER * self.compared:
            raise SubmissionError(f"{where}, {self._worse or self._first}")
        if not self._shared.all():
            raise SubmissionError(
                f"{where}, workload {int(self._shared.argmin())}: shares no decision with its twin"
            )


def check_twins(case: Case) -> str:
    """Raise if a policy decides otherwise in a twin before it can tell the two apart."""
    turns = [(number, turn) for number in range(len(case.again)) for turn in range(TWINS)]
    plays = [(*of, again) for of in turns for again in _some(case, *of)]
    compared = case.side_by_side(lambda play: _play_twins(case, *play), plays)
    case.twins = len(turns) * len(case.workloads)
    return (
        f"{sum(compared)} decisions in {case.twins} twin episodes are the same up to where they "
        "part"
    )


def _drawn_from(case: Case, number: int, turn: int) -> tuple[object, ...]:
    return case.submission.seal, case.submission.runs[number].seed, turn


def _some(case: Case, number: int, turn: int) -> list[Again]:
    """Return the policy of a run, or of a game a few of the gateways that were asked alone."""
    parts = _drawn_from(case, number, turn)
    every = sorted(case.again[number], key=lambda a: number_from("twins", a.gateway, *parts))
    return every[:TWIN_GATEWAYS]


def _play_twins(case: Case, number: int, turn: int, again: Again) -> int:
    """Ask the policy of a run in a twin of each workload; return how many decisions it took."""
    seed, parts = case.submission.runs[number].seed, _drawn_from(case, number, turn)
    twins = [
        draw_twin(case.scenario, workload, k, *parts) for k, workload in enumerate(case.workloads)
    ]
    with case.open_policy(seed, twins, again.gateway) as ask:
        pair = Paired(ask, again, case.log_of(number), case.seen[number])
        watch_episodes(case.scenario, twins, pair.choose)
    pair.check(f"{case.folder}: run {seed}")
    return pair.compared
