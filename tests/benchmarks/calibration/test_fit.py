"""A scenario is fitted to measured times, and both worlds are compared, by numbers known before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("aiohttp", reason="pip install 'edge-marl[serve]'")

from edge_marl.benchmarks.calibration.compare import Pair, Run, errors_of, rank_of
from edge_marl.benchmarks.calibration.fit import PARTS, fit, with_parts
from edge_marl.benchmarks.calibration.profile import Alone, Beside, Profile
from edge_marl.benchmarks.calibration.wishes import Wishes, keep_wishes
from edge_marl.errors import ServingError
from edge_marl.serving.replay import Course

SLOWDOWN, GROWTH = (1.0, 2.5), (0.25, 0.5)


def profile_of(fixed: float, per_step: float) -> Profile:
    """Return the profile of servers that are just as the simulator has them."""
    alone = {
        (service, demand): SLOWDOWN[service] * (fixed + per_step * demand)
        for service in range(2)
        for demand in Wishes().demand
    }
    second = Wishes().demand[1]
    return Profile(
        alone=tuple(Alone(service=s, demand=t, seconds=(x,) * 3) for (s, t), x in alone.items()),
        beside=tuple(
            Beside(
                service=s,
                other=o,
                count=n,
                seconds=(alone[s, second] * (1 + GROWTH[s] * (n - 1)),),
            )
            for s in range(2)
            for o in range(2)
            for n in (2, 4)
        ),
        restart_s=(1.0, 1.5, 9.0),
        quality=((0.5,) * 10, (0.75,) * 10),
    )


def test_a_scenario_is_fitted_to_what_was_measured() -> None:
    scenario = fit(Wishes(load=0.6), profile_of(0.004, 0.0005), line=3)
    assert [scenario.tasks.run_time_ms(demand) for demand in (20, 40, 80, 160)] == [14, 24, 44, 84]
    assert scenario.concurrency
    assert scenario.queue
    assert scenario.concurrency.growth == GROWTH
    assert scenario.queue.limit == 3
    facts = scenario.servers.model_dump()
    assert facts["slowdown"] == (SLOWDOWN,) * 3
    assert facts["baseline"][2][1] == (0.75,) * 10
    assert scenario.overload.restart_s == 1.5
    mean_s = np.mean(SLOWDOWN) * (0.004 + 0.0005 * 75)
    assert scenario.arrivals.rate_per_s == pytest.approx(0.6 * 3 / mean_s, abs=1e-3)
    for parts in PARTS:
        varied = with_parts(scenario, parts, 3)
        assert ((varied.queue is not None), (varied.concurrency is not None)) == parts


def course(latency: list[float], utility: list[float], crashes: int = 0) -> Course:
    return Course(np.array(latency), np.array(utility), crashes)


def test_errors_are_of_pairs_and_distributions() -> None:
    nan = np.nan
    pairs = [
        Pair("a", 0, course([1, 2, nan, 4], [1, 1, 0, 1], 1), course([2, 2, 3, nan], [1, 1, 1, 0]),
             2.0, 0.0, 0.5),
        Pair("b", 0, course([1, 1], [1, 1], 0), course([1, 1], [0.5, 0.5], 2), 0.0, 4.0, 0.5),
    ]  # fmt: skip
    found = {error.metric: error for error in errors_of(pairs)}
    latency = found["latency"]
    assert (latency.count, latency.mape) == (4, 0.25)
    assert latency.pearson == pytest.approx(0.5 / np.sqrt(0.75))
    assert latency.ks == pytest.approx(0.2)  # up to 1 s: 3 of 5 measured, 2 of 5 simulated
    assert found["crashes"].mape == 1
    assert found["crashes"].pearson == pytest.approx(-1)
    assert found["utility"].mape == pytest.approx((0 + 0.5) / 2)
    assert found["served"].mape == 0
    assert {error.pearson for error in errors_of(pairs[:1])[1:]} == {None}  # of one run


def run(agent: str, measured: float, simulated: float, played: float) -> Run:
    return Run(agent=agent, run=0, measured=measured, simulated=simulated, played=played)


def test_ranks_are_compared_by_means() -> None:
    runs = [run("a", 1, 1, 3), run("a", 2, 2, 3), run("b", 2, 5, 2), run("c", 3, 2, 1)]
    rank = rank_of(runs)
    assert rank.agents == 3
    assert rank.simulated == pytest.approx(1 / 3)
    assert rank.played == pytest.approx(-1)
    assert rank_of(runs[:1]).simulated is None


def test_a_folder_keeps_to_what_was_asked_for(tmp_path: Path) -> None:
    keep_wishes(Wishes(runs=1), tmp_path)
    keep_wishes(Wishes(runs=2, agents=("random",)), tmp_path)  # more of the same is added
    with pytest.raises(ServingError, match=r"has logs of load = 0.7, not 0.5: give another --out"):
        keep_wishes(Wishes(load=0.5), tmp_path)
    (tmp_path / "wishes.json").write_text("{}x", "utf-8")
    with pytest.raises(ServingError, match="not what this command writes"):
        keep_wishes(Wishes(), tmp_path)
