"""The multi-agent game: the same on every API; PettingZoo's own tests, their holes closed."""

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pettingzoo
import pytest
from gymnasium.vector import AutoresetMode
from hypothesis import given, settings
from hypothesis import strategies as st
from pettingzoo.test import (
    api_test,
    parallel_api_test,
    parallel_seed_test,
    seed_test,
)
from pettingzoo.test.save_obs_test import test_save_obs as check_save_obs
from pettingzoo.test.state_test import test_parallel_env as check_parallel_state
from pettingzoo.test.state_test import test_state as check_state
from pettingzoo.utils.conversions import parallel_to_aec

from edge_marl import EdgeAIGCRows, Workload, draw_workload, edge_aigc_v0, load_scenario
from edge_marl.envs.parallel import game_scenario
from edge_marl.errors import ActionError, EpisodeOverError, ScenarioError, WorkloadError
from edge_marl.workload import GATEWAY
from tests.oracle.slotted_game import SlottedGame

GAMES: list[dict[str, Any]] = [
    {"scenario": "smoke"},
    {"scenario": "smoke", "slot_s": 900.0},
    {"scenario": "smoke", "slot_s": 900.0, "hold": True, "gateways": "servers"},
    {"scenario": "paper", "gateways": "servers", "reward": "local"},
]


def name_of(game: dict[str, Any]) -> str:
    return "-".join(str(value) for value in game.values())


each_game = pytest.mark.parametrize("game", GAMES, ids=name_of)


def random_choices(env: Any, rng: np.random.Generator, legal: float = 0.9) -> dict[str, int]:
    """Mostly legal choices: masks are looked up where the environment last put them."""
    return {
        agent: int(
            rng.choice(np.flatnonzero(mask)) if rng.random() < legal else rng.integers(len(mask))
        )
        for agent, mask in env.last_masks.items()
    }


class Recorded:
    """Plays a parallel environment and keeps the masks."""

    def __init__(self, env: Any) -> None:
        self.env = env

    def reset(self, **settings: Any) -> list[Any]:
        observations, infos = self.env.reset(**settings)
        self.last_masks = {agent: info["action_mask"] for agent, info in infos.items()}
        return [list(observations.values()), [self.last_masks[a] for a in observations]]

    def step(self, choices: dict[str, int]) -> list[Any]:
        observations, rewards, terminations, truncations, infos = self.env.step(choices)
        self.last_masks = {agent: info["action_mask"] for agent, info in infos.items()}
        return [
            list(observations.values()),
            list(self.last_masks.values()),
            list(rewards.values()),
            list(terminations.values()),
            list(truncations.values()),
        ]

    def play(self, choices: int, **settings: Any) -> list[Any]:
        """All that an episode returns, with choices from a generator of their own."""
        rng = np.random.default_rng(choices)
        seen = [self.reset(**settings)]
        while self.env.agents:
            seen.append(self.step(random_choices(self, rng)))
        return seen


def equal(left: list[Any], right: list[Any]) -> bool:
    flat = [
        [np.concatenate([np.ravel(part) for part in step]) for step in run] for run in (left, right)
    ]
    return len(left) == len(right) and all(map(np.array_equal, *flat))


@each_game
@pytest.mark.filterwarnings("ignore:The `render_mode`")
def test_pettingzoos_tests_pass(game: dict[str, Any]) -> None:
    def make_parallel(**more: Any) -> Any:
        return edge_aigc_v0.parallel_env(**game, **more)

    def make_aec(**more: Any) -> Any:
        return edge_aigc_v0.env(**game, **more)

    parallel_api_test(make_parallel(), 200)
    parallel_seed_test(make_parallel, 50)
    api_test(make_aec(), 200)
    seed_test(make_aec, 50)
    check_save_obs(make_aec())
    check_state(make_aec(), 30)
    check_parallel_state(make_parallel())


def test_pettingzoos_registry_makes_both() -> None:
    for kind in ("parallel", "aec"):
        env: Any = pettingzoo.make(kind, "edge_aigc/orchestration-v0", scenario="smoke")
        assert env.scenario == load_scenario("smoke")
        assert env.possible_agents == ["gateway_0", "gateway_1"]


@pytest.mark.parametrize("mode", ["ansi", "rgb_array"])
def test_frames_are_drawn(mode: str) -> None:
    env = edge_aigc_v0.env(scenario="smoke", render_mode=mode)
    env.reset(seed=0)
    assert isinstance(env.render(), str if mode == "ansi" else np.ndarray)


@pytest.mark.parametrize("game", [GAMES[0], GAMES[3]], ids=name_of)
@pytest.mark.parametrize("reward", ["team", "local"])
def test_on_the_event_clock_it_is_the_single_environment(game: dict[str, Any], reward: Any) -> None:
    """Observation of the gateway that acts, reward, end: bit for bit, over two episodes."""
    game = game | {"reward": reward}
    env = edge_aigc_v0.parallel_env(**game)
    single: Any = gymnasium.make("EdgeAIGC-v0", scenario=env.scenario)
    rng = np.random.default_rng(0)
    count = len(env.possible_agents)
    for episode in range(2):
        seeds: dict[str, Any] = {"seed": 7} if episode == 0 else {}
        observation, _ = single.reset(**seeds)
        seen, infos = env.reset(**seeds)
        ended = False
        while not ended:
            masks = {agent: info["action_mask"] for agent, info in infos.items()}
            acting = [agent for agent in env.agents if masks[agent][:-1].any()]
            assert len(acting) == 1
            np.testing.assert_array_equal(seen[acting[0]], observation)
            action = int(rng.integers(len(masks[acting[0]]) - 1))
            choices = dict.fromkeys(env.agents, len(masks[acting[0]]) - 1) | {acting[0]: action}
            observation, paid, terminated, truncated, _ = single.step(action)
            seen, rewards, terminations, truncations, infos = env.step(choices)
            if reward == "local":
                assert rewards[acting[0]] == paid
                assert sum(rewards.values()) == paid
            else:
                assert set(rewards.values()) == {float(paid) / count}
            assert set(terminations.values()) == {terminated}
            assert set(truncations.values()) == {truncated}
            ended = terminated or truncated
        assert env.metrics() == single.unwrapped.metrics()


@each_game
def test_turns_are_the_parallel_game_and_pettingzoos_converter_agrees(game: dict[str, Any]) -> None:
    ours, theirs = edge_aigc_v0.env(**game), parallel_to_aec(edge_aigc_v0.parallel_env(**game))
    parallel = Recorded(edge_aigc_v0.parallel_env(**game))
    for env in (ours, theirs):
        env.reset(seed=3)
    parallel.reset(seed=3)
    rng = np.random.default_rng(0)
    for _ in range(60):
        if not parallel.env.agents:
            break
        choices = random_choices(parallel, rng)
        for agent in parallel.env.agents:
            for env in (ours, theirs):
                assert env.agent_selection == agent
            left, right = ours.last(), theirs.last()
            np.testing.assert_array_equal(left[0], right[0])
            assert left[1:4] == right[1:4]
            np.testing.assert_array_equal(left[4]["action_mask"], right[4]["action_mask"])
            ours.step(choices[agent])
            theirs.step(choices[agent])
        step = parallel.step(choices)
        agents = parallel.env.possible_agents
        np.testing.assert_array_equal([ours.observe(agent) for agent in agents], step[0])
        assert list(ours.rewards.values()) == step[2]
        assert ours.terminations == theirs.terminations
        assert ours.truncations == theirs.truncations


@each_game
def test_rows_are_the_parallel_games_across_their_ends(game: dict[str, Any]) -> None:
    rows = EdgeAIGCRows(3, **game)
    games = [Recorded(edge_aigc_v0.parallel_env(**game)) for _ in range(3)]
    seen, infos = rows.reset(seed=5)
    starts = [env.reset(seed=5 + row) for row, env in enumerate(games)]
    np.testing.assert_array_equal(seen, [start[0] for start in starts])
    rng = np.random.default_rng(0)
    ends = 0
    for _ in range(170 if game["scenario"] == "smoke" else 1800):
        masks = infos["action_mask"].reshape(-1, infos["action_mask"].shape[-1])
        chosen = [int(rng.choice(np.flatnonzero(mask))) for mask in masks]
        choices = np.array(chosen).reshape(infos["action_mask"].shape[:2])
        seen, rewards, terminated, truncated, infos = rows.step(choices)
        for row, env in enumerate(games):
            agents = env.env.agents
            step = env.step(dict(zip(agents, choices[row].tolist(), strict=True)))
            assert step[2] == rewards[row].tolist()
            assert set(step[3]) == {terminated[row]}
            assert set(step[4]) == {truncated[row]}
            if not env.env.agents:
                ends += 1
                np.testing.assert_array_equal(infos["final_obs"][row], step[0])
                step = env.reset()
            np.testing.assert_array_equal(seen[row], step[0])
            np.testing.assert_array_equal(infos["action_mask"][row], step[1])
    assert ends >= 3


@each_game
def test_reseeding_repeats_all_steps_seeds_and_episodes_differ(game: dict[str, Any]) -> None:
    env = Recorded(edge_aigc_v0.parallel_env(**game))
    first = env.play(0, seed=0)
    second_episode = env.play(0)
    assert equal(first, env.play(0, seed=0))
    assert equal(first, Recorded(edge_aigc_v0.parallel_env(**game)).play(0, seed=0))
    assert not equal(first, env.play(0, seed=1))
    assert not equal(first, second_episode)


@each_game
def test_nothing_returned_is_written_again(game: dict[str, Any]) -> None:
    env = Recorded(edge_aigc_v0.parallel_env(**game))
    rng = np.random.default_rng(0)
    returned = [env.reset(seed=0)] + [env.step(random_choices(env, rng)) for _ in range(10)]
    for step in returned:
        for array in (*step[0], *step[1]):
            array[:] = -1
    env.reset(seed=0)
    assert (np.array(returned[5][0]) == -1).all()
    fresh = env.reset(seed=0)
    assert (np.array(fresh[0]) >= 0).all()


@each_game
def test_spaces_hold_and_are_the_same_object(game: dict[str, Any]) -> None:
    env = edge_aigc_v0.parallel_env(**game)
    recorded = Recorded(env)
    rng = np.random.default_rng(0)
    seen = recorded.reset(seed=0)
    for agent in env.possible_agents:
        assert env.observation_space(agent) is env.observation_space(agent)
        assert env.action_space(agent) is env.action_space(agent)
    for _ in range(50):
        if not env.agents:
            break
        for agent, observation in zip(env.agents, seen[0], strict=True):
            assert observation in env.observation_space(agent)
        assert env.state() in env.state_space
        seen = recorded.step(random_choices(recorded, rng))


def test_masks_in_the_observation() -> None:
    env = edge_aigc_v0.parallel_env(scenario="smoke", action_mask="observation")
    seen, infos = env.reset(seed=0)
    for agent in env.agents:
        assert seen[agent] in env.observation_space(agent)
        np.testing.assert_array_equal(seen[agent]["action_mask"], infos[agent]["action_mask"])


def test_a_gateway_that_does_nothing_drops_its_task() -> None:
    env = edge_aigc_v0.parallel_env(scenario="smoke")
    env.reset(seed=0)
    nothing = env.scenario.num_actions
    for _ in range(5):
        _, rewards, *_ = env.step(dict.fromkeys(env.agents, nothing))
        assert set(rewards.values()) == {0.0}
    metrics = env.metrics()
    assert metrics["illegal_actions"] == 5
    assert metrics["lost_fraction"] == 1
    assert metrics["server_crashes"] == 0


def test_a_gateway_without_a_task_changes_nothing() -> None:
    env, twin = (edge_aigc_v0.parallel_env(scenario="smoke") for _ in range(2))
    _, infos = env.reset(seed=0)
    twin.reset(seed=0)
    for action in (0, 1, 2, 3):
        acting = [agent for agent in env.agents if infos[agent]["action_mask"][:-1].any()]
        steps = env.step(dict.fromkeys(env.agents, action))
        others = twin.step(dict.fromkeys(twin.agents, 6) | {acting[0]: action})
        assert steps[1] == others[1]
        infos = steps[4]
    assert env.metrics()["illegal_actions"] == 4
    assert twin.metrics()["illegal_actions"] == 0


def test_holding_keeps_the_task() -> None:
    env = edge_aigc_v0.parallel_env(scenario="smoke", slot_s=600.0, hold=True)
    seen, _ = env.reset(seed=0)
    for _ in range(3):
        held, *_ = env.step(dict.fromkeys(env.agents, 6))
        for agent in env.agents:
            if seen[agent][:6].any():
                np.testing.assert_array_equal(held[agent], seen[agent])
        seen = held
    assert env.metrics()["illegal_actions"] == 0


def test_state_and_observations_know_nothing_of_the_future() -> None:
    """Workloads equal up to task k: the same episode until task k is there."""
    scenario = game_scenario("smoke", None, None, 600.0, None)
    workload = draw_workload(scenario, 0)
    other = draw_workload(scenario, 1)
    k = 30
    tasks = np.concatenate(
        [workload.tasks[:k], other.tasks[other.tasks[:, 0] > workload.tasks[k - 1, 0]]]
    )
    twin = Workload(workload.topology, tasks)
    envs = [edge_aigc_v0.parallel_env(scenario=scenario) for _ in range(2)]
    seen = [
        env.reset(options={"workload": w})[0] for env, w in zip(envs, (workload, twin), strict=True)
    ]
    rng = np.random.default_rng(0)
    divides = min(w.tasks[k, 0] for w in (workload, twin))
    while envs[0].log().clock_ms < divides:
        for agent in envs[0].agents:
            np.testing.assert_array_equal(seen[0][agent], seen[1][agent])
        np.testing.assert_array_equal(envs[0].state(), envs[1].state())
        choices = {agent: int(rng.integers(6)) for agent in envs[0].agents}
        seen = [env.step(choices)[0] for env in envs]


@settings(max_examples=60, deadline=None)
@given(
    tier=st.sampled_from(["smoke", "agod"]),
    gateways=st.integers(1, 5),
    slot_s=st.sampled_from([0.5, 60.0, 600.0, 3000.0, 20_000.0]),
    hold=st.booleans(),
    seed=st.integers(0, 10**6),
    skew=st.booleans(),
)
def test_slots_are_those_of_the_oracle(
    tier: str, gateways: int, slot_s: float, hold: bool, seed: int, skew: bool
) -> None:
    scenario = game_scenario(tier, None, gateways, slot_s, hold)
    workload = draw_workload(scenario, seed)
    short = Workload(workload.topology, workload.tasks[:80])
    env = edge_aigc_v0.parallel_env(scenario=scenario, reward="local")
    seen, infos = env.reset(options={"workload": short})
    oracle = SlottedGame(scenario, short)
    rng = np.random.default_rng(seed)
    services, nothing = scenario.num_services, scenario.num_actions
    task_size = env.layout.task_size
    for _ in range(400):
        if not env.agents:
            break
        for g, agent in enumerate(env.agents):
            waiting = oracle.waiting(g)
            assert infos[agent]["action_mask"][:-1].any() == (waiting is not None)
            assert seen[agent][:task_size].any() == (waiting is not None)
            if waiting is not None:
                assert env.layout.decode(seen[agent]).demand == waiting.demand
            free = env.layout.decode(seen[agent]).free.tolist()
            assert free == [server.available for server in oracle.servers]
        chosen = rng.integers(nothing + 1, size=gateways)
        if skew:
            chosen = np.where(rng.random(gateways) < 0.7, chosen // (2 * services), chosen)
        paid = oracle.play([None if c == nothing else divmod(int(c), services) for c in chosen])
        seen, rewards, terminations, truncations, infos = env.step(
            dict(zip(env.agents, chosen.tolist(), strict=True))
        )
        assert list(rewards.values()) == paid
        assert set(terminations.values()) == {oracle.terminated}
        assert set(truncations.values()) == {oracle.truncated}
        log = env.log()
        assert log.clock_ms == oracle.now
        assert log.illegal_actions == oracle.illegal
        assert log.server_crashes.tolist() == [server.crashes for server in oracle.servers]
    else:
        assert slot_s < 60  # half-second slots with holding go on for long


def test_paper_splits_its_users_over_the_servers() -> None:
    scenario = game_scenario("paper", None, "servers", None, None)
    single = draw_workload(load_scenario("paper"), 0)
    split = draw_workload(scenario, 0)
    np.testing.assert_array_equal(split.tasks[:, :GATEWAY], single.tasks[:, :GATEWAY])
    assert set(split.tasks[:, GATEWAY]) == set(range(10))


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"gateway_0": 0}, "missing: gateway_1; unknown: none"),
        ({"gateway_0": 0, "gateway_1": 0, "gateway_2": 0}, "unknown: gateway_2"),
        (
            {"gateway_0": 7, "gateway_1": 0},
            "action 7 of gateway_0: must be a whole number from 0 to 6",
        ),
        ({"gateway_0": 0, "gateway_1": 0.5}, "action 0.5 of gateway_1"),
        ({"gateway_0": -1, "gateway_1": 0}, "action -1 of gateway_0"),
    ],
)
def test_wrong_choices_are_explained(choices: dict[str, Any], message: str) -> None:
    env = edge_aigc_v0.parallel_env(scenario="smoke")
    env.reset(seed=0)
    with pytest.raises(ActionError, match=message):
        env.step(choices)
    assert env.log().num_decisions == 0


@pytest.mark.parametrize("make", [edge_aigc_v0.parallel_env, edge_aigc_v0.env, EdgeAIGCRows])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"gateways": 0}, "gateways = 0: must be at least 1, or 'servers'"),
        ({"slot_s": -1.0}, "slot_s = -1.0, hold = False: .*greater than or equal to 0"),
        ({"slot_s": 1e-5}, "must be 0 .event clock. or at least 0.001"),
        ({"hold": True}, "hold = true needs slots"),
        ({"reward": "mine"}, "reward = 'mine': must be 'team' or 'local'"),
    ],
)
def test_wrong_arguments_are_explained(
    make: Callable[..., Any], arguments: dict[str, Any], message: str
) -> None:
    first = {"num_envs": 2} if make is EdgeAIGCRows else {}
    with pytest.raises(ScenarioError, match=message):
        make(**first, scenario="smoke", **arguments)


def test_calls_out_of_turn_are_explained() -> None:
    with pytest.raises(EpisodeOverError, match=r"call reset\(\) first"):
        edge_aigc_v0.parallel_env(scenario="smoke").step({})
    with pytest.raises(EpisodeOverError, match=r"call reset\(\) first"):
        edge_aigc_v0.env(scenario="smoke").step(0)
    rows = EdgeAIGCRows(2, scenario="smoke", autoreset_mode=AutoresetMode.DISABLED)
    with pytest.raises(EpisodeOverError, match=r"call reset\(\) first"):
        rows.step(np.zeros((2, 2), dtype=int))
    rows.reset(seed=0)
    with pytest.raises(ActionError, match=r"must be whole numbers of shape \(2, 2\)"):
        rows.step(np.zeros(2, dtype=int))
    with pytest.raises(ActionError, match="choice 7 of row 1, gateway 0: must be from 0 to 6"):
        rows.step(np.array([[0, 0], [7, 0]]))
    with pytest.raises(WorkloadError, match="must be a Workload"):
        edge_aigc_v0.parallel_env(scenario="smoke").reset(options={"workload": "w.npz"})
