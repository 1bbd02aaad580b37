"""The short version of `benchmarks/measure/kill_test.py`."""

import sys

import pytest

from edge_marl.benchmarks.measure.kill_test import kill_test


@pytest.mark.skipif(sys.platform != "linux", reason="tells dead processes by /proc")
def test_killed_runners_lose_nothing_and_do_nothing_twice() -> None:
    few = "random,prophet"
    tally = kill_test(rounds=1, runners=2, kills=2, seed=1, say=False, agents=few)
    assert tally.wrong == []
    assert tally.rounds == 1
    assert tally.kills > 0
