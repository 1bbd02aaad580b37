"""One game on every API: observations, rewards, ends and infos are the same, bit for bit.

On random worlds, and on `smoke` and `paper` with several gateways. The Parallel API is what the
others are compared with; Gymnasium's and PettingZoo's own converters say what they must return.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice, repeat
from typing import Any
from unittest.mock import patch

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pettingzoo.utils.conversions import aec_to_parallel, parallel_to_aec

from edge_marl import EdgeAIGCRows, draw_workload, edge_aigc_v0, list_games, load_scenario
from edge_marl.envs.parallel import EdgeAIGCParallelEnv, game_scenario
from tests.edge_marl.envs.batches import run_batch
from tests.worlds import strategies
from tests.worlds.every_part import TERMS, world
from tests.worlds.strategies import Game
from tests.worlds.transcripts import Choices, Step, assert_same, frozen, play, transcript, turns

Test = Callable[..., None]


def tier(
    name: str, gateways: Any, slot_s: float = 0.0, hold: bool = False, days: float | None = None
) -> Game:
    """A tier with gateways and a clock, cut short to so many days."""
    scenario = game_scenario(name, None, gateways, slot_s, hold)
    if days is not None:
        arrivals = scenario.arrivals.model_copy(update={"horizon_s": days * 86400})
        scenario = scenario.model_copy(update={"arrivals": arrivals})
    return Game(scenario, draw_workload(scenario, 0, split="test"), seed=0)


WHOLE = [tier("smoke", 2), tier("paper", "servers")]
SHORT = [
    tier("smoke", 2),
    tier("smoke", 4, 900.0),
    tier("smoke", "servers", 900.0, hold=True),
    tier("paper", "servers", days=0.5),
    tier("paper", "servers", 900.0, hold=True, days=0.5),
]


def extended(
    slot_s: float = 0.0, hold: bool = False, refund: bool = True, **more: dict[str, Any]
) -> Game:
    """The world with every part of the extended model on, for two minutes."""
    scenario = world(arrivals={"horizon_s": 120.0}, overload={"refund": refund}, **more)
    scenario = scenario.with_clock(slot_s, hold)
    return Game(scenario, draw_workload(scenario, 0, split="test"), seed=0)


def released(name: str) -> Game:
    """A released game, for some 40 requests.

    Of ten gateways at most: PettingZoo's converter sorts names at the end, "10" before "2".
    """
    scenario = load_scenario(name)
    scenario = scenario.with_gateways(min(10, scenario.gateways.count))
    arrivals = scenario.arrivals.model_copy(update={"horizon_s": 40 / scenario.arrivals.rate_per_s})
    scenario = scenario.model_copy(update={"arrivals": arrivals})
    return Game(scenario, draw_workload(scenario, 0, split="test"), seed=0)


def asleep(game: Game) -> Game:
    """The same game with gateways that sleep a third of the time."""
    slot_s = game.scenario.clock.slot_s
    scenario = game.scenario.with_sleep(6 * slot_s, 3 * slot_s)
    return Game(scenario, draw_workload(scenario, 0, split="test"), seed=0)


SHORT += [released(name) for name in list_games()]
SHORT += [asleep(released("paper-game")), asleep(extended(5.0, hold=True, **TERMS))]
SHORT += [extended(), extended(5.0), extended(5.0, hold=True), extended(5.0, True, **TERMS)]


def on_games(
    max_examples: int, *tiers: Game, clocks: tuple[str, ...] = strategies.CLOCKS, **more: list[Any]
) -> Callable[[Test], Test]:
    """Run a test on random games, `more` drawn from its lists, and on tiers, with each in turn."""

    def decorate(test: Test) -> Test:
        drawn = {name: st.sampled_from(values) for name, values in more.items()}
        run = given(game=strategies.games(clocks), **drawn)(test)
        for at, game in enumerate(tiers):
            fixed = {name: values[at % len(values)] for name, values in more.items()}
            run = example(game=game, **fixed)(run)
        return settings(strategies.THOROUGH, max_examples=max_examples)(run)

    return decorate


REWARDS = ["local", "team"]
MASKS_IN = ["info", "observation"]


@on_games(
    25,
    *WHOLE,
    *WHOLE[::-1],
    extended(refund=False),
    clocks=("events",),
    reward=REWARDS,
    idle=["still", "busy"],
)
def test_on_the_event_clock_it_is_the_single_environment(
    game: Game, reward: Any, idle: str
) -> None:
    """Also where the gateways without a task choose something, which counts but changes nothing."""
    env = edge_aigc_v0.parallel_env(scenario=game.scenario, reward=reward)
    single: Any = gymnasium.make("EdgeAIGC-v0", scenario=game.scenario)
    agents, nothing = env.possible_agents, game.scenario.num_actions
    rng = np.random.default_rng(game.seed)
    for reset in game.resets:
        observation, info = single.reset(**reset)
        seen, infos = env.reset(**reset)
        ended = False
        while not ended:
            [acting] = [agent for agent in agents if infos[agent]["action_mask"][nothing] == 0]
            assert frozen(seen[acting]) == frozen(observation)
            assert frozen(infos[acting]["action_mask"][:nothing]) == frozen(info["action_mask"])
            assert infos[acting]["agent_index"] == info["agent_index"] == agents.index(acting)
            assert_idle(env, set(agents) - {acting}, seen, infos, observation)
            action = int(rng.integers(nothing) if rng.random() < 0.7 else 0)
            others = rng.integers(nothing + 1, size=len(agents)).tolist()
            choices = dict.fromkeys(agents, nothing)
            if idle == "busy":
                choices = dict(zip(agents, others, strict=True))
            observation, paid, terminated, truncated, info = single.step(action)
            seen, rewards, terminations, truncations, infos = env.step(choices | {acting: action})
            own = dict.fromkeys(agents, 0.0) | {acting: paid}
            team = dict.fromkeys(agents, paid / len(agents))
            assert rewards == (own if reward == "local" else team)
            assert terminations == dict.fromkeys(agents, terminated)
            assert truncations == dict.fromkeys(agents, truncated)
            ended = terminated or truncated
        # The single environment may show the last task, which is never assigned; no gateway does.
        assert_idle(env, agents, seen, infos, observation)
        log, other = env.log(), single.unwrapped.log()
        for name in ("tasks", "rewards", "capacity", "server_crashes", "clock_ms"):
            assert frozen(getattr(log, name)) == frozen(getattr(other, name))
        if idle == "still":
            np.testing.assert_equal(env.metrics(), single.unwrapped.metrics())


def assert_idle(
    env: EdgeAIGCParallelEnv, agents: Iterable[str], seen: Any, infos: Any, observation: Any
) -> None:
    """Agents without a task see the servers, the same for all, and may do nothing only."""
    first_server = env.layout.task_size
    for agent in agents:
        assert not seen[agent][:first_server].any()
        if not env.scenario.extended:  # there each has neighbours of its own
            assert frozen(seen[agent][first_server:]) == frozen(observation[first_server:])
        assert infos[agent]["action_mask"].tolist() == [0] * env.scenario.num_actions + [1]


@on_games(25, *SHORT, reward=REWARDS, action_mask=MASKS_IN)
def test_turns_are_the_parallel_game(game: Game, reward: Any, action_mask: Any) -> None:
    """And PettingZoo's converters, in both directions, make the same of the one and the other."""
    made = {"scenario": game.scenario, "reward": reward, "action_mask": action_mask}
    parallel, aec = edge_aigc_v0.parallel_env(**made), edge_aigc_v0.env(**made)
    count = len(parallel.possible_agents)
    for _ in islice(turns(aec, Choices(1), seed=1), count + 2):
        pass  # an episode that is broken off in the middle of a round leaves nothing behind
    steps = transcript(parallel, Choices(game.seed), game.resets)
    ours = transcript(aec, Choices(game.seed), game.resets, turns)
    assert len(ours) == len(steps) * count
    for at, turn in enumerate(ours):
        step = steps[at // count]
        assert turn.agent == parallel.possible_agents[at % count]
        assert turn.found == tuple(part[turn.agent] for part in step[:-1])
        if at % count == 0:
            assert turn.shown == step[1:4]
        elif not step.last:
            assert turn.shown == (dict.fromkeys(step.rewards, 0.0), *step[2:4])
    converted = parallel_to_aec(edge_aigc_v0.parallel_env(**made))
    assert_same(ours, transcript(converted, Choices(game.seed), game.resets, turns))
    back = aec_to_parallel(edge_aigc_v0.env(**made))
    assert_same(steps, transcript(back, Choices(game.seed), game.resets))


def endless(game: Game, row: int, reward: Any) -> Iterator[Step]:
    """Episode after episode of the seed that a row of a batch has, frozen."""
    env = edge_aigc_v0.parallel_env(scenario=game.scenario, reward=reward)
    choose = Choices(game.seed + row)
    reset: dict[str, Any] = {"seed": game.seed + row}
    while True:
        yield from map(frozen, play(env, choose, **reset))
        reset = {}


class Together:
    """In the place of `Pace`: threads in every step, whether they are faster or not."""

    def run(self, alone: Callable[[], None], together: Callable[[], None]) -> None:
        together()


@contextmanager
def in_threads(yes: bool) -> Iterator[None]:
    """Have each row of small batches in a thread of its own (as far as there are cores)."""
    with (
        patch("edge_marl.simulator.stepping.ROWS_PER_THREAD", 1 if yes else 1000),
        patch("edge_marl.simulator.stepping.Pace", Together),
    ):
        yield


def assert_rows_show(rows: EdgeAIGCRows, seen: Any, infos: Any, steps: Sequence[Step]) -> None:
    """Compare what a batch shows now, observations, infos and states, with a step of each game."""
    state = rows.state()
    for row, step in enumerate(steps):
        assert [frozen(one) for one in seen[row]] == list(step.observations.values())
        for g, info in enumerate(step.infos.values()):
            assert {name: frozen(infos[name][row, g]) for name in infos.keys() & info} == info
        assert frozen(state[row]) == step.state


def assert_rows_paid(returned: Any, steps: Sequence[Step]) -> None:
    """Compare what a batch's step paid, and whom it ended, with a step of each game."""
    _, rewards, terminated, truncated, _ = returned
    for row, step in enumerate(steps):
        assert rewards[row].tolist() == list(step.rewards.values())
        assert {terminated[row]} == set(step.terminations.values())
        assert {truncated[row]} == set(step.truncations.values())


def choose_rows(chooses: list[Choices], infos: Any) -> list[list[int]]:
    """Choices (E, G) for the masks of a batch."""
    return [choose(mask) for choose, mask in zip(chooses, infos["action_mask"], strict=True)]


@on_games(25, *SHORT, reward=REWARDS, num_envs=[3, 1, 2], threads=[True, False])
def test_rows_are_the_parallel_games_across_their_ends(
    game: Game, reward: Any, num_envs: int, threads: bool
) -> None:
    with in_threads(threads):
        rows = EdgeAIGCRows(num_envs, scenario=game.scenario, reward=reward)
    for _ in islice(run_batch(rows, seed=1), 3):
        pass  # episodes that are broken off leave nothing behind
    chooses = [Choices(game.seed + row) for row in range(num_envs)]
    games = [endless(game, row, reward) for row in range(num_envs)]
    seen, infos = rows.reset(seed=game.seed)
    assert_rows_show(rows, seen, infos, [next(steps) for steps in games])
    ends = np.zeros(num_envs, dtype=int)
    while ends.min() < 2:
        returned = rows.step(choose_rows(chooses, infos))
        seen, infos = returned[0], returned[-1]
        steps = [next(steps) for steps in games]
        assert_rows_paid(returned, steps)
        ended = np.array([step.last for step in steps])
        assert ("final_obs" in infos) == ended.any()
        if ended.any():
            assert frozen(infos["_final_obs"]) == frozen(ended)
        for row in np.flatnonzero(ended):
            last = [frozen(one) for one in infos["final_obs"][row]]
            assert last == list(steps[row].observations.values())
            steps[row] = next(games[row])
        assert_rows_show(rows, seen, infos, steps)
        ends += ended


@on_games(20, *SHORT, reward=REWARDS)
def test_rows_rest_at_their_end_until_they_are_reset(game: Game, reward: Any) -> None:
    """One row plays the given workload, the others their seeds; then two of them go on."""
    made = {"scenario": game.scenario, "reward": reward}
    rows = EdgeAIGCRows(3, **made, autoreset_mode=AutoresetMode.DISABLED)
    envs = [edge_aigc_v0.parallel_env(**made) for _ in range(3)]
    given = [game.workload, None, None]
    resets: list[dict[str, Any]] = [
        {"seed": game.seed + row, "options": {"workload": workload}}
        for row, workload in enumerate(given)
    ]
    episodes = [transcript(env, Choices(row), [resets[row]]) for row, env in enumerate(envs)]
    play_rows(rows, {"seed": game.seed, "options": {"workloads": given}}, episodes)
    for row in (0, 2):
        episodes[row] = transcript(envs[row], Choices(row), [{}])
    episodes[1] = episodes[1][-1:]
    play_rows(rows, {"options": {"reset_mask": np.array([True, False, True])}}, episodes)
    for row, env in enumerate(envs):
        np.testing.assert_equal(rows.metrics(row), env.metrics())


def play_rows(rows: EdgeAIGCRows, reset: dict[str, Any], episodes: list[list[Step]]) -> None:
    """Play a batch until all of its rows rest, two steps longer, and compare with episodes."""
    chooses = [Choices(row) for row in range(rows.num_envs)]
    at_rest = [
        repeat(episode[-1]._replace(rewards=dict.fromkeys(episode[-1].rewards, 0.0)))
        for episode in episodes
    ]
    first, *others = islice(
        zip(*map(chain, episodes, at_rest), strict=False), max(map(len, episodes)) + 2
    )
    seen, infos = rows.reset(**reset)
    assert_rows_show(rows, seen, infos, first)
    for steps in others:
        returned = rows.step(choose_rows(chooses, infos))
        seen, infos = returned[0], returned[-1]
        assert_rows_paid(returned, steps)
        assert_rows_show(rows, seen, infos, steps)


def told(infos: dict[str, Any]) -> dict[str, Any]:
    """What infos of a vector environment say, in the rows where they say that they say it."""
    said: dict[str, Any] = {}
    for key, value in infos.items():
        rows = infos[key if key.startswith("_") else f"_{key}"]
        if isinstance(value, dict):
            said[key] = told(value)
        elif value is rows:
            said[key] = frozen(rows)
        else:
            said[key] = [frozen(value[row]) for row in np.flatnonzero(rows)]
    return said


@on_games(
    25,
    *SHORT,
    tier("agod", 1, days=1),
    clocks=("events",),
    num_envs=[5, 1, 2],
    action_mask=MASKS_IN,
    threads=[True, False],
)
def test_vector_rows_are_single_environments_across_their_ends(
    game: Game, num_envs: int, action_mask: Any, threads: bool
) -> None:
    """Gymnasium's own batch of single environments returns the same, final observations too."""
    made: dict[str, Any] = {"scenario": game.scenario.on_events(), "action_mask": action_mask}
    with in_threads(threads):
        ours: Any = gymnasium.make_vec("EdgeAIGC-v0", num_envs, **made)
    theirs: Any = gymnasium.make_vec(
        "EdgeAIGC-v0",
        num_envs,
        vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": AutoresetMode.SAME_STEP},
        **made,
    )
    assert ours.metadata["autoreset_mode"] == theirs.metadata["autoreset_mode"]
    assert ours.observation_space == theirs.observation_space
    assert ours.action_space == theirs.action_space
    rng = np.random.default_rng(game.seed)
    left, right = (vector.reset(seed=game.seed) for vector in (ours, theirs))
    ends = np.zeros(num_envs, dtype=int)
    while True:
        assert frozen(left[:-1]) == frozen(right[:-1])
        assert told(left[-1]) == told(right[-1])
        if ends.min() == 2:
            break
        actions = rng.integers(game.scenario.num_actions, size=num_envs)
        actions[rng.random(num_envs) < 0.3] = 0
        left, right = (vector.step(actions) for vector in (ours, theirs))
        ends += right[2] | right[3]
