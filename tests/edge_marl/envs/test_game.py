"""The multi-agent game: its rules, errors and spaces; what PettingZoo's own tests ask for."""

from collections import Counter
from collections.abc import Callable
from functools import partial
from itertools import islice
from typing import Any

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
    render_test,
    seed_test,
    state_test,
)
from pettingzoo.test.save_obs_test import test_save_obs as check_save_obs

from edge_marl import EdgeAIGCRows, Workload, draw_workload, edge_aigc_v0, list_games, load_scenario
from edge_marl.envs.parallel import game_scenario
from edge_marl.errors import ActionError, EpisodeOverError, ScenarioError, WorkloadError
from edge_marl.kernel.world import GATEWAY
from tests.oracle.slotted_game import SlottedGame
from tests.worlds.transcripts import Choices, play, turns

GAMES: list[dict[str, Any]] = [
    {"scenario": "smoke"},
    {"scenario": "smoke", "slot_s": 900.0},
    {"scenario": "smoke", "slot_s": 900.0, "hold": True, "gateways": "servers"},
    {"scenario": "paper", "gateways": "servers", "reward": "local"},
    *({"scenario": name} for name in list_games()),
    {"scenario": load_scenario("smoke-game").with_sleep(20_000.0, 20_000.0)},
    {"scenario": load_scenario("campus-game").with_sleep(40.0, 20.0), "reward": "local"},
]


AGENT_STEPS = 2_000
"""Of a large game that PettingZoo's tests play: each is checked several times, by Python."""


def name_of(game: Any) -> str:
    if isinstance(game, str):
        return game
    return "-".join(getattr(value, "label", str(value)) for value in game.values())


each_game = pytest.mark.parametrize("game", GAMES, ids=name_of)
MASKED = [(game, "info") for game in GAMES]
MASKED += [(game, "observation") for game in GAMES if name_of(game).startswith(("smoke", "campus"))]
"""Where the mask is changes an observation's form, and that is the same in a small game."""


@pytest.mark.parametrize(("game", "action_mask"), MASKED, ids=name_of)
# What its lists of known environments let pass: a mask in the observation makes that a dict.
@pytest.mark.filterwarnings("ignore:Observation space for each agent probably should be")
@pytest.mark.filterwarnings("ignore:Observation is not a NumPy array")
def test_pettingzoos_tests_pass(game: dict[str, Any], action_mask: Any) -> None:
    """All of `pettingzoo.test` that can be run; 200 cycles are more than an episode of `smoke`.

    A game of hundreds of gateways plays fewer; the test after this one sees its episode's end.
    Its seed tests stop early and pass where seeds do nothing: test_returned.py has what is left.
    """
    make_parallel = partial(edge_aigc_v0.parallel_env, **game, action_mask=action_mask)
    make_aec = partial(edge_aigc_v0.env, **game, action_mask=action_mask)
    cycles = AGENT_STEPS // len(make_parallel().possible_agents)
    parallel_api_test(make_parallel(), min(200, cycles))
    parallel_seed_test(make_parallel, 200)
    api_test(make_aec(), 200)
    seed_test(make_aec, 200)
    state_test(make_aec(), make_parallel(), min(50, cycles))
    render_test(make_aec)
    check_save_obs(make_aec())  # these observations are no pictures: it saves none
    # Not run: max_cycles_test (no such argument: an episode is as long as its workload, see below),
    # bombardment_test (takes what step() returns for an observation, but that is None),
    # manual_control_test (for games with keys) and performance_benchmark (asserts nothing).


@each_game
def test_an_episode_is_as_long_as_its_workload(game: dict[str, Any]) -> None:
    """A step per decision on the event clock; at most one per slot up to the end otherwise."""
    env, aec = edge_aigc_v0.parallel_env(**game), edge_aigc_v0.env(**game)
    workload = draw_workload(env.scenario, 3)
    slot_ms = env.scenario.clock.slot_ms
    steps = sum(1 for _ in play(env, Choices(0), seed=3)) - 1  # one is the reset
    if slot_ms == 0:
        assert steps == workload.num_decisions(env.scenario)
    else:
        assert 0 < steps <= -(-env.scenario.arrivals.horizon_ms // slot_ms)
    turn = Counter(turn.agent for turn in turns(aec, Choices(0), seed=3))
    assert turn == dict.fromkeys(aec.possible_agents, steps + 1)  # one is for the end


KNOWN = {"action_mask", "agent_index"}


@each_game
def test_infos_hold_the_mask_and_whose_it_is_only(game: dict[str, Any]) -> None:
    """No wall clock, nothing of the future."""
    env, rows = edge_aigc_v0.parallel_env(**game), EdgeAIGCRows(2, **game)
    for step in islice(play(env, Choices(0), seed=0), 3):
        assert all(info.keys() == KNOWN for info in step.infos.values())
    assert rows.reset(seed=0)[1].keys() == KNOWN
    nothing = np.full((2, rows.num_gateways), rows.scenario.num_actions)
    assert rows.step(nothing)[-1].keys() == KNOWN


def test_pettingzoos_registry_makes_both() -> None:
    for kind in ("parallel", "aec"):
        env: Any = pettingzoo.make(kind, "edge_aigc/orchestration-v0", scenario="smoke")
        assert env.scenario == load_scenario("smoke")
        assert env.possible_agents == ["gateway_0", "gateway_1"]


@each_game
def test_spaces_hold_and_are_the_same_object(game: dict[str, Any]) -> None:
    env = edge_aigc_v0.parallel_env(**game)
    for agent in env.possible_agents:
        assert env.observation_space(agent) is env.observation_space(agent)
        assert env.action_space(agent) is env.action_space(agent)
    for step in islice(play(env, Choices(0), seed=0), 50):
        for agent, observation in step.observations.items():
            assert observation in env.observation_space(agent)
        assert step.state in env.state_space


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
        share = env.scenario.overload.penalty / len(env.possible_agents)
        assert set(rewards.values()) == {-share}
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
        paid = oracle.play([None if c == nothing else oracle.choice_of(int(c)) for c in chosen])
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


@pytest.mark.parametrize("wrong", [7, -1, 0.5, None])
def test_a_wrong_choice_in_turns_is_explained_and_asked_again(wrong: Any) -> None:
    env, twin = (edge_aigc_v0.env(scenario="smoke") for _ in range(2))
    env.reset(seed=0)
    twin.reset(seed=0)
    for choice in (0, 1, 2, 3, 4):
        agent = env.agent_selection
        with pytest.raises(ActionError, match=f"action {wrong} of {agent}: must be"):
            env.step(wrong)
        assert env.agent_selection == agent
        env.step(choice)
        twin.step(choice)
        assert env.agent_selection == twin.agent_selection
        assert env.rewards == twin.rewards
        np.testing.assert_array_equal(env.state(), twin.state())


@pytest.mark.parametrize("make", [edge_aigc_v0.parallel_env, edge_aigc_v0.env, EdgeAIGCRows])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"gateways": 0}, "gateways = 0: must be at least 1, or 'servers'"),
        ({"slot_s": -1.0}, "slot_s = -1.0, hold = False: .*greater than or equal to 0"),
        ({"slot_s": 1e-5}, "must be 0 .event clock. or at least 0.001"),
        ({"hold": True}, "hold = true needs slots"),
        ({"reward": "mine"}, "reward = 'mine': must be 'team', 'local' or 'vector'"),
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
