"""The checks of the level `held-out`: the policy is as good on workloads that it cannot know."""

from __future__ import annotations

import math
from statistics import fmean, variance

from edge_marl.errors import SubmissionError
from edge_marl.leaderboards.submission.chain import play_episodes
from edge_marl.leaderboards.submission.schema import WORKLOADS, HeldOut
from edge_marl.leaderboards.verification.case import Case
from edge_marl.leaderboards.verification.choosers import checked
from edge_marl.leaderboards.verification.fresh import Fresh, draw_fresh

__all__ = ["check_frozen", "check_held_out"]

MOST_ERRORS = 4.0
"""Standard errors that a policy may do worse by on held-out workloads than on the public ones."""


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
    """Raise if the policy does worse on held-out workloads than chance explains."""
    source, fresh = _fresh_of(case).source, _play_fresh(case)
    public = [v or 0.0 for run in case.submission.runs for v in run.metrics["utility_per_task"]]
    on_fresh, on_public = fmean(fresh), fmean(public)
    error = math.sqrt(variance(fresh) / WORKLOADS + variance(public) / WORKLOADS)
    if on_public - on_fresh > MOST_ERRORS * error:
        raise SubmissionError(
            f"{case.folder}: utility per task: {on_fresh:.4f} on {WORKLOADS} workloads of "
            f"{source}, {on_public:.4f} on the public ones: worse by more than "
            f"{MOST_ERRORS:g} standard errors of {error:.4f}"
        )
    case.held_out = HeldOut(
        source=source,
        workloads=WORKLOADS,
        utility_per_task=on_fresh,
        test_utility_per_task=on_public,
    )
    return (
        f"utility per task {on_fresh:.4f} on {WORKLOADS} workloads of {source}, "
        f"{on_public:.4f} on the public ones"
    )


def _fresh_of(case: Case) -> Fresh:
    if case.fresh is None:
        raise SubmissionError(f"{case.folder}: give a season (--season) or a beacon (--beacon)")
    return case.fresh


def _play_fresh(case: Case) -> list[float]:
    """Return the utility per task of every run on every held-out workload."""
    parts = (case.submission.policy_digest, _fresh_of(case).value)
    workloads = [draw_fresh(case.scenario, k, *parts) for k in range(WORKLOADS)]
    utility: list[float] = []
    for run in case.submission.runs:
        with case.open_policy(run.seed, workloads) as ask:
            episodes = play_episodes(case.scenario, workloads, checked(ask, case.scenario))
        utility += [episode.metrics["utility_per_task"] or 0.0 for episode in episodes]
    return utility
