"""The check of the level `replayed`: the logged decisions, simulated, give what is claimed."""

from __future__ import annotations

from edge_marl.errors import SubmissionError
from edge_marl.leaderboards.submission.chain import (
    GATEWAY_DIGITS,
    Episode,
    first_difference,
    play_episodes,
)
from edge_marl.leaderboards.submission.files import CHAIN, SUBMISSION
from edge_marl.leaderboards.verification.case import Case, expect

__all__ = ["check_replay"]


def check_replay(case: Case) -> str:
    """Raise unless the log gives every claimed metric and hash, bit for bit."""
    runs = range(len(case.submission.runs))
    case.steps = max(case.side_by_side(lambda number: _replay(case, number), runs))
    return f"{case.decisions} decisions give the claimed metrics and hashes, bit for bit"


def _replay(case: Case, number: int) -> int:
    """Raise unless the log of a run gives what is claimed; return its longest episode's moments."""
    logged = case.log_of(number)
    episodes = play_episodes(case.scenario, case.workloads, logged.choose)
    logged.check_all_used(episodes)
    for workload, episode in enumerate(episodes):
        _check_episode(case, number, workload, episode)
    return logged.steps


def _check_episode(case: Case, number: int, workload: int, episode: Episode) -> None:
    """Raise unless an episode is what was claimed of it."""
    run, chain = case.submission.runs[number], case.chain.runs[number]
    where, path = f"run {run.seed}, workload {workload}", case.folder / CHAIN
    every = case.chain.every
    own = episode.marks_every(every)
    if (marks := chain.marks[workload]) != own:
        at = first_difference(marks, own)
        raise SubmissionError(
            f"{path}: {where}, decision {(at + 1) * every - 1}: mark of the chain: expected "
            f"{_mark(own, at)}, found {_mark(marks, at)}: what was seen, done or "
            "earned is not what the log says"
        )
    if chain.gateways is not None and (ends := chain.gateways[workload]) != episode.gateways:
        at = first_difference(ends, episode.gateways or "") // GATEWAY_DIGITS
        raise SubmissionError(
            f"{path}: {where}, gateway {at}: end of its chain: expected "
            f"'{_digits(episode.gateways or '', at)}', found '{_digits(ends, at)}'"
        )
    if (head := chain.heads[workload]) != episode.head:
        raise SubmissionError(
            f"{path}: {where}: head of the chain: expected {episode.head[:12]}, found {head[:12]}"
        )
    for name, value in episode.metrics.items():
        expect(case.folder / SUBMISSION, f"{where}: {name}", value, run.metrics[name][workload])


def _digits(ends: str, gateway: int) -> str:
    return ends[gateway * GATEWAY_DIGITS : (gateway + 1) * GATEWAY_DIGITS]


def _mark(marks: str, at: int) -> str:
    return f"'{marks[at]}'" if at < len(marks) else "none"
