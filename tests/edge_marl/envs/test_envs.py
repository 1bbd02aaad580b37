"""`EdgeAIGC-v0`, single and vector: Gymnasium's checks, and what they leave open."""

import copy
import pickle
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode

import edge_marl
from edge_marl import draw_workload, load_scenario
from edge_marl.errors import ActionError, EpisodeOverError, ScenarioError, WorkloadError

TIERS = ("smoke", "agod", "paper")
Step = tuple[Any, float, bool, bool]


def make(**settings: Any) -> Any:
    return gymnasium.make("EdgeAIGC-v0", **settings)


def play(env: Any, actions: Iterator[int], **reset: Any) -> list[Any]:
    """Everything that an episode returns, the reset's observation included."""
    observation, _ = env.reset(**reset)
    seen: list[Any] = [observation]
    ended = False
    while not ended:
        *step, _ = env.step(next(actions))
        seen.append(step)
        ended = step[2] or step[3]
    return seen


def same(left: list[Any], right: list[Any]) -> bool:
    return len(left) == len(right) and all(
        np.array_equal(np.hstack([np.ravel(x) for x in a]), np.hstack([np.ravel(x) for x in b]))
        for a, b in zip(left, right, strict=True)
    )


def choices(scenario: str, seed: int = 0) -> Iterator[int]:
    rng = np.random.default_rng(seed)
    count = load_scenario(scenario).num_actions
    while True:
        yield int(rng.integers(count))


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("action_mask", ["info", "observation"])
@pytest.mark.parametrize("render_mode", [None, "ansi", "rgb_array"])
def test_gymnasiums_checker_is_content(
    tier: str, action_mask: str, render_mode: str | None
) -> None:
    env = make(scenario=tier, action_mask=action_mask, render_mode=render_mode)
    check_env(env.unwrapped, skip_render_check=render_mode is None)


def test_default_scenario_is_paper_and_the_module_form_works() -> None:
    env: Any = gymnasium.make("edge_marl:EdgeAIGC-v0").unwrapped
    assert env.scenario == load_scenario("paper")
    assert make(scenario="paper", world=4).unwrapped.scenario == load_scenario("paper", world=4)


def test_spec_survives_json() -> None:
    spec = make(scenario="smoke").spec
    again: Any = gymnasium.make(gymnasium.envs.registration.EnvSpec.from_json(spec.to_json()))
    assert again.unwrapped.scenario == load_scenario("smoke")


def test_episode_k_is_the_k_th_workload_of_the_seed() -> None:
    scenario = load_scenario("smoke")
    env = make(scenario="smoke").unwrapped
    env.reset(seed=11)
    for episode in range(3):
        expected = draw_workload(scenario, 11, episode=episode)
        np.testing.assert_array_equal(env.log().tasks[:, :5], expected.tasks)
        env.reset()


def test_given_workload_is_played_and_takes_no_episode() -> None:
    scenario = load_scenario("smoke")
    env = make(scenario="smoke").unwrapped
    workload = draw_workload(scenario, 5, split="test")
    env.reset(seed=1)
    env.reset(options={"workload": workload, "unknown": 1})
    np.testing.assert_array_equal(env.log().tasks[:, :5], workload.tasks)
    env.reset()
    expected = draw_workload(scenario, 1, episode=1)
    np.testing.assert_array_equal(env.log().tasks[:, :5], expected.tasks)


@pytest.mark.parametrize(("tier", "terminates"), [("smoke", False), ("agod", True)])
def test_episode_ends_as_its_tier_says(tier: str, terminates: bool) -> None:
    env = make(scenario=tier)
    *_, (_, _, terminated, truncated) = play(env, choices(tier), seed=0)
    assert (terminated, truncated) == (terminates, not terminates)
    log = env.unwrapped.log()
    assert log.num_decisions == len(log.tasks) - terminates
    with pytest.raises(EpisodeOverError, match=r"call reset\(\) first"):
        env.step(0)


def test_last_observation_of_a_horizon_episode_shows_no_task() -> None:
    env = make(scenario="smoke")
    *_, (observation, *_) = play(env, choices("smoke"), seed=0)
    assert (observation[: env.unwrapped.layout.task_size] == 0).all()
    assert env.unwrapped.log().clock_ms == 150_000_000


def test_step_before_reset_is_explained() -> None:
    for env in (make(scenario="smoke"), gymnasium.make_vec("EdgeAIGC-v0", 2, scenario="smoke")):
        with pytest.raises(EpisodeOverError, match="call reset"):
            env.step(np.zeros(2, dtype=int) if hasattr(env, "num_envs") else 0)


@pytest.mark.parametrize("action", [-1, 6, 10**30, 1.0, "2", None, np.array([1, 2])])
def test_action_outside_the_space_is_explained_and_changes_nothing(action: Any) -> None:
    env = make(scenario="smoke")
    env.reset(seed=0)
    with pytest.raises(ActionError, match=r"must be a whole number from 0 to 5 \(server"):
        env.step(action)
    assert env.unwrapped.log().num_decisions == 0


@pytest.mark.parametrize("action", [np.int64(3), np.int8(3), np.array(3), True])
def test_any_kind_of_whole_number_is_an_action(action: Any) -> None:
    env = make(scenario="smoke")
    env.reset(seed=0)
    env.step(action)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"scenario": "papr"}, "unknown tier 'papr': did you mean 'paper'"),
        ({"action_mask": "both"}, "action_mask = 'both': must be 'info' or 'observation'"),
    ],
)
def test_wrong_argument_is_explained(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        make(**settings)
    with pytest.raises(ScenarioError, match=message):
        gymnasium.make_vec("EdgeAIGC-v0", num_envs=2, **settings)


def test_wrong_workload_is_explained() -> None:
    env = make(scenario="smoke")
    with pytest.raises(WorkloadError, match="workload given for row 0 is a str: must be"):
        env.reset(options={"workload": "w.npz"})
    with pytest.raises(WorkloadError, match="scenario 'smoke' has"):
        env.reset(options={"workload": draw_workload(load_scenario("paper"), 0)})


def test_info_holds_the_mask_and_whose_it_is_only() -> None:
    """No wall clock, nothing of the future."""
    env = make(scenario="smoke")
    assert set(env.reset(seed=0)[1]) == {"action_mask", "agent_index"}
    assert set(env.step(0)[-1]) == {"action_mask", "agent_index"}


def test_vector_with_masks_in_the_observation() -> None:
    vector = gymnasium.make_vec(
        "EdgeAIGC-v0", num_envs=2, scenario="smoke", action_mask="observation"
    )
    seen, _ = vector.reset(seed=0)
    assert seen in vector.observation_space
    for _ in range(100):
        seen, *_, infos = vector.step(vector.action_space.sample())
        assert seen in vector.observation_space
        if "final_obs" in infos:
            row = int(np.flatnonzero(infos["_final_obs"])[0])
            assert infos["final_obs"][row] in vector.single_observation_space
            break
    else:
        pytest.fail("no episode ended")


def vector_without_autoreset(num_envs: int = 3, **settings: Any) -> Any:
    return gymnasium.make_vec(
        "EdgeAIGC-v0",
        num_envs=num_envs,
        scenario="smoke",
        autoreset_mode=AutoresetMode.DISABLED,
        **settings,
    )


def test_disabled_autoreset_leaves_ended_rows_at_their_end() -> None:
    vector = vector_without_autoreset()
    assert vector.metadata["autoreset_mode"] == AutoresetMode.DISABLED
    workloads = [draw_workload(load_scenario("smoke"), k, split="test") for k in range(3)]
    lengths = [workload.num_tasks for workload in workloads]
    vector.reset(options={"workloads": workloads})
    for step in range(1, max(lengths) + 3):
        seen, rewards, terminated, truncated, _ = vector.step(np.full(3, step % 6))
        np.testing.assert_array_equal(truncated, step >= np.array(lengths))
        assert not terminated.any()
        assert (rewards[step > np.array(lengths)] == 0).all()
    assert [vector.metrics(row)["tasks"] for row in range(3)] == lengths
    fresh, _ = vector.reset(options={"reset_mask": np.array([False, True, False])})
    np.testing.assert_array_equal(fresh[[0, 2]], seen[[0, 2]])
    assert vector.log(1).num_decisions == 0
    assert vector.log(0).num_decisions == lengths[0]


def test_masked_reset_equals_the_single_environments_next_episode() -> None:
    vector, single = vector_without_autoreset(), make(scenario="smoke")
    vector.reset(seed=5)
    single.reset(seed=6)
    seen, _ = vector.reset(options={"reset_mask": np.array([False, True, False])})
    np.testing.assert_array_equal(seen[1], single.reset()[0])
    seen, _ = vector.reset(seed=[None, 9, None])
    np.testing.assert_array_equal(seen[1], single.reset(seed=9)[0])


def test_unseeded_vectors_differ_and_so_do_their_rows() -> None:
    first, second = vector_without_autoreset(), vector_without_autoreset()
    first.reset()
    second.reset()
    tables = {vec.log(row).tasks.tobytes() for vec in (first, second) for row in range(3)}
    assert len(tables) == 6


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        ([0, 1], r"shape \(2,\) and type int64: must be 3 whole numbers"),
        ([0, 1, 2.0], "type float64: must be 3 whole numbers"),
        ([0, 6, 0], "action 6 of row 1: must be from 0 to 5"),
        ([0, 0, -1], "action -1 of row 2: must be from 0 to 5"),
    ],
)
def test_wrong_vector_actions_are_explained(actions: Any, message: str) -> None:
    vector = vector_without_autoreset()
    vector.reset(seed=0)
    with pytest.raises(ActionError, match=message):
        vector.step(np.array(actions))
    assert vector.log(0).num_decisions == 0


@pytest.mark.parametrize(
    ("reset", "message"),
    [
        ({"options": {"reset_mask": [True] * 3}}, "reset_mask'. is list: must be a NumPy array"),
        ({"options": {"reset_mask": np.zeros(3, dtype=bool)}}, "0 rows set"),
        ({"options": {"reset_mask": np.ones(2, dtype=bool)}}, r"must have shape \(3,\)"),
        ({"options": {"workloads": [None]}}, "has 1 entries: must have 3"),
        ({"options": {"workloads": [1, 2, 3]}}, "given for row 0 is a int: must be a Workload"),
        ({"seed": [1, 2]}, "seed has 2 entries: must be one number, or 3 of them"),
    ],
)
def test_wrong_vector_reset_is_explained(reset: dict[str, Any], message: str) -> None:
    with pytest.raises(WorkloadError, match=message):
        vector_without_autoreset().reset(**reset)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_envs": 0}, "num_envs = 0: must be at least 1"),
        ({"autoreset_mode": "never"}, "never: must be NEXT_STEP or SAME_STEP or DISABLED"),
        (
            {"max_episode_steps": 5},
            "max_episode_steps = 5: episodes of a batch end as",
        ),
        ({"num_envs": 2.5}, "num_envs = 2.5: must be a whole number"),
        ({"render_mode": "ansi"}, "a batch does not render"),
    ],
)
def test_wrong_vector_argument_is_explained(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        edge_marl.EdgeAIGCVectorEnv(**{"num_envs": 1, "scenario": "smoke", **settings})


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
def test_copy_goes_on_by_itself(duplicate: Any) -> None:
    """A copy shares no memory: neither notices the other's steps."""
    env, vector = make(scenario="smoke"), gymnasium.make_vec("EdgeAIGC-v0", 300, scenario="smoke")
    env.reset(seed=0)
    vector.reset(seed=0)
    for action in (0, 1, 4):
        env.step(action)
        vector.step(np.full(300, action))
    twin, vector_twin = duplicate(env), duplicate(vector)
    steps = [env.step(action)[:2] for action in (5, 0, 0, 0, 3)]
    again = [twin.step(action)[:2] for action in (5, 0, 0, 0, 3)]
    assert same([list(step) for step in steps], [list(step) for step in again])
    seen = [vector.step(np.full(300, action))[0] for action in (5, 0, 0)]
    seen_again = [vector_twin.step(np.full(300, action))[0] for action in (5, 0, 0)]
    np.testing.assert_array_equal(seen, seen_again)
    assert same(play(env, choices("smoke"), seed=4), play(twin, choices("smoke"), seed=4))


def test_rendered_frames_show_the_load() -> None:
    env = make(scenario="smoke", render_mode="ansi")
    env.reset(seed=0)
    empty = env.render()
    assert empty.count("server") == 3
    assert "#" not in empty
    env.step(0)
    assert "#" in env.render()
    frame = make(scenario="smoke", render_mode="rgb_array")
    frame.reset(seed=0)
    before = frame.render()
    frame.step(0)
    assert before.dtype == np.uint8
    assert before.shape == frame.render().shape
    assert (before != frame.render()).any()
