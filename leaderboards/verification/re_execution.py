"""The checks of the level `re-executed`: the policy decides as its log says, twins included."""

from __future__ import annotations

from edge_marl.errors import SubmissionError
from edge_marl.layout import ObservationLayout
from edge_marl.leaderboards.policies.sandbox import SANDBOXES
from edge_marl.leaderboards.submission.chain import play_episodes
from edge_marl.leaderboards.submission.facts import code_sha256
from edge_marl.leaderboards.submission.files import ACTIONS, SUBMISSION
from edge_marl.leaderboards.verification.case import ALONE, Case, expect
from edge_marl.leaderboards.verification.choosers import (
    MAY_DIFFER,
    Again,
    Logged,
    Paired,
    Seen,
    Views,
    check_again,
)
from edge_marl.leaderboards.verification.fresh import draw_twin, number_from

__all__ = ["check_policy_at_hand", "check_re_execution", "check_twins", "policy_lack"]

TWINS = 2
"""Twins of every test workload that a policy is asked in."""

MEMORY = 2**29
"""Bytes of what gateways see that are kept at once: one replay for all of these gateways."""

TWIN_GATEWAYS = 2
"""Gateways of a game that are asked in each twin: others for each, drawn from the seal. That none
knows what another one sees needs no twins: they were asked alone."""


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
    run = case.submission.runs[number]
    where = f"{case.folder / ACTIONS}: run {run.seed}"
    logged = Logged(case.actions, number, case.scenario, where)
    parts: list[Again] = []
    for group in _groups(case):
        views = Views(logged, group)
        seen = Seen(views.choose)
        play_episodes(case.scenario, case.workloads, views.choose if parts else seen.choose)
        if not parts:
            case.seen.append(seen)
        for gateway in group:
            with case.open_policy(run.seed, case.workloads, gateway) as ask:
                parts.append(Again(ask, logged, gateway))
                for own, expected in views.of[gateway]:
                    parts[-1].compare(own, expected)
            if parts[-1].worse:
                check_again(where, parts)
    if not case.asked_alone:
        with case.open_policy(run.seed, case.workloads) as ask:
            parts.append(Again(ask, logged))
            case.seen.append(Seen(parts[-1].choose))
            play_episodes(case.scenario, case.workloads, case.seen[-1].choose)
    check_again(where, parts)
    return parts


def _groups(case: Case) -> list[list[int]]:
    """Return the gateways that are asked alone, so many at a time as there is room for."""
    layout = ObservationLayout(case.scenario)
    each = case.steps * len(case.workloads) * (4 * layout.size + case.scenario.num_actions)
    count = max(1, MEMORY // max(1, each))
    every = case.asked_alone
    return [every[at : at + count] for at in range(0, len(every), count)]


def _place_of(case: Case) -> str:
    return "where it was given" if case.sandbox is None else SANDBOXES[case.sandbox]


def _alone(case: Case) -> str:
    if not case.is_decentralised:
        return ""
    asked, count = len(case.asked_alone), case.scenario.gateways.count
    return f"; each gateway alone, {'all' if asked == count else asked} of {count}"


def check_twins(case: Case) -> str:
    """Raise if a policy decides otherwise in a twin before it can tell the two apart."""
    compared = asked = 0
    for number, run in enumerate(case.submission.runs):
        for turn in range(TWINS):
            parts = (case.submission.seal, run.seed, turn)
            twins = [
                draw_twin(case.scenario, workload, k, *parts)
                for k, workload in enumerate(case.workloads)
            ]
            for again in _some(case.again[number], parts):
                with case.open_policy(run.seed, twins, again.gateway) as ask:
                    pair = Paired(ask, again, case.seen[number])
                    play_episodes(case.scenario, twins, pair.choose)
                pair.check(f"{case.folder}: run {run.seed}")
                compared += pair.compared
            asked += len(twins)
    case.twins = asked
    return f"{compared} decisions in {asked} twin episodes are the same up to where they part"


def _some(parts: list[Again], drawn_from: tuple[object, ...]) -> list[Again]:
    """Return the policy, or of a game a few of the gateways that were asked alone."""
    order = sorted(parts, key=lambda again: number_from("twins", again.gateway, *drawn_from))
    return order[:TWIN_GATEWAYS]
