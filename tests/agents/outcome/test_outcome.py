"""`outcome`: that it learns, from what is known, and that it draws as it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tianshou.data import Batch
from tianshou.utils.torch_utils import policy_within_training_step

from edge_marl.agents import load, make
from edge_marl.agents.networks.priors import MOST
from edge_marl.agents.outcome.agents import OutcomeAgent
from edge_marl.agents.outcome.settings import OutcomeConfig
from edge_marl.agents.training.settings_text import configure
from edge_marl.agents.training.trainer import LearningTrainer
from edge_marl.errors import AgentError
from edge_marl.kernel import world as k
from edge_marl.scenario import Scenario, load_scenario
from edge_marl.testing import check_agent
from tests.agents.test_contract import masks, play, some_observations
from tests.agents.training.test_training import PLAIN, utility_per_task
from tests.worlds.every_part import TERMS, world
from tests.worlds.learners import learnt

SMOKE = load_scenario("smoke")
SLOTS = SMOKE.with_gateways(3).with_clock(600.0, hold=False)
LINES = world(arrivals={"horizon_s": 120.0, "rate_per_s": 2.0}, **TERMS)
SMALL: dict[str, Any] = {
    "num_envs": 8,
    "decisions_per_update": 8,
    "batch_size": 128,
    "hidden": (32, 32),
    "learning_rate": 0.01,
    "temperature_start": 0.2,  # a network that is told nothing has to try all services
}


def small_trainer(scenario: Scenario, **settings: Any) -> LearningTrainer:
    made = make("outcome", scenario)
    assert isinstance(made, LearningTrainer)
    configure(made, SMALL | settings)
    return made


@pytest.mark.parametrize(
    ("scenario", "settings"),
    [
        (PLAIN, {}),
        (PLAIN.with_gateways(2).with_clock(5.0, hold=True), {}),
        (PLAIN.with_gateways(2), {"sharing": "none"}),
    ],
    ids=["alone", "slots", "unshared"],
)
def test_learns_which_service_is_good(scenario: Scenario, settings: dict[str, Any]) -> None:
    trainer = small_trainer(scenario, **settings)
    before = utility_per_task(trainer.start(scenario, 8, seed=0).agent(), scenario)
    after = utility_per_task(trainer.train(scenario, 2000, seed=0), scenario)
    assert before < 0.8
    assert after > 0.95


def test_starts_from_what_the_heuristics_take_places_to_be_worth() -> None:
    agent: Any = small_trainer(LINES).start(LINES, 100, seed=0).agent()
    seen = np.random.default_rng(0).random((4, agent.actor.features.tokens._layout.size))
    mask = torch.ones((4, LINES.num_actions), dtype=torch.bool)
    outcomes = agent.actor(torch.from_numpy(seen), mask)
    features = agent.actor.features(torch.from_numpy(seen), mask.nonzero()[:, 1].view(4, -1))
    torch.testing.assert_close(outcomes, features[..., -1])


@pytest.mark.parametrize("prior", ["max-weight", "prophet", "bid-price"])
def test_a_prior_says_what_the_tasks_after_it_pay(prior: str) -> None:
    """It starts from what the heuristic takes places to be worth, and learns their value alone."""
    agent: Any = small_trainer(LINES, prior=prior).start(LINES, 100, seed=0).agent()
    actor = agent.actor
    generator = np.random.default_rng(0)
    seen = torch.from_numpy(generator.random((4, actor.features.tokens._layout.size)))
    mask = torch.ones((4, LINES.num_actions), dtype=torch.bool)
    action = mask.nonzero()[:, 1].view(4, -1)
    told = [torch.zeros(4, dtype=torch.int64)] * actor.told
    value, charge = actor.features(seen, action)[..., -1], torch.zeros(action.shape)
    if prior == "max-weight":
        charge = actor.features(seen, action)[..., -2]
    if prior == "bid-price":
        heuristic: Any = make("bid-price", LINES)
        heuristic.reset(0)
        _, worth, brings = heuristic.opinion(seen.float().numpy(), {"action_mask": mask.numpy()})
        worth = worth.clip(-MOST, MOST)
        value, charge = torch.from_numpy(brings), torch.from_numpy(brings - worth)
    features = actor.see(seen, mask, action, *told)
    torch.testing.assert_close(actor.outcomes(features, *told), value.double())
    scores = (value - charge).double()
    torch.testing.assert_close(actor(seen, mask, *told), scores)
    assert not (prior != "prophet" and torch.equal(value, value - charge))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"prior": "prophet"}, "do not show what they are worth"),
        ({"prior": "hashed", "sharing": "by-role"}, r"prior = hashed: not with sharing=by-role"),
    ],
)
def test_a_prior_that_cannot_be_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(AgentError, match=message):
        small_trainer(SMOKE, **settings).start(SMOKE, 100, seed=0)


@pytest.mark.parametrize("scenario", [SMOKE, LINES, SLOTS], ids=["smoke", "lines", "slots"])
def test_what_is_kept_of_a_decision(scenario: Scenario) -> None:
    """Row, task and features of each, and its outcome only once the log has it."""
    training: Any = small_trainer(scenario, buffer_size=10_000).start(scenario, 400, seed=0)
    replay, kept = training.learner.replay, []
    while not training.done:
        decided = training._env.tasks.copy()
        per_env = len(decided) // training._env.num_envs
        slots = np.flatnonzero(decided != k.NOWHERE)
        kept += [(slot // per_env, decided[slot]) for slot in slots]
        training.advance()
        replay.look_up()
        known = replay._arrays["known"][: len(replay)]
        row, task = (replay._arrays[name][: len(replay)] for name in ("row", "task"))
        assert list(zip(row, task, strict=True)) == kept
    assert known.sum() > 0
    states = training._env.simulator.world.tasks[row[~known], task[~known], k.STATUS]
    assert (states == k.ADMITTED).all()
    assert np.isin(replay.sample(200)[1], np.flatnonzero(known)).all()


def test_what_still_runs_when_its_episode_ends_is_known_then() -> None:
    training: Any = small_trainer(LINES, num_envs=2).start(LINES, 2000, seed=0)
    learner, env, seen = training.learner, training._env, training._seen
    over = np.zeros(2, dtype=bool)
    with training._random.borrowed():
        while not over.any():
            action = learner.act(seen)
            seen, _, terminated, truncated, _ = env.step(action)
            step = Batch(policy=learner.kept, terminated=terminated, truncated=truncated)
            learner.replay.add(step)
            over = terminated | truncated
    arrays = {name: array[: len(learner.replay)] for name, array in learner.replay._arrays.items()}
    ended = over[arrays["row"]]
    world = env.simulator.world
    ends = world.tasks[arrays["row"], arrays["task"], k.END]
    assert (ends > world.episode[arrays["row"], k.CLOCK])[ended].any()
    assert arrays["known"][ended].all()


def test_no_step_before_an_outcome_is_known() -> None:
    training: Any = small_trainer(SMOKE).start(SMOKE, 400, seed=0)
    assert training.advance().updates == 0
    while not training.done:
        updates = training.advance().updates
    assert updates > 20


@pytest.mark.parametrize("temperature", [0.0, 0.2])
def test_draws_by_outcome_over_temperature(temperature: float) -> None:
    config = OutcomeConfig(hidden=(8,), temperature=temperature)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        actor = OutcomeAgent.build_actor(SMOKE, config)
        for part in actor.layers.parameters():
            torch.nn.init.normal_(part, std=0.5)
    agent = OutcomeAgent(SMOKE, config, actor)
    seen = np.repeat(some_observations(2)[3][:1], 4000, axis=0)
    legal = np.ones((len(seen), SMOKE.num_actions), dtype=np.int8)
    legal[:, 1] = 0
    agent.reset(5)
    shares = np.bincount(agent.act(seen, {"action_mask": legal}), minlength=6) / len(seen)
    with torch.no_grad():
        shown = torch.tensor(seen[:1], dtype=torch.float64), torch.tensor(legal[:1]).bool()
        outcomes = agent.actor(*shown)[0]
    expected = torch.zeros(6)
    expected[outcomes.argmax()] = 1.0
    if temperature:
        expected = (outcomes / temperature).softmax(dim=0)
        assert expected.max() < 0.9
    np.testing.assert_allclose(shares, expected, atol=0.03)


@pytest.mark.parametrize(
    "settings",
    [{"temperature": 0.0}, {"temperature": 0.1}, {"sharing": "none"}],
    ids=["greedy", "drawn", "unshared"],
)
def test_it_is_an_agent(settings: dict[str, Any], tmp_path: Path) -> None:
    agent = learnt(small_trainer(SLOTS, **settings), SLOTS, 150)
    check_agent(agent, SLOTS)
    agent.save(tmp_path)
    loaded: Any = load(tmp_path, SLOTS)
    assert loaded.settings == agent.settings
    if "sharing" in settings:
        with pytest.raises(AgentError, match=r"holds 3 networks .* has 4 gateways"):
            load(tmp_path, SLOTS.with_gateways(4), transfer=True)
        return
    seen, mask = some_observations(1), masks(1)
    assert (play(loaded, seen, mask=mask) == play(agent, seen, mask=mask)).all()
    assert (
        play(loaded, seen, mask=mask)[:, :2] == play(agent, seen[:, :2], mask=mask[:, :2])
    ).all()


def test_one_with_a_prior_is_an_agent(tmp_path: Path) -> None:
    agent = learnt(small_trainer(SLOTS, prior="hashed"), SLOTS, 150)
    check_agent(agent, SLOTS)
    agent.save(tmp_path)
    assert load(tmp_path, SLOTS).settings == agent.settings


def test_unshared_networks_learn_from_their_own_gateway_only() -> None:
    """Other outcomes of gateway 1 change its network, and no other."""
    found = []
    for factor in (1.0, 50.0):
        trainer = small_trainer(SLOTS, sharing="none", decisions_per_update=1000)
        training: Any = trainer.start(SLOTS, 2000, seed=0)
        while training.decisions < 200:
            training.advance()
        learner = training.learner
        learner.replay.look_up()
        kept = learner.replay._arrays
        kept["outcome"][kept["which"] == 1] *= factor
        with training._random.borrowed(), policy_within_training_step(learner.algorithm.policy):
            learner.update(3)
        found.append({name: part.clone() for name, part in learner.actor.state_dict().items()})
    for name, one in found[0].items():
        other = found[1][name]
        assert torch.equal(one[[0, 2]], other[[0, 2]]), name
        assert not torch.equal(one[1], other[1]), name
