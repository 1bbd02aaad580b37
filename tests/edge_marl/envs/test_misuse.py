"""What an environment says where it is used in a way that it is not made for."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest

import edge_marl
from edge_marl import edge_aigc_v0
from edge_marl.envs import EdgeAIGCEnv, EdgeAIGCRows, EdgeAIGCVectorEnv
from edge_marl.errors import EpisodeOverError, ScenarioError, WorkloadError
from edge_marl.scenario import load_scenario

SMOKE = load_scenario("smoke")


def test_unknown_render_mode() -> None:
    with pytest.raises(ScenarioError, match=r"'human': must be None or one of 'ansi', 'rgb_array'"):
        EdgeAIGCEnv(scenario="smoke", render_mode="human")


def test_gymnasium_knows_the_modes() -> None:
    env = gymnasium.make("EdgeAIGC-v0", scenario="smoke", render_mode="ansi")
    assert env.metadata["render_modes"] == ["ansi", "rgb_array"]


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
    with pytest.raises(EpisodeOverError, match="before every row was reset"):
        env.save_state()
    workload = edge_marl.draw_workload(SMOKE, 0)
    env.reset(seed=0, options={"workloads": [None, workload]})
    with pytest.raises(WorkloadError, match="row 1 plays a workload that was given"):
        env.save_state()
