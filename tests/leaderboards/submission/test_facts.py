"""Names on the boards: those of registered agents are theirs."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_marl.agents import names
from edge_marl.errors import SubmissionError
from edge_marl.leaderboards.submission.facts import check_name
from edge_marl.leaderboards.submission.files import list_submissions
from edge_marl.leaderboards.submission.ledger import Ledger, Verification
from edge_marl.leaderboards.verification.verify import verify
from tests.worlds import forging


@pytest.mark.parametrize(
    "name", ["adsac", "prophet", "pr0phet", "bid.price", "b1dprice", "a-d-s-a-c", "pp0", "ra1nb0w"]
)
def test_a_name_that_reads_like_a_registered_one_is_refused(name: str) -> None:
    with pytest.raises(SubmissionError, match=rf"agent '{name}' is not registered, and reads like"):
        check_name(name)


@pytest.mark.parametrize("name", ["most-room", "adsac-plus", "dqn2", "own", "my-prophet"])
def test_other_names_are_free(name: str) -> None:
    assert name not in names()
    check_name(name)


def test_the_verifier_refuses_it(tmp_path: Path) -> None:
    folder = forging.copy_of_good(tmp_path)
    forging.edit(folder, lambda s: s["agent"].update(registered=False))
    verdict = verify(folder, "claimed")
    assert verdict.level is None
    assert verdict.failure is not None
    assert verdict.failure.startswith("name: agent 'prophet' is not registered, and reads like ")
    assert "--name" in verdict.failure
    [sub] = [entry.submission for entry in list_submissions(tmp_path)]
    facts = {"seal": sub.seal, "level": "claimed", "decisions": 1, "verifier": "1"}
    known = Ledger(entries={sub.entry: Verification.model_validate(facts)})
    assert verify(folder, "claimed", ledger=known).failure is None  # it had the name before
