"""What the scores of pairs begin with: heuristics that are asked, and what is learnt on top."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edge_marl.agents import Agent, load, make
from edge_marl.agents.independent.agents import IppoAgent
from edge_marl.agents.independent.settings import IppoConfig
from edge_marl.agents.networks.priors import ASKED, Asked
from edge_marl.agents.policy_agent import PolicyAgent
from edge_marl.agents.registry import find
from edge_marl.envs import EdgeAIGCRows, EdgeAIGCVectorEnv
from edge_marl.errors import AgentError
from edge_marl.scenario import Scenario, load_scenario
from edge_marl.testing import check_agent

SETTINGS: dict[str, Any] = {"network": "pairs", "num_envs": 4}
SETTINGS |= {"decisions_per_update": 32, "batch_size": 32}


def seen_in(scenario: Scenario, steps: int = 40) -> tuple[Any, dict[str, Any]]:
    """What is seen some steps into an episode, and what comes with it: of those who decide."""
    if scenario.clock.slot_ms == 0:
        env = EdgeAIGCVectorEnv(8, scenario=scenario)
        observation, info = env.reset(seed=0)
        for _ in range(steps):
            observation, *_, info = env.step(info["action_mask"].argmax(-1))
        names = ("action_mask", "agent_index")
        return observation, {name: np.array(info[name]) for name in names}
    rows = EdgeAIGCRows(8, scenario=scenario)
    seen, info = rows.reset(seed=0)
    for _ in range(steps):
        seen, *_, info = rows.step(info["action_mask"].argmax(-1))
    mask = info["action_mask"].reshape(-1, scenario.num_actions + 1)[:, :-1]
    waits = mask.any(axis=1)
    gateway = np.asarray(info["agent_index"]).ravel()
    return seen.reshape(len(mask), -1)[waits], {
        "action_mask": mask[waits],
        "agent_index": gateway[waits],
    }


def untrained(name: str, scenario: Scenario, **settings: Any) -> Any:
    """An agent of a kind before its training."""
    kind: Any = find(name)
    agent_class = kind._agent()
    config = kind.config_class(network="pairs", **settings)
    return agent_class(scenario, config, agent_class.build_actor(scenario, config))


@pytest.mark.parametrize("heuristic", ASKED)
@pytest.mark.parametrize(
    ("name", "tier"),
    [
        ("ippo", "paper"),
        ("ippo", "metro@2"),
        ("ippo", "paper-game"),
        ("iadsac", "metro-game"),
        ("adsac", "paper"),
        ("adsac", "metro@2"),
        ("sac", "campus@2"),
    ],
)
def test_an_untrained_policy_takes_what_the_heuristic_takes(
    name: str, tier: str, heuristic: Any
) -> None:
    scenario = load_scenario(tier)
    agent = untrained(name, scenario, prior=heuristic)
    asked = make(heuristic, scenario)
    assert isinstance(asked, Agent)
    asked.reset(0)
    observation, info = seen_in(scenario)
    assert len(observation) > 3
    np.testing.assert_array_equal(agent.act(observation, info), asked.act(observation, info))


def test_to_say_no_is_worth_its_price() -> None:
    scenario = load_scenario("campus@2")
    assert scenario.decline is not None
    observation, info = seen_in(scenario)
    mask = torch.from_numpy(info["action_mask"] > 0)
    gateway = torch.from_numpy(info["agent_index"])
    shown = Asked(scenario, "hashed", 0.05).shown(torch.from_numpy(observation), mask, gateway)
    assert shown.shape == (8, scenario.num_actions, 2)
    weights = {-scenario.decline.price * kind.weight for kind in scenario.tasks.classes}
    assert (shown[:, -1, 0] == 1).all()
    assert all(
        min(abs(float(worth) - weight) for weight in weights) < 1e-6 for worth in shown[:, -1, 1]
    )


def test_gateways_that_see_the_same_part_ways() -> None:
    scenario = load_scenario("paper-game")
    config = IppoConfig(network="pairs", hidden=(8, 8), prior="hashed")
    agent = IppoAgent(scenario, config, IppoAgent.build_actor(scenario, config))
    observation, info = seen_in(scenario, steps=0)
    same = np.repeat(observation[:1], 10, axis=0)
    masks = np.repeat(info["action_mask"][:1], 10, axis=0)
    found = agent.act(same, {"action_mask": masks, "agent_index": np.arange(10)})
    assert len(set(found // 4)) > 2
    with pytest.raises(AgentError, match=r"depends on whose turn it is: info\['agent_index'\]"):
        agent.act(same, {"action_mask": masks})


@pytest.mark.parametrize(
    ("name", "tier", "heuristic"),
    [
        ("ppo", "smoke", "hashed"),
        ("ppo", "campus@2", "bid-price"),
        ("ippo", "smoke-game", "staggered"),
        ("sac", "smoke", "bid-price"),
        ("adsac", "campus@2", "staggered"),
        ("iadsac", "smoke-game", "hashed"),
    ],
)
def test_a_trained_one_is_an_agent_that_is_loaded_as_it_was(
    name: str, tier: str, heuristic: str, tmp_path: Path
) -> None:
    scenario = load_scenario(tier)
    kind: Any = find(name)
    small = {"width": 8, "denoiser_width": 4} if "adsac" in name else {"hidden": (8, 8)}
    config = kind.config_class(prior=heuristic, **small, **SETTINGS)
    training = kind(scenario, config).start(scenario, 200, seed=0)
    while not training.done:
        training.advance()
    agent = training.agent()  # and not the best on the way, which may be that of the start
    check_agent(agent, scenario)
    agent.save(tmp_path)
    loaded = load(tmp_path, scenario)
    assert isinstance(loaded, PolicyAgent)
    observation, info = seen_in(scenario)
    np.testing.assert_array_equal(loaded.act(observation, info), agent.act(observation, info))
    before = type(loaded).build_actor(scenario, loaded.config).state_dict()
    after = loaded.actor.state_dict()
    of_places = [name for name in after if "layers" in name or "denoiser.out" in name]
    assert of_places
    assert any((after[name] != before[name]).any() for name in of_places)
