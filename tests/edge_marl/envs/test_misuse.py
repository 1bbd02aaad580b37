"""What an environment says where it is used in a way that it is not made for."""

from __future__ import annotations

from functools import partial
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

import edge_marl
from edge_marl import edge_aigc_v0
from edge_marl.envs import EdgeAIGCEnv, EdgeAIGCRows, EdgeAIGCVectorEnv
from edge_marl.errors import ActionError, EpisodeOverError, ScenarioError, WorkloadError
from edge_marl.scenario import load_scenario

SMOKE = load_scenario("smoke")


@pytest.mark.parametrize("make", [EdgeAIGCEnv, edge_aigc_v0.parallel_env, edge_aigc_v0.env])
def test_unknown_render_mode(make: Any) -> None:
    with pytest.raises(ScenarioError, match=r"'gif': must be None or one of 'human', 'rgb_array'"):
        make(scenario="smoke", render_mode="gif")


def test_gymnasium_knows_the_modes() -> None:
    env = gymnasium.make("EdgeAIGC-v0", scenario="smoke", render_mode="ansi")
    assert env.metadata["render_modes"] == ["human", "rgb_array", "ansi"]


def test_last_before_the_first_reset() -> None:
    with pytest.raises(EpisodeOverError, match=r"call reset\(\) first"):
        edge_aigc_v0.raw_env(scenario="smoke").last()


@pytest.mark.parametrize("make", [EdgeAIGCVectorEnv, EdgeAIGCRows])
def test_a_kept_state_goes_on(make: Any) -> None:
    """Also where the other environment has room for other numbers of tasks."""
    first, second = make(3, scenario=SMOKE), make(3, scenario=SMOKE)
    generator = np.random.default_rng(0)

    def some_actions(info: dict[str, Any]) -> Any:
        mask = info["action_mask"]
        return (mask * generator.random(mask.shape)).argmax(-1)

    _, info = first.reset(seed=5)
    for _ in range(100):  # beyond the end of an episode
        *_, info = first.step(some_actions(info))
    state = first.save_state()
    _, again = second.restore_state(state)
    np.testing.assert_array_equal(again["action_mask"], info["action_mask"])
    for _ in range(100):
        actions = some_actions(info)
        one, other = first.step(actions), second.step(actions)
        info = one[-1]
        for a, b in zip(one[:4], other[:4], strict=True):
            np.testing.assert_array_equal(a, b)
        assert first.metrics(1) == pytest.approx(second.metrics(1), nan_ok=True)


@pytest.mark.parametrize("make", [EdgeAIGCVectorEnv, EdgeAIGCRows])
def test_states_that_cannot_be_kept(make: Any) -> None:
    env = make(2, scenario=SMOKE)
    with pytest.raises(EpisodeOverError, match="before the first reset"):
        env.save_state()
    env.restore_state(make_state(make), rows=[1])
    env.save_state(rows=[1])
    with pytest.raises(EpisodeOverError, match="before the first reset"):
        env.save_state()
    shape = (2, *((env.num_gateways,) if make is EdgeAIGCRows else ()))
    with pytest.raises(EpisodeOverError, match="before every row was reset"):
        env.step(np.zeros(shape, dtype=int))


def make_state(make: Any) -> dict[str, Any]:
    env = make(1, scenario=SMOKE)
    env.reset(seed=0)
    state: dict[str, Any] = env.save_state()
    return state


MAKERS: list[Any] = [
    EdgeAIGCEnv,
    partial(EdgeAIGCVectorEnv, 2),
    partial(EdgeAIGCRows, 2),
    edge_aigc_v0.parallel_env,
    edge_aigc_v0.env,
]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scenario": None}, "scenario = None: must be a tier's name, the path of"),
        ({"scenario": 3}, "scenario = 3: must be a tier's name, the path of"),
        ({"scenario": "paper", "world": 1.5}, "world = 1.5: must be a whole number"),
    ],
)
def test_wrong_scenarios(make: Any, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        make(**arguments)


@pytest.mark.parametrize("make", MAKERS[2:])
@pytest.mark.parametrize("gateways", [2.5, "x"])
def test_wrong_numbers_of_gateways(make: Any, gateways: Any) -> None:
    with pytest.raises(ScenarioError, match=f"gateways = {gateways!r}: must be a whole number, or"):
        make(scenario="smoke", gateways=gateways)


@pytest.mark.parametrize("make", MAKERS)
def test_wrong_options_and_seeds(make: Any) -> None:
    env = make(scenario="smoke")
    for options in ("x", ["workload"]):
        with pytest.raises(WorkloadError, match=f"options is a {type(options).__name__}: must be"):
            env.reset(options=options)
    with pytest.raises(WorkloadError, match="this environment takes 'workload"):
        env.reset(options={"workload": None, "workloads": None})  # one of them is a batch's
    for seed in (-1, 1.5, "7"):
        with pytest.raises(WorkloadError, match=f"seed {seed!r}: must be a whole number, 0 or"):
            env.reset(seed=seed)
    env.reset()  # nothing of it is left


@pytest.mark.parametrize("make", MAKERS)
def test_seeds_of_numpy(make: Any) -> None:
    first, second = make(scenario="smoke"), make(scenario="smoke")
    first.reset(seed=np.int64(3))
    second.reset(seed=3)
    logs = [
        env.log(0) if hasattr(env, "num_envs") else getattr(env, "_game", env).log()
        for env in (first, second)
    ]
    np.testing.assert_array_equal(logs[0].tasks, logs[1].tasks)


@pytest.mark.parametrize("make", [EdgeAIGCVectorEnv, EdgeAIGCRows])
def test_a_reset_that_fails_changes_nothing(make: Any) -> None:
    env, twin = make(3, scenario="smoke"), make(3, scenario="smoke")
    for one in (env, twin):
        one.reset(seed=5)
    workload = edge_marl.draw_workload(SMOKE, 0, split="test")
    misfit = edge_marl.draw_workload(load_scenario("paper"), 0)
    for wrong in (
        {"seed": [1, -2, 3]},
        {"seed": [1, 2.5, 3]},
        {"seed": 9, "options": {"workloads": [workload, None, misfit]}},
        {"seed": 9, "options": {"workloads": [workload, None, "w.npz"]}},
        {"seed": 9, "options": {"workloads": 7}},
    ):
        with pytest.raises(WorkloadError):
            env.reset(**wrong)
    np.testing.assert_array_equal(env.log(0).tasks, twin.log(0).tasks)
    np.testing.assert_array_equal(env.reset()[0], twin.reset()[0])


def test_actions_of_ended_rows_count_for_nothing() -> None:
    vector = EdgeAIGCVectorEnv(2, scenario="smoke", autoreset_mode=AutoresetMode.DISABLED)
    rows = EdgeAIGCRows(2, scenario="smoke", autoreset_mode=AutoresetMode.DISABLED)
    drawn = edge_marl.draw_workload(SMOKE, 0)
    short = edge_marl.Workload(drawn.topology, drawn.tasks[:1])
    for env, rest in ((vector, ()), (rows, (2,))):
        env.reset(options={"workloads": [short, drawn]})
        env.step(np.zeros((2, *rest), dtype=int))
        before = env.metrics(0)
        for wild in (-1, 10**6, -(2**63), 2**63 - 1):
            choices = np.zeros((2, *rest), dtype=int)
            choices[0] = wild
            assert not env.step(choices)[1][0].any()
        choices[1] = -1
        with pytest.raises(ActionError, match=r"-1 of row 1"):
            env.step(choices)
        np.testing.assert_equal(env.metrics(0), before)


@pytest.mark.parametrize("make", MAKERS)
def test_before_the_first_reset_nothing_is_told(make: Any) -> None:
    env = make(scenario="smoke")
    row = (0,) if hasattr(env, "num_envs") else ()
    with pytest.raises(EpisodeOverError, match=r"call reset\(\) first"):
        env.metrics(*row)


@pytest.mark.parametrize("make", [EdgeAIGCEnv, edge_aigc_v0.parallel_env, edge_aigc_v0.env])
def test_nothing_to_render_before_the_first_reset(make: Any) -> None:
    env = make(scenario="smoke", render_mode="ansi")
    with pytest.raises(EpisodeOverError, match=r"call reset\(\) first"):
        env.render()
    env.reset(seed=0)
    assert "crashes 0" in env.render()


def test_whose_turn_it_is_before_the_first_reset() -> None:
    env = edge_aigc_v0.env(scenario="smoke")
    with pytest.raises(AttributeError, match=r"first reset: call reset\(\) first"):
        _ = env.agent_selection
