"""Sleeps of gateways: drawn by their law and without touching anything else; kept and checked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from scipy import stats

from edge_marl import EdgeAIGCRows, draw_workload, edge_aigc_v0, load_scenario, load_workload
from edge_marl.errors import ScenarioError, WorkloadError
from edge_marl.kernel.world import DURATION, LOCATION, TIME
from edge_marl.scenario import Scenario, parse_scenario
from edge_marl.scenario.parts import Episode
from edge_marl.workload import Workload
from tests.worlds.every_part import PLAIN, world

LEAST = 1e-4
"""P-value below which a law is not the stated one: no seed of these tests comes near it."""

GAME = load_scenario("smoke-game")
SLEEPERS = GAME.with_sleep(20_000.0, 5_000.0)


def drawn(scenario: Scenario, seed: int = 0) -> np.ndarray[Any, Any]:
    sleeps = draw_workload(scenario, seed).sleeps
    assert sleeps is not None
    return sleeps


def test_spells_are_exponential_and_a_share_of_the_time_is_slept_from_the_start_on() -> None:
    scenario = world(arrivals={"horizon_s": 1e7, "rate_per_s": 1e-4, **PLAIN})
    scenario = scenario.with_gateways(50).with_clock(1000.0, hold=False).with_sleep(8000.0, 2000.0)
    sleeps = drawn(scenario)
    lengths = stats.kstest(sleeps[:, DURATION], stats.expon(scale=2_000_000).cdf)
    assert lengths.pvalue > LEAST
    same = np.diff(sleeps[:, LOCATION]) == 0
    awake = sleeps[1:, TIME][same] - (sleeps[:-1, TIME] + sleeps[:-1, DURATION])[same]
    assert stats.kstest(awake, stats.expon(scale=8_000_000).cdf).pvalue > LEAST
    few = scenario.model_copy(
        update={"arrivals": scenario.arrivals.model_copy(update={"horizon_s": 50_000.0})}
    )
    asleep = sum(int((drawn(few, seed)[:, TIME] == 0).sum()) for seed in range(40))
    assert stats.binomtest(asleep, 40 * 50, 0.2).pvalue > LEAST


def test_it_shifts_no_draw_of_another_part_and_more_gateways_none_of_the_first() -> None:
    for game in (GAME, world().with_clock(1.0, hold=False)):
        without, with_sleep = (draw_workload(s, 4) for s in (game, game.with_sleep(500.0, 50.0)))
        assert without.digest == replace(with_sleep, sleeps=None).digest != with_sleep.digest
    more = drawn(SLEEPERS.with_gateways(7))
    assert more[more[:, LOCATION] < 3].tolist() == drawn(SLEEPERS).tolist()
    assert len({str(drawn(SLEEPERS, seed).tolist()) for seed in range(3)}) == 3


def test_they_are_kept_in_a_file(tmp_path: Path) -> None:
    workload = draw_workload(SLEEPERS, 0)
    workload.save(tmp_path / "w.npz")
    loaded = load_workload(tmp_path / "w.npz")
    assert loaded.digest == workload.digest
    np.testing.assert_array_equal(loaded.sleeps, workload.sleeps)


@pytest.mark.parametrize(
    ("sleeps", "message"),
    [
        ([[0, 1]], r"sleeps has shape \(1, 2\): must be \(Z, 3\)"),
        ([[-1, 0, 5]], r"sleep 0 has time \(ms\) -1: must be from 0"),
        ([[0, 0, 5], [9, 0, 0]], r"sleep 1 has duration \(ms\) 0: must be from 1"),
        ([[0, 1, 5], [9, 0, 5]], "sleep 1 is out of order: .* of \\(gateway, time\\)"),
        ([[0, 0, 5], [4, 0, 5]], "sleep 1 is out of order"),
    ],
)
def test_wrong_ones_are_explained(sleeps: Any, message: str) -> None:
    workload = draw_workload(GAME, 0)
    with pytest.raises(WorkloadError, match=message):
        replace(workload, sleeps=np.array(sleeps))


def test_they_have_to_fit_the_scenario() -> None:
    workload = draw_workload(GAME, 0)
    with pytest.raises(WorkloadError, match=r"'smoke-game' has no gateways\.sleep"):
        replace(workload, sleeps=np.array([[0, 0, 5]])).check_fits(GAME)
    with pytest.raises(WorkloadError, match=r"gateway 3 of the workload sleeps, .* 0\.\.2"):
        replace(workload, sleeps=np.array([[0, 3, 5]])).check_fits(SLEEPERS)
    replace(workload, sleeps=None).check_fits(SLEEPERS)


def test_a_scenario_without_slots_has_no_sleep() -> None:
    with pytest.raises(ScenarioError, match=r"gateways\.sleep needs slots"):
        load_scenario("smoke").with_sleep(10.0, 1.0)
    with pytest.raises(ScenarioError, match=r"slot_s = 0: .* gateways that sleep"):
        edge_aigc_v0.parallel_env(SLEEPERS, slot_s=0.0)
    with pytest.raises(ScenarioError, match=r"awake_s = 1e-06"):
        GAME.with_sleep(1e-6, 1.0)
    with pytest.raises(ScenarioError, match=r"sleeps per episode, at most \d+ fit"):
        GAME.with_gateways(2**20).with_sleep(1.0, 1.0)


def test_a_file_states_it() -> None:
    text = 'extends = "smoke-game@1"\nname = "tired"\nversion = 1\nsummary = "s"\n'
    section = "[gateways.sleep]\nawake_s = 20_000.0\nasleep_s = 5_000.0\n"
    found = parse_scenario(text + section, "tired.toml")
    assert found.gateways.sleep == SLEEPERS.gateways.sleep
    assert found.gateways.count == 3
    with pytest.raises(ScenarioError, match=r"tired.toml:6: gateways\.sleep\.awake_s = -1\.0"):
        parse_scenario(text + section.replace("20_000.0", "-1.0"), "tired.toml")


def test_requests_that_came_to_a_gateway_that_slept_to_the_end_count() -> None:
    """The episode ends at the last arrival; what nobody could decide on was asked for as well."""
    tasks = [[0, 1000, 100, 0, 0], *[[k * 1_800_000, 1000, 100, 0, 1] for k in range(1, 6)]]
    tasks.append([9 * 1_800_000, 1000, 100, 0, 0])
    topology = draw_workload(GAME, 0).topology
    workload = Workload(topology, np.array(tasks), sleeps=np.array([[0, 1, 10**9]]))
    game = SLEEPERS.model_copy(update={"episode": Episode(end="last-task")})
    rows = EdgeAIGCRows(1, scenario=game, autoreset_mode=AutoresetMode.DISABLED)
    rows.reset(options={"workloads": [workload]})
    _, _, terminated, _, _ = rows.step(np.array([[0, GAME.num_actions, GAME.num_actions]]))
    assert terminated[0]
    assert rows.metrics(0)["requests"] == 6  # the last one is never to be decided on
    assert rows.metrics(0)["completion_rate"] == 1 / 6


def test_rows_go_on_to_episodes_with_sleeps_of_their_own() -> None:
    """Automatic resets draw them within the step; more of them than there was room for."""
    game = GAME.with_sleep(500.0, 500.0)
    rows = EdgeAIGCRows(2, scenario=game)
    rows.reset(seed=5)
    env = edge_aigc_v0.parallel_env(game)
    ended = 0
    seen, _ = env.reset(seed=5)
    for step in range(400):
        chosen = [step % 3] * 3
        now, _, terminated, truncated, _ = rows.step(np.array([chosen] * 2))
        seen, *_ = env.step(dict(zip(env.agents, chosen, strict=True)))
        if not env.agents:
            ended += 1
            assert terminated[0] or truncated[0]
            seen, _ = env.reset()
        np.testing.assert_array_equal(now[0], np.stack(list(seen.values())))
    assert ended > 1
