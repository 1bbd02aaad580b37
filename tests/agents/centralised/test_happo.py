"""HAPPO's sequential update: the first in order steps as in MAPPO, the others by what changed."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor

from edge_marl.agents.centralised.settings import HappoConfig, MappoConfig
from edge_marl.scenario import load_scenario

if TYPE_CHECKING:
    from tensordict import TensorDict

    from edge_marl.agents.centralised.happo import HappoLearner
    from edge_marl.agents.centralised.mappo import MappoLearner

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("torchrl") is None, reason="TorchRL is not installed"
)

GAME = load_scenario("smoke-game")
SMALL: dict[str, Any] = {"hidden": (8,), "rollout": 16, "minibatches": 1}


def learners(epochs: int = 1) -> tuple[MappoLearner, HappoLearner, TensorDict]:
    """Both, with the same three networks and the same critic, and a rollout of theirs."""
    from edge_marl.agents.centralised.agents import make_network
    from edge_marl.agents.centralised.happo import HappoLearner
    from edge_marl.agents.centralised.mappo import MappoLearner
    from edge_marl.agents.centralised.shared import Game

    game = Game(GAME, 4, 10_000, 0)
    of_mappo = MappoConfig(sharing="none", epochs=epochs, **SMALL)
    of_happo = HappoConfig(epochs=epochs, **SMALL)
    torch.manual_seed(0)
    mappo = MappoLearner(make_network(GAME, of_mappo), game.state_size, of_mappo)
    torch.manual_seed(0)
    happo = HappoLearner(make_network(GAME, of_happo), game.state_size, of_happo)
    return mappo, happo, happo.play(game)


def weights_of(learner: MappoLearner) -> dict[str, Tensor]:
    """The stacked weights of the networks, (G, ...)."""
    network: Any = learner._network
    return {k: w.detach().clone() for k, w in network.each.weights.items()}


def log_probs(learner: MappoLearner, steps: TensorDict) -> Tensor:
    """Of what was done, by the policies as they are now, (N, G)."""
    with torch.no_grad():
        logits = learner._network(steps["agents", "observation"])
        log = logits.masked_fill(~steps["agents", "mask"], -torch.inf).log_softmax(-1)
    found: Tensor = log.gather(-1, steps["agents", "action"][..., None])[..., 0]
    return found


def test_the_first_in_order_steps_as_in_mappo() -> None:
    with torch.random.fork_rng(devices=[]):
        mappo, happo, steps = learners()
        before = weights_of(happo)
        mappo.update(steps.clone())
        happo.update_in_turn(steps.clone(), [1])
    together, alone = weights_of(mappo), weights_of(happo)
    for name, weight in alone.items():
        torch.testing.assert_close(weight[1], together[name][1], rtol=0, atol=1e-6)
        assert torch.equal(weight[[0, 2]], before[name][[0, 2]])  # the others stay as they are
    assert any(not torch.equal(alone[name][1], before[name][1]) for name in alone)


def test_those_after_it_weigh_what_it_changed() -> None:
    """The second learns from the advantage times the ratio of the first, and is otherwise alike."""
    with torch.random.fork_rng(devices=[]):
        _, happo, steps = learners(4)
        happo.update_in_turn(steps.clone(), [2, 0])
        _, by_hand, _ = learners(4)
        by_hand.update_in_turn(steps.clone(), [2])
        ratio = (log_probs(by_hand, steps) - steps["agents", "action_log_prob"])[:, 2].exp()
        assert not torch.allclose(ratio, torch.ones_like(ratio), atol=1e-4)
        weighed = steps.clone()
        weighed["advantage"] = weighed["advantage"] * ratio[:, None, None]
        by_hand.update_in_turn(weighed, [0])
        _, careless, _ = learners(4)
        careless.update_in_turn(steps.clone(), [2])
        careless.update_in_turn(steps.clone(), [0])
    found, expected, other = (weights_of(each) for each in (happo, by_hand, careless))
    for name, weight in found.items():
        torch.testing.assert_close(weight, expected[name], rtol=0, atol=1e-6)
    assert any(not torch.allclose(found[name], other[name], atol=1e-6) for name in found)


def test_an_update_moves_all_networks_and_the_critic() -> None:
    with torch.random.fork_rng(devices=[]):
        _, happo, steps = learners()
        before = weights_of(happo)
        critic = [weight.detach().clone() for weight in happo._critic.parameters()]
        assert happo.update(steps) == 3 + 1
    for g in range(3):
        assert any(not torch.equal(w[g], before[name][g]) for name, w in weights_of(happo).items())
    moved = zip(critic, happo._critic.parameters(), strict=True)
    assert all(not torch.equal(then, now) for then, now in moved)
