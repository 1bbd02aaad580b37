"""What a frame shows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from edge_marl import edge_aigc_v0
from edge_marl.draw import draw_workload
from edge_marl.envs import EdgeAIGCEnv
from edge_marl.envs.render import draw_frame, scene_of, write_text
from edge_marl.envs.render.canvas import ALARM
from edge_marl.envs.render.map import map_of
from edge_marl.envs.render.text import tell_time
from edge_marl.kernel import world as k
from edge_marl.scenario import load_scenario


def some_way(env: Any, steps: int) -> Any:
    """Play as the mask allows, from a start that is always the same."""
    generator = np.random.default_rng(0)
    info = env.reset(options={"workload": draw_workload(env.scenario, 0, split="test")})[1]
    for _ in range(steps):
        info = env.step(int(generator.choice(np.flatnonzero(info["action_mask"]))))[-1]
    return env


@pytest.fixture(scope="module")
def campus() -> Any:
    return some_way(EdgeAIGCEnv("campus@2", render_mode="rgb_array"), 120)


def red(frame: npt.NDArray[np.uint8]) -> int:
    """Pixels that are as red as an alarm."""
    return int((frame == np.array(ALARM)).all(axis=-1).sum())


def test_the_largest_world_has_a_frame_of_the_same_size(campus: Any) -> None:
    planet = some_way(EdgeAIGCEnv("planet@2", render_mode="rgb_array"), 30)
    assert planet.render().shape == campus.render().shape == (600, 800, 3)


def test_gymnasium_and_pettingzoo_show_the_same() -> None:
    """On the event clock, where it is the same gateway's turn."""
    workload = draw_workload(load_scenario("campus@2"), 0)
    single = EdgeAIGCEnv("campus@2", render_mode="rgb_array")
    game = edge_aigc_v0.parallel_env("campus@2", render_mode="rgb_array")
    turns = edge_aigc_v0.env("campus@2", render_mode="rgb_array")
    _, info = single.reset(options={"workload": workload})
    game.reset(options={"workload": workload})
    turns.reset(options={"workload": workload})
    for _ in range(10):
        action = int(np.flatnonzero(info["action_mask"])[0])
        nothing = dict.fromkeys(game.agents, single.scenario.num_actions)
        choices = nothing | {f"gateway_{info['agent_index']}": action}
        for agent in turns.possible_agents:
            turns.step(choices[agent])
        game.step(choices)
        *_, info = single.step(action)
    frame = single.render()
    np.testing.assert_array_equal(game.render(), frame)
    np.testing.assert_array_equal(turns.render(), frame)


def test_what_was_just_lost_and_what_is_down_is_red(campus: Any) -> None:
    scene = scene_of(campus._simulator)
    long_ago = scene.log.tasks.copy()
    long_ago[scene.lost, k.END] = -scene.just_ms
    calm = replace(scene, log=replace(scene.log, tasks=long_ago))
    assert not calm.just_lost.any()
    tasks, lost = long_ago.copy(), scene.here[0]
    tasks[lost, [k.STATUS, k.END]] = k.CRASHED, scene.clock_ms
    crashed = replace(scene, log=replace(scene.log, tasks=tasks))
    assert crashed.just_lost[scene.server_of[lost]] == crashed.just_lost.sum() == 1
    assert red(draw_frame(crashed)) > red(draw_frame(calm))
    down = replace(calm, down_ms=np.full_like(scene.down_ms, 1000))
    assert red(draw_frame(down)) > red(draw_frame(calm))


def test_a_scene_counts_as_the_kernel_does(campus: Any) -> None:
    """Its own sums over tasks are the simulator's figures."""
    scene = scene_of(campus._simulator)
    on_edge = scene.here[scene.server_of[scene.here] != scene.cloud]
    lines = on_edge[scene.in_line[on_edge]]
    assert len(lines) > 0
    np.testing.assert_array_equal(
        np.bincount(scene.server_of[lines], minlength=scene.num_servers), scene.waiting
    )
    runs = on_edge[~scene.in_line[on_edge]]
    used = np.bincount(scene.server_of[runs], scene.steps[runs], minlength=scene.num_servers)
    np.testing.assert_array_equal(used, scene.used)
    (viewer,) = campus._simulator.viewers
    assert scene.at_gateways.sum() == scene.at_gateways[viewer] == 1


@pytest.mark.parametrize("name", ["campus-game@1", "studio-game@1"])
def test_tasks_wait_at_the_gateways_that_the_game_says(name: str) -> None:
    """Later stages too, which are ready when the stage before them has ended."""
    env = edge_aigc_v0.parallel_env(name)
    generator = np.random.default_rng(0)
    _, infos = env.reset(seed=0)
    seen = 0
    for _ in range(25):
        waits = scene_of(env._simulator).at_gateways > 0
        np.testing.assert_array_equal(waits, env._simulator.waiting[0])
        seen += int(waits.sum())
        actions = {
            agent: int(generator.choice(np.flatnonzero(info["action_mask"])))
            for agent, info in infos.items()
        }
        infos = env.step(actions)[-1]
    assert seen > 25


def test_without_places_the_frame_is_as_high_as_its_bars() -> None:
    smoke = some_way(EdgeAIGCEnv("smoke", render_mode="rgb_array"), 5)
    assert map_of(scene_of(smoke._simulator), (0, 0, 100, 100)) is None
    assert smoke.render().shape == (192, 800, 3)


def test_the_text_says_the_same(campus: Any) -> None:
    lines = write_text(scene_of(campus._simulator)).splitlines()
    assert len(lines) == 2 + load_scenario("campus@2").num_servers
    assert lines[0].startswith("campus@2   57.8 s of 16 min")
    assert any("in line" in line for line in lines)


@pytest.mark.parametrize(
    ("time_ms", "told"),
    [
        (0, "0 ms"),
        (999, "999 ms"),
        (1670, "1.67 s"),
        (59_999, "60 s"),
        (60_000, "1 min"),
        (252_000, "4 min 12 s"),
        (38_616_000, "10 h 43 min"),
        (999_000_000, "11 d 13 h"),
    ],
)
def test_times_are_told_in_units_that_fit(time_ms: int, told: str) -> None:
    assert tell_time(time_ms) == told
