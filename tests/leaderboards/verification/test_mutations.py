"""No mutation of a submission gets through, none makes the verifier fall over (short version)."""

from tests.leaderboards.verification.mutations import survivors


def test_none_that_changes_content_is_let_through_and_none_crashes() -> None:
    through, caught = survivors(100, seed=1)
    assert not through
    assert sum(caught.values()) == 100
    assert {"replay", "seal", "schema"} <= caught.keys()
