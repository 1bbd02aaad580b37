"""A hundred random mutations; `python -m tests.leaderboards.mutations` does a thousand."""

from tests.leaderboards.mutations import survivors


def test_none_that_changes_content_is_let_through_and_none_crashes() -> None:
    through, caught = survivors(100, seed=1)
    assert not through
    assert sum(caught.values()) == 100
    assert {"replay", "seal", "schema"} <= caught.keys()
