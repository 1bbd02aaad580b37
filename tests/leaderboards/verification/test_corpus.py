"""The corpus: the good submission passes, every bad one fails with the line that it should."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_marl.leaderboards.verification.verify import verify
from tests.submissions.bad import BAD, Bad
from tests.worlds.forging import GOOD, copy_of_good


def test_the_good_one_is_as_it_was_made() -> None:
    verdict = verify(GOOD, "re-executed")
    assert verdict.failure is None
    assert verdict.level == "re-executed"
    assert verdict.verification is not None
    assert verdict.verification.differing == 0


def test_there_are_enough_bad_ones_with_names_of_their_own() -> None:
    assert len(BAD) >= 30
    assert len({bad.name for bad in BAD}) == len(BAD)


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
def test_a_bad_one_fails_with_its_line(bad: Bad, tmp_path: Path) -> None:
    folder = copy_of_good(tmp_path)
    bad.change(folder)
    verdict = verify(folder, "replayed")
    assert verdict.failure is not None
    assert bad.says in verdict.failure
    assert "\n" not in verdict.failure
    assert verdict.level in (None, "claimed")
