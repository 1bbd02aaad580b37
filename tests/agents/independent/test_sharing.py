"""One network for all gateways, for each, or for each role: who learns from what, what moves."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tianshou.utils.torch_utils import policy_within_training_step
from torch import Tensor, nn

from edge_marl.agents import Agent, load
from edge_marl.agents.independent.settings import IadsacConfig, IppoConfig
from edge_marl.agents.networks.flat import FlatActor
from edge_marl.agents.networks.sharing import ForEach, Networks
from edge_marl.agents.on_tianshou.loop import TianshouTraining
from edge_marl.agents.policy_agent import PolicyAgent
from edge_marl.agents.registry import make
from edge_marl.agents.soft_actor_critic.agents import AdsacAgent
from edge_marl.agents.training.settings_text import configure
from edge_marl.agents.training.trainer import LearningTrainer
from edge_marl.envs import EdgeAIGCRows
from edge_marl.errors import AgentError
from edge_marl.layout import ObservationLayout
from edge_marl.scenario import Scenario, load_scenario
from edge_marl.testing import check_agent
from tests.worlds.learners import learnt

GATEWAYS = 3
SLOTS = load_scenario("smoke").with_gateways(GATEWAYS).with_clock(600.0, hold=True)
CITY = load_scenario("campus").with_clock(10.0, hold=False)
NAMES = ["happo", "ippo", "iadsac", "mappo"]


def small_trainer(name: str, scenario: Scenario, sharing: str, **others: Any) -> LearningTrainer:
    """A trainer with a small network."""
    made: Any = make(name, scenario)
    small: dict[str, Any] = {"num_envs": 4, "sharing": sharing}
    if name in ("happo", "mappo"):
        small |= {"rollout": 8, "hidden": (16, 16)}
    else:
        small |= {"batch_size": 32, "decisions_per_update": 64}
        small |= {"width": 8, "denoiser_width": 8} if name == "iadsac" else {"hidden": (16, 16)}
    configure(made, small | others)
    return made  # type: ignore[no-any-return]


def seen_by(scenario: Scenario, num_envs: int = 4) -> tuple[Tensor, Tensor, Tensor]:
    """What gateways see, may do (without nothing) and who they are, some steps into a game."""
    rows = EdgeAIGCRows(num_envs, scenario=scenario)
    observation, infos = rows.reset(seed=0)
    for _ in range(3):
        legal = infos["action_mask"]
        observation, _, _, _, infos = rows.step(legal.argmax(-1))
    mask = torch.from_numpy(infos["action_mask"].reshape(-1, legal.shape[-1])).bool()
    gateway = torch.tensor(infos["agent_index"]).flatten()
    return torch.from_numpy(observation).flatten(0, 1), mask[:, :-1], gateway


@pytest.mark.parametrize("kind", ["flat", "diffusion"])
@pytest.mark.parametrize("scenario", [SLOTS, CITY], ids=["base", "extended"])
def test_side_by_side_they_are_what_they_are_one_by_one(kind: str, scenario: Scenario) -> None:
    """Outputs, and gradients: in whatever order rows stand, and however many each has."""
    layout = ObservationLayout(scenario)
    observation, mask, gateway = seen_by(scenario)
    mask = mask | ~mask.any(dim=1, keepdim=True)
    gateway = gateway[torch.randperm(len(gateway), generator=torch.Generator().manual_seed(0))]
    gateway[0] = gateway[1]  # not as many of each
    config = IadsacConfig(width=8, denoiser_width=8)
    noise: tuple[Tensor, ...] = ()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        networks: list[nn.Module] = [
            FlatActor(layout, (16,)) if kind == "flat" else AdsacAgent.build_actor(scenario, config)
            for _ in range(scenario.gateways.count)
        ]
    if kind == "diffusion":
        noise = (networks[0].draw_noise(1, torch.Generator().manual_seed(1)),)  # type: ignore[operator]
    left = iter(networks)
    every = ForEach(lambda: next(left), len(networks))
    found = every(observation, mask, gateway, common=noise)
    expected = torch.empty_like(found)
    for g, network in enumerate(networks):
        own = gateway == g
        expected[own] = network(observation[own], mask[own], *noise)
    torch.testing.assert_close(found[mask], expected[mask], rtol=1e-4, atol=1e-4)
    torch.autograd.backward((found * mask).sum())
    torch.autograd.backward((expected * mask).sum())
    for name, weight in every.weights.items():
        for g, network in enumerate(networks):
            single = network.get_parameter(name.replace("/", "."))
            largest = max(1.0, float(single.grad.abs().max())) if single.grad is not None else 1.0
            zero = torch.zeros_like(single)
            torch.testing.assert_close(
                weight.grad[g],
                zero if single.grad is None else single.grad,
                rtol=1e-3,
                atol=1e-4 * largest,
            )


def weights_of(training: TianshouTraining) -> dict[str, Tensor]:
    """All that learns: actor, critics and temperature."""
    algorithm: Any = training.learner.algorithm
    state = algorithm.state_dict()
    return {k: v.clone() for k, v in state.items() if isinstance(v, Tensor) and v.dim()}


def rewards_of(replay: Any, gateway: int) -> list[Any]:
    """A gateway's rewards in a replay buffer or a rollout, in parts, each to be written to."""
    if hasattr(replay, "buffers"):
        return [part.rew for slot, part in enumerate(replay.buffers) if slot % GATEWAYS == gateway]
    own = np.flatnonzero(replay._made.slot[: len(replay)] % GATEWAYS == gateway)
    return [replay._made.rew[place : place + 1] for place in own]


@pytest.mark.parametrize("name", ["ippo", "iadsac"])
def test_a_network_learns_from_its_own_gateway_only(name: str) -> None:
    """Other rewards of gateway 1, whatever their size, change gateway 1's networks and no others.

    So no part of an update mixes gateways: not the norm that gradients are cut to, not the scale of
    advantages, not the temperature.
    """
    found = []
    for factor in (1.0, 50.0):
        trainer = small_trainer(name, SLOTS, "none", decisions_per_update=1000)
        training: Any = trainer.start(SLOTS, 2000, seed=0)
        while training.decisions < 100:
            training.advance()
        replay = training.learner.replay
        for rewards in rewards_of(replay, 1):
            rewards[:] = factor * rewards[:] - (factor - 1.0) * np.arange(len(rewards))
        with (
            training._random.borrowed(),
            policy_within_training_step(training.learner.algorithm.policy),
        ):
            training.learner.update(2)
        found.append(weights_of(training))
    changed = {name for name in found[0] if not torch.equal(found[0][name], found[1][name])}
    assert len(changed) > 5
    for name in found[0]:
        one, other = found[0][name], found[1][name]
        assert len(one) == GATEWAYS
        assert torch.equal(one[[0, 2]], other[[0, 2]]), name


@pytest.mark.parametrize("name", NAMES)
def test_a_training_that_was_stopped_goes_on(name: str) -> None:
    first, again = (small_trainer(name, SLOTS, "none").start(SLOTS, 600, seed=0) for _ in range(2))
    while first.decisions < 200:
        first.advance()
    again.restore(deepcopy(first.state()))
    for _ in range(8):
        for training in (first, again):
            training.advance()
    left, right = (training.agent() for training in (first, again))
    assert isinstance(left, PolicyAgent)
    assert isinstance(right, PolicyAgent)
    weights = right.actor.state_dict()
    assert all(torch.equal(weight, weights[key]) for key, weight in left.actor.state_dict().items())


def test_shared_networks_learn_from_all() -> None:
    trainer = small_trainer("ippo", SLOTS, "all")
    agent: Any = trainer.start(SLOTS, 400, seed=0).agent()
    assert not isinstance(agent.actor, ForEach)
    assert Networks(SLOTS, IppoConfig()).count == 1


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("sharing", ["none", "by-role"])
def test_they_are_agents(name: str, sharing: str, tmp_path: Path) -> None:
    """What `check_agent` asks of agents, a saved one that is loaded included."""
    scenario = SLOTS if sharing == "none" else CITY
    agent = learnt(small_trainer(name, scenario, sharing), scenario, 150)
    check_agent(agent, scenario)
    agent.save(tmp_path)
    loaded: Any = load(tmp_path, scenario)
    assert loaded.config.sharing == sharing
    other = scenario.with_gateways(scenario.gateways.count + 1)
    if sharing == "by-role":
        assert isinstance(load(tmp_path, other, transfer=True), Agent)
        return
    with pytest.raises(AgentError, match=r"holds 3 networks .* has 4 gateways"):
        load(tmp_path, other, transfer=True)
    with pytest.raises(AgentError, match="agent_index"):
        agent.act(np.zeros((2, ObservationLayout(scenario).size), dtype=np.float32), {})


def test_each_gateway_acts_by_its_own_network() -> None:
    agent: Any = small_trainer("ippo", SLOTS, "none").start(SLOTS, 400, seed=0).agent()
    assert isinstance(agent, PolicyAgent)
    observation = np.repeat(seen_by(SLOTS)[0].numpy()[:1], 6, axis=0)
    gateway = np.array([0, 1, 2, 2, 1, 0])
    agent.act(observation, {"agent_index": gateway})
    told = agent.preferences
    assert told is not None
    np.testing.assert_allclose(told[:3], told[:2:-1])
    assert len({row.tobytes() for row in told[:3]}) == 3


def test_roles_are_sizes_of_gateways_own_servers() -> None:
    config = IppoConfig(sharing="by-role")
    networks = Networks(CITY, config)
    assert networks.count == min(3, len(set(CITY.servers.capacity)))
    observation, _, gateway = seen_by(CITY, 16)
    layout = ObservationLayout(CITY)
    own = layout.decode(observation.numpy()).capacity[:, 0]
    sizes = sorted(set(CITY.servers.capacity))
    expected = [sizes.index(size) * networks.count // len(sizes) for size in own]
    assert networks.of(observation, gateway).tolist() == expected
    assert len(set(expected)) > 1
    assert Networks(SLOTS, config).count == 1  # nothing tells gateways apart


def test_settings_that_cannot_be_are_refused() -> None:
    many = SLOTS.with_gateways(21)
    with pytest.raises(AgentError, match="21 gateways, and a network each is for up to 20"):
        small_trainer("ippo", many, "none").start(many, 100, seed=0)
    with pytest.raises(AgentError, match="not with network=pairs"):
        small_trainer("ippo", SLOTS, "none", network="pairs").start(SLOTS, 100, seed=0)
    with pytest.raises(AgentError, match="sharing"):
        small_trainer("ippo", SLOTS, "some")
    with pytest.raises(AgentError, match="must be one of all, by-role, none"):
        Networks(SLOTS, IppoConfig(sharing="some"))  # type: ignore[arg-type]
