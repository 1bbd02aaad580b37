"""The main checks of the level `re-executed`: the policy decides as its log says."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from edge_marl.errors import SubmissionError
from edge_marl.layout import ObservationLayout
from edge_marl.leaderboards.policies.sandbox import SANDBOXES
from edge_marl.leaderboards.submission.chain import watch_episodes
from edge_marl.leaderboards.submission.facts import code_sha256
from edge_marl.leaderboards.submission.files import SUBMISSION
from edge_marl.leaderboards.verification.case import ALONE, Case, expect
from edge_marl.leaderboards.verification.choosers import (
    MAY_DIFFER,
    Again,
    Seen,
    Views,
    check_again,
)
from edge_marl.workload import Workload

__all__ = ["ask_alone", "check_policy_at_hand", "check_re_execution", "policy_lack"]

MEMORY = 2**30
"""Bytes of what gateways see that are kept at once: one replay for all of these gateways."""


def policy_lack(case: Case) -> str | None:
    """Return why no policy can be run, or None if one can."""
    if case.is_decentralised and case.fresh is None and not case.asks_all:
        return (
            f"{ALONE} of its {case.scenario.gateways.count} gateways are drawn, from its seal and "
            "a value of later: give a beacon (--beacon) or a season (--season)"
        )
    if case.opener is not None:
        return None
    if not case.submission.policy_seeds:
        return "it brings no policy: make it with --with-policy"
    if not case.submission.agent.registered and case.code is None:
        return (
            f"agent '{case.submission.agent.name}' is not registered, and no code of a "
            "submission is run: give it with --agent-code file.py:Class"
        )
    return None


def check_policy_at_hand(case: Case) -> str:
    """Raise unless a policy can be run, by the code that the submission was made with."""
    if lack := policy_lack(case):
        raise SubmissionError(f"{case.folder}: {lack}")
    if case.code is not None:
        what = f"SHA-256 of the file of {case.code}"
        stated = case.submission.agent.code_sha256
        expect(case.folder / SUBMISSION, what, stated, code_sha256(case.code))
    if case.opener is not None:
        return "given"
    whose = "a registered agent's" if case.code is None else f"code of {case.code}"
    return f"{whose}, run by {line}" if (line := case.container_line) else whose


def check_re_execution(case: Case) -> str:
    """Raise unless every run's policy decides as logged, but for a few decisions.

    That of a decentralised game is asked gateway by gateway, each alone: in a process of its own,
    with what this gateway saw. So no gateway's decision depends on what another one saw.
    """
    most, compared = 0.0, 0
    for number in range(len(case.submission.runs)):
        parts = _asked_again(case, number)
        differing, total = (sum(getattr(p, n) for p in parts) for n in ("differing", "total"))
        case.again.append(parts)
        compared += total
        most = max(most, differing / total)
    case.differing = sum(again.differing for parts in case.again for again in parts)
    if case.differing:
        case.closed_loop = case.play(case.workloads).outcome
    return (
        f"{case.differing} of {compared} decisions differ ({100 * most:.3g} % of "
        f"the worst run, {100 * MAY_DIFFER:g} % may); {_place_of(case)}{_alone(case)}"
    )


def _asked_again(case: Case, number: int) -> list[Again]:
    """Return what the policy of a run chooses on its log, or each of its gateways alone."""
    logged = case.log_of(number)
    where = logged.where
    parts: list[Again] = []
    for group in _groups(case):
        views = Views(logged, group)
        seen = Seen(views.choose)
        watch_episodes(case.scenario, case.workloads, views.choose if parts else seen.choose)
        if not parts:
            case.seen.append(seen)
        parts += ask_alone(case, number, case.workloads, views)
    if not case.asked_alone:
        with case.open_policy(case.submission.runs[number].seed, case.workloads) as ask:
            parts.append(Again(ask, logged))
            case.seen.append(Seen(parts[-1].choose))
            watch_episodes(case.scenario, case.workloads, case.seen[-1].choose)
    check_again(where, parts)
    return parts


def _groups(case: Case) -> list[list[int]]:
    """Return the gateways that are asked alone, so many at a time as there is room for."""
    layout = ObservationLayout(case.scenario)
    each = case.steps * len(case.workloads) * (4 * layout.size + case.scenario.num_actions)
    count = max(1, MEMORY // max(1, each))
    every = case.asked_alone
    return [every[at : at + count] for at in range(0, len(every), count)]


def ask_alone(
    case: Case,
    number: int,
    workloads: Sequence[Workload],
    views: Views,
    late: Sequence[npt.NDArray[np.bool_]] = (),
) -> list[Again]:
    """Return what gateways choose, each alone on what it saw: in a process of its own.

    Args:
        case: whose.
        number: of the run.
        workloads: of the episodes.
        views: what each saw, and did.
        late: (R,) decisions of each step that came too late (`Again`).

    Raises:
        SubmissionError: one chooses otherwise than it did, and less well by its own account.
    """

    def ask_one(gateway: int) -> Again:
        with case.open_alone(case.submission.runs[number].seed, workloads, gateway) as ask:
            again = Again(ask, views.logged, gateway, late)
            # The package's own code keeps to what it says of itself; another's is never shown what
            # is to come.
            again.compare_all(views.of.pop(gateway), ask.stateless and case.code is None)
        if again.worse:
            check_again(views.logged.where, [again])
        return again

    return case.side_by_side(ask_one, list(views.of))


def _place_of(case: Case) -> str:
    return "where it was given" if case.sandbox is None else SANDBOXES[case.sandbox]


def _alone(case: Case) -> str:
    if not case.is_decentralised:
        return ""
    asked, count = len(case.asked_alone), case.scenario.gateways.count
    return f"; each gateway alone, {'all' if asked == count else asked} of {count}"
