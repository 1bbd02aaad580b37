"""The checks of the level `re-executed`: the policy decides as its log says, twins included."""

from __future__ import annotations

from edge_marl.errors import SubmissionError
from edge_marl.leaderboards.policies.sandbox import SANDBOXES
from edge_marl.leaderboards.submission.chain import play_episodes
from edge_marl.leaderboards.submission.facts import code_sha256
from edge_marl.leaderboards.submission.files import ACTIONS, SUBMISSION
from edge_marl.leaderboards.verification.case import Case, expect
from edge_marl.leaderboards.verification.choosers import (
    MAY_DIFFER,
    Again,
    Logged,
    Paired,
)
from edge_marl.leaderboards.verification.fresh import draw_twin

__all__ = ["check_policy_at_hand", "check_re_execution", "check_twins", "policy_lack"]

TWINS = 2
"""Twins of every test workload that a policy is asked in."""


def policy_lack(case: Case) -> str | None:
    """Return why no policy can be run, or None if one can."""
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
    """Raise unless every run's policy decides as logged, but for a few decisions."""
    most = 0.0
    for number, run in enumerate(case.submission.runs):
        where = f"{case.folder / ACTIONS}: run {run.seed}"
        logged = Logged(case.actions, number, case.scenario, where)
        with case.open_policy(run.seed, case.workloads) as ask:
            again = Again(ask, logged)
            play_episodes(case.scenario, case.workloads, again.choose)
        again.check(where)
        case.again.append(again)
        most = max(most, again.differing / logged.total)
    case.differing = sum(again.differing for again in case.again)
    if case.differing:
        case.closed_loop = case.play(case.workloads)
    return (
        f"{case.differing} of {case.decisions} decisions differ ({100 * most:.3g} % of "
        f"the worst run, {100 * MAY_DIFFER:g} % may); {_place_of(case)}"
    )


def _place_of(case: Case) -> str:
    return "where it was given" if case.sandbox is None else SANDBOXES[case.sandbox]


def check_twins(case: Case) -> str:
    """Raise if a policy decides otherwise in a twin before it can tell the two apart."""
    compared = asked = 0
    for run, again in zip(case.submission.runs, case.again, strict=True):
        for turn in range(TWINS):
            parts = (case.submission.seal, run.seed, turn)
            twins = [
                draw_twin(case.scenario, workload, k, *parts)
                for k, workload in enumerate(case.workloads)
            ]
            with case.open_policy(run.seed, twins) as ask:
                pair = Paired(ask, again)
                play_episodes(case.scenario, twins, pair.choose)
            pair.check(f"{case.folder}: run {run.seed}")
            compared += pair.compared
            asked += len(twins)
    case.twins = asked
    return f"{compared} decisions in {asked} twin episodes are the same up to where they part"
