"""The checks of the level `held-out`: the policy is as good on workloads that it cannot know."""

from __future__ import annotations

import math
import tempfile
from statistics import fmean

import numpy as np

from edge_marl.benchmarks.report.columns import SCORE
from edge_marl.benchmarks.report.intervals import FloatArray
from edge_marl.benchmarks.report.stats import change_error
from edge_marl.bound import Anchors, anchors
from edge_marl.errors import SubmissionError
from edge_marl.leaderboards.submission.chain import watch_episodes
from edge_marl.leaderboards.submission.files import actions_of
from edge_marl.leaderboards.submission.ledger import HeldOut
from edge_marl.leaderboards.submission.results import (
    Result,
    held_out_result,
    ranked_by,
    result_of,
)
from edge_marl.leaderboards.submission.schema import WORKLOADS
from edge_marl.leaderboards.verification.case import Case, Played
from edge_marl.leaderboards.verification.choosers import Logged, Views, check_again
from edge_marl.leaderboards.verification.fresh import Fresh, draw_fresh, number_from
from edge_marl.leaderboards.verification.re_execution import ask_alone
from edge_marl.workload import Workload

__all__ = ["check_frozen", "check_held_out"]

MOST_ERRORS = 4.0
"""Standard errors that a policy may do worse by on held-out workloads than on the public ones."""

LEAST_CHANCE = 1e-4
"""Of two samples of one law to lie as far apart as a policy's public and held-out values. Both sets
of workloads are drawn alike, so what an honest policy gets on them is exchangeable, and one honest
policy in ten thousand or fewer fails; one that does well on some public workloads because it knows
them, and throws away others to hide it, has an equal mean and another spread."""


AGAIN = 8
"""Gateways of each run of a game that are asked alone on the held-out workloads, drawn from what
these are drawn from; on the test workloads all were, or the sample."""


def check_frozen(case: Case) -> str:
    """Raise unless the submission was there before its held-out workloads were."""
    fresh = _fresh_of(case)
    if fresh.entrants is None:
        return "for you to check: the beacon's value must be later than the submission"
    if fresh.entrants.get(case.submission.entry) != case.submission.seal:
        raise SubmissionError(
            f"{case.folder}: {fresh.source} does not have this submission among those "
            "that were there when its secret was revealed"
        )
    return f"it was there when the secret of {fresh.source} was revealed"


def check_held_out(case: Case) -> str:
    """Raise if the policy does otherwise on held-out workloads than chance explains.

    What is compared is what the board ranks by: on the public side what the policy gets playing by
    itself, which is the log unless a decision differed.
    """
    parts = (case.submission.policy_digest, _fresh_of(case).value)
    workloads = [draw_fresh(case.scenario, k, *parts) for k in range(WORKLOADS)]
    ends = _anchors(case, workloads)
    public = result_of(case.submission, case.closed_loop, case.scenario)
    played = case.play(workloads)
    found = _held_out(case, played, ends, public)
    alone = _alone_again(case, played, workloads)
    finding = _compare(case, found, public) + alone
    case.held_out = found
    return finding


def _alone_again(case: Case, played: Played, workloads: list[Workload]) -> str:
    """Raise if a gateway, asked alone on what it saw there, decides otherwise than it did.

    Gateways that play together could tell each other something, if only by how long they take.
    """
    if not played.late:
        return ""
    asked = 0
    log = actions_of(played.runs)
    for number, run in enumerate(case.submission.runs):
        where = f"{case.folder}: held-out, run {run.seed}"
        views = Views(Logged(log, number, case.scenario, where), _drawn(case, run.seed))
        watch_episodes(case.scenario, workloads, views.choose)
        parts = ask_alone(case, number, workloads, views, played.late[number])
        check_again(where, parts)
        asked += len(parts)
    return f"; {asked} gateways alone decide as they did there, {_late(played)} decisions were late"


def _drawn(case: Case, seed: int) -> list[int]:
    """Return the gateways of a run that are asked alone."""
    value = _fresh_of(case).value
    return sorted(case.asked_alone, key=lambda g: number_from(value, "again", seed, g))[:AGAIN]


def _late(played: Played) -> int:
    return sum(int(late.sum()) for run in played.late for late in run)


def _fresh_of(case: Case) -> Fresh:
    if case.fresh is None:
        raise SubmissionError(f"{case.folder}: give a season (--season) or a beacon (--beacon)")
    return case.fresh


def _anchors(case: Case, workloads: list[Workload]) -> Anchors | None:
    """Return both ends of the score on each workload; None where the board has no score."""
    if ranked_by(case.scenario).name != SCORE:
        return None
    with tempfile.TemporaryDirectory() as folder:  # the user's cache may not be the verifier's own
        return anchors(case.scenario, workloads, folder)


def _held_out(case: Case, played: Played, ends: Anchors | None, public: Result) -> HeldOut:
    """Return what the ledger is to say."""
    outcome = played.outcome
    per_task = [value or 0.0 for run in outcome.metrics["utility_per_task"] for value in run]
    return HeldOut(
        source=_fresh_of(case).source,
        workloads=WORKLOADS,
        utility_per_task=fmean(per_task),
        test_utility_per_task=float(np.nan_to_num(public.metrics["utility_per_task"]).mean()),
        outcome=outcome,
        random=None if ends is None else tuple(ends.random.tolist()),
        bound=None if ends is None else tuple(ends.bound.tolist()),
        late=_late(played) if played.late else None,
    )


def _compare(case: Case, held_out: HeldOut, public: Result) -> str:
    """Raise if held-out values are worse, or spread otherwise, than the public ones."""
    column = ranked_by(case.scenario)
    known = np.nan_to_num(public.values(column))
    fresh = np.nan_to_num(held_out_result(held_out, case.scenario).values(column))
    on_known, on_fresh = (float(column.statistic(values.ravel())) for values in (known, fresh))
    error = change_error(known, fresh, column.statistic)
    told = (
        f"{column.heading} {on_fresh:.4f} on {WORKLOADS} workloads of {held_out.source}, "
        f"{on_known:.4f} on the public ones"
    )
    if on_known - on_fresh > MOST_ERRORS * error:
        raise SubmissionError(
            f"{case.folder}: {told}: worse by more than {MOST_ERRORS:g} standard errors of "
            f"{error:.4f}"
        )
    chance = _chance(known.mean(axis=0), fresh.mean(axis=0))
    if chance < LEAST_CHANCE:
        raise SubmissionError(
            f"{case.folder}: {told}, but spread otherwise from workload to workload: two samples "
            f"of one law lie as far apart with a chance of {chance:.1g} (Kolmogorov-Smirnov), "
            f"below {LEAST_CHANCE:g}"
        )
    return (
        f"{told}; standard error of the difference {error:.4f}, chance of its spread {chance:.2g}"
    )


def _chance(one: FloatArray, other: FloatArray) -> float:
    """Return the p-value of the two-sample Kolmogorov-Smirnov test; (n,) each.

    Exact for samples of one size (Gnedenko and Korolyuk 1951), or with ties larger than exact.
    """
    n, points = len(one), np.concatenate([one, other])
    below = [np.searchsorted(np.sort(sample), points, "right") for sample in (one, other)]
    gap = int(np.abs(below[0] - below[1]).max())
    if gap == 0:
        return 1.0
    paths = sum((-1) ** (j + 1) * math.comb(2 * n, n - j * gap) for j in range(1, n // gap + 1))
    return min(1.0, float(2 * paths / math.comb(2 * n, n)))
