"""No mutation of a submission gets through, none makes the verifier fall over (short version)."""

from pathlib import Path

from tests.leaderboards.verification.mutations import survivors
from tests.worlds.forging import good_compact, playing


def test_none_that_changes_content_is_let_through_and_none_crashes() -> None:
    through, caught = survivors(100, seed=1)
    assert not through
    assert sum(caught.values()) == 100
    assert {"replay", "seal", "schema"} <= caught.keys()


def test_none_of_a_compact_one_is_let_through(tmp_path: Path) -> None:
    through, caught = survivors(40, 2, good_compact(tmp_path), playing("random"))
    assert not through
    assert sum(caught.values()) == 40
    assert "log made again" in caught
