"""The meter of a training: rewards per decision and returns per environment."""

from __future__ import annotations

import numpy as np
import pytest

from edge_marl.agents.training.meter import RECENT_EPISODES, RECENT_STEPS, Meter


def test_it_tells_rewards_per_decision_and_returns_of_whole_environments() -> None:
    meter = Meter(2)
    meter.count(np.array([1.0, 2.0, 3.0, 4.0]), 3, np.array([False, False]))  # two rows for each
    assert meter.progress(3, 10, 0).mean_return is None
    meter.count(np.array([0.5, 0.5]), 1, np.array([False, True]))
    told = meter.progress(4, 10, 2)
    assert (told.decisions, told.budget, told.updates) == (4, 10, 2)
    assert told.utility_per_task == 11.0 / 4
    assert told.mean_return == 7.5
    meter.count(np.array([1.0, 1.0]), 2, np.array([True, True]))
    assert meter.progress(6, 10, 2).mean_return == pytest.approx((7.5 + 4.5 + 1.0) / 3)


def test_it_forgets_all_but_the_last_and_goes_on_from_its_state() -> None:
    meter = Meter(1)
    over = np.array([True])
    for reward in range(200):
        meter.count(np.array([float(reward)]), 1, over)
    told = meter.progress(200, 200, 0)
    assert told.utility_per_task == np.mean(range(200 - RECENT_STEPS, 200))
    assert told.mean_return == np.mean(range(200 - RECENT_EPISODES, 200))
    again = Meter(1)
    again.restore(meter.state())
    for one in (meter, again):
        one.count(np.array([5.0]), 1, over)
    assert again.progress(201, 201, 0) == meter.progress(201, 201, 0)
