"""Readers of submissions and of what maintainers keep of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

from edge_marl.errors import SubmissionError
from edge_marl.leaderboards.submission import make
from edge_marl.leaderboards.submission.files import (
    ACTIONS,
    CHAIN,
    LEDGER,
    SUBMISSION,
    read_actions,
    read_chain,
    read_ledger,
    read_submission,
)
from edge_marl.leaderboards.submission.schema import Submission, seal_of
from edge_marl.leaderboards.verification.season import Season, read_season
from edge_marl.leaderboards.verification.verify import verify
from tests.fuzz.containers import change_npz
from tests.fuzz.mutators import change
from tests.fuzz.of_worlds import SMOKE
from tests.fuzz.property import Entry
from tests.worlds.forging import GOOD

__all__ = ["ENTRIES"]

ABOUT = """authors = ["A. Nobody", "B. Nobody"]
links = ["https://example.org/paper"]
description = "made up"

[training]
data = "train workloads of smoke"
budget = 48000
"""
HELD_OUT = {
    "source": "season spring",
    "workloads": 100,
    "utility_per_task": 0.5,
    "test_utility_per_task": 0.5,
}
VERIFICATION: dict[str, Any] = {
    "seal": "0" * 64,
    "level": "held-out",
    "decisions": 6000,
    "differing": 0,
    "twins": 10,
    "held_out": HELD_OUT,
    "verifier": "0.1.0",
}
SEASON = {"name": "spring", "commitment": "0" * 64, "secret": None, "entrants": {"a/b": "1" * 64}}


def good(name: str) -> Sequence[bytes]:
    return ((GOOD / name).read_bytes(),)


def reseal(rng: Random, content: bytes) -> bytes:
    """Change a statement, and seal it as somebody would who means it."""
    content = change(rng, content)
    try:
        facts = dict(json.loads(content))
        return json.dumps(facts | {"seal": seal_of(facts)}).encode()
    except (ValueError, TypeError, RecursionError):
        return content


def describe(submission: Submission) -> None:
    """Ask for what follows from a statement, and write it down and read it again."""
    assert Submission.model_validate_json(submission.model_dump_json()) == submission
    assert submission.entry
    assert submission.policy_digest
    assert submission.policy_seeds is not None


def copy_others(path: Path, content: bytes) -> None:
    """Put the other files of the good submission beside one."""
    for place in (SUBMISSION, ACTIONS, CHAIN, "policy/seed-0/config.json"):
        other = path.parent / place
        if other != path:
            other.parent.mkdir(parents=True, exist_ok=True)
            other.write_bytes((GOOD / place).read_bytes())


def check_claims(path: Path) -> None:
    """Verify a submission's claims.

    Raises:
        SubmissionError: what failed, as the command says it.
    """
    verdict = verify(path.parent, "claimed")
    if verdict.failure is not None:
        raise SubmissionError(verdict.failure)


def state(facts: dict[str, Any]) -> None:
    """Make of what authors say the statement of a submission."""
    done: Any = SimpleNamespace(cell=SimpleNamespace(budget=None, train_on=None, scenario=SMOKE))
    make._about(facts, done)


def again(season: Season) -> None:
    """Write a season and read it again."""
    assert Season.model_validate_json(season.model_dump_json()) == season


FOLDER = f"{GOOD.parent.name}/{GOOD.name}"

ENTRIES = (
    Entry(
        "submission",
        SUBMISSION,
        lambda: good(SUBMISSION),
        change,
        lambda path: read_submission(path.parent),
        describe,
    ),
    Entry("chain", CHAIN, lambda: good(CHAIN), change, lambda path: read_chain(path.parent)),
    Entry(
        "actions",
        ACTIONS,
        lambda: good(ACTIONS),
        change_npz,
        lambda path: read_actions(path.parent),
    ),
    Entry(
        "claims",
        f"{FOLDER}/{SUBMISSION}",
        lambda: good(SUBMISSION),
        reseal,
        check_claims,
        prepare=copy_others,
    ),
    Entry(
        "ledger",
        LEDGER,
        lambda: (json.dumps({"schema_version": 1, "entries": {"a/b": VERIFICATION}}).encode(),),
        change,
        lambda path: read_ledger(path.parent),
    ),
    Entry(
        "season", "spring.json", lambda: (json.dumps(SEASON).encode(),), change, read_season, again
    ),
    Entry("about", "about.toml", lambda: (ABOUT.encode(),), change, make.read_about, state),
)
