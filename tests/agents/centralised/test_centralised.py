"""Centralised training: the losses on a published matrix game, the agents on a split task.

The split task: two servers with room for one task each, one better than the other; two gateways,
each with a task in (nearly) every slot, who see the same. Going to the same server crashes it, so
both must split over the two. Only the gateway's number, which the networks are told, can say who
goes where.
"""

from __future__ import annotations

import importlib.util
import json
from functools import cache
from importlib import metadata
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from gymnasium.vector import AutoresetMode

from edge_marl import EdgeAIGCRows, edge_aigc_v0
from edge_marl.agents import Agent, Trainer, TrainProgress, load, make
from edge_marl.agents.centralised import trainers
from edge_marl.agents.centralised.settings import HappoConfig, MappoConfig, MixingConfig, QmixConfig
from edge_marl.agents.centralised.trainers import (
    HappoTrainer,
    MappoTrainer,
    QmixTrainer,
    VdnTrainer,
)
from edge_marl.draw import draw_workload
from edge_marl.envs import EdgeAIGCVectorEnv
from edge_marl.errors import AgentError
from edge_marl.scenario import Scenario, load_scenario
from edge_marl.workload import Workload
from tests.worlds.learners import learnt

if TYPE_CHECKING:
    from edge_marl.agents.centralised.mixing import MixingLearner

NAMES = ["happo", "mappo", "qmix", "vdn"]
SMOKE = load_scenario("smoke")
every_learner = pytest.mark.parametrize("name", NAMES)
needs_torchrl = pytest.mark.skipif(
    importlib.util.find_spec("torchrl") is None, reason="TorchRL is not installed"
)

SPLIT = Scenario.model_validate(
    {
        "name": "split",
        "version": 1,
        "summary": "two gateways must split over two servers",
        "servers": {
            "law": "given",
            "capacity": (100, 100),
            "baseline": (((1.0,),), ((0.8,),)),
            "curve": (((0.0, 0.0, 1000.0, 0.0),), ((0.0, 0.0, 1000.0, 0.0),)),
        },
        "tasks": {"types": 1, "demand": (100,), "run_time_minutes": (0.0, 0.0, 0.5)},
        # Twelve tasks arrive per slot, two are decided on: after the first, both gateways have one.
        "arrivals": {"rate_per_s": 0.2, "horizon_s": 1200.0},
        "gateways": {"count": 2},
        "clock": {"slot_s": 60.0},
        "overload": {"penalty": 2.0, "loss_sum": "by-service"},
        "episode": {"end": "horizon"},
    }
)
NOTHING = SPLIT.num_actions


def play_split(
    workloads: list[Workload], choose: Any
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """What each slot paid the team, (slots, E), and whether the servers were free then."""
    rows = EdgeAIGCRows(len(workloads), SPLIT, autoreset_mode=AutoresetMode.DISABLED)
    seen, infos = rows.reset(options={"workloads": workloads})
    earned, free = [], []
    over = np.zeros(len(workloads), dtype=np.bool_)
    while not over.all():
        mask = infos["action_mask"]
        free.append((rows.layout.decode(seen).free == 100).all(axis=(1, 2)))
        choices = np.where(mask[..., :NOTHING].any(-1), choose(seen, mask), NOTHING)
        seen, rewards, terminated, truncated, infos = rows.step(choices)
        earned.append(rewards.sum(-1))
        over = terminated | truncated
    return np.array(earned), np.array(free)


@cache
def some_workloads() -> list[Workload]:
    return [draw_workload(SPLIT, k, split="test") for k in range(10)]


@cache
def optimum() -> float:
    """Sum over workloads and slots of the best of the four joint choices.

    A task ends before the next slot and every choice sends it, so slots do not bear on each other.
    """
    joint = np.array(list(product(range(2), repeat=2)))
    total = 0.0
    for workload in some_workloads():
        earned, free = play_split([workload] * len(joint), lambda seen, mask: joint)
        assert free.all()
        total += earned.max(axis=1).sum()
    return total


def share_of_optimum(agent: Agent) -> float:
    agent.reset(0)

    def choose(seen: Any, mask: Any) -> Any:
        flat = seen.reshape(-1, seen.shape[-1])
        gateway = np.tile(np.arange(mask.shape[1]), len(mask))
        info = {"action_mask": mask.reshape(-1, mask.shape[-1]), "agent_index": gateway}
        return agent.act(flat, info).reshape(mask.shape[:2])

    return float(play_split(some_workloads(), choose)[0].sum() / optimum())


def small_trainer(name: str, scenario: Scenario, **settings: Any) -> Trainer:
    if name == "mappo":
        return MappoTrainer(scenario, MappoConfig(**{"hidden": (16,), "rollout": 4, **settings}))
    if name == "happo":
        return HappoTrainer(scenario, HappoConfig(**{"hidden": (16,), "rollout": 4, **settings}))
    small = {"hidden": (16,), "batch_size": 8, "num_envs": 4, **settings}
    if name == "qmix":
        return QmixTrainer(scenario, QmixConfig(**small))
    return VdnTrainer(scenario, MixingConfig(**small))


@cache
def small_agent(name: str) -> Agent:
    return learnt(small_trainer(name, SMOKE), SMOKE, 200)


@needs_torchrl
@every_learner
@pytest.mark.parametrize("seed", [0])
def test_gateways_learn_to_split(name: str, seed: int) -> None:
    trainer = make(name, SPLIT)
    assert isinstance(trainer, Trainer)
    # On-policy, each decision is learned from once.
    budget = 16_000 if name in ("happo", "mappo") else 8_000
    assert share_of_optimum(trainer.train(SPLIT, budget, seed)) >= 0.95


def test_random_and_selfish_gateways_fail_to_split() -> None:
    generator = np.random.default_rng(0)
    drawn = play_split(some_workloads(), lambda seen, mask: generator.integers(2, size=(10, 2)))
    assert drawn[0].sum() / optimum() < 0.8
    both_to_the_better = play_split(some_workloads(), lambda seen, mask: np.zeros((10, 2), int))
    assert both_to_the_better[0].sum() < 0.0


# The two-step game of the QMIX paper: in state 0 the first gateway picks state 1 or 2, unpaid; then
# the joint choice pays. Best is 8. VDN cannot represent the last matrix, and settles for 7.
PAYOFF = torch.tensor([[[0.0, 0], [0, 0]], [[7.0, 7], [7, 7]], [[0.0, 1], [1, 8]]])


def two_steps() -> Any:
    """Every transition of the game once: what uniform exploration sees in the long run."""
    from tensordict import TensorDict

    cases = torch.tensor(list(product(range(3), range(2), range(2))))
    state, actions = cases[:, 0], cases[:, 1:]
    over = (state > 0)[:, None]
    following = torch.where(state == 0, 1 + actions[:, 0], state)

    def look(at: torch.Tensor) -> Any:
        one_hot = torch.eye(3)[at]
        agents = {
            "observation": one_hot[:, None].expand(-1, 2, -1).clone(),
            "mask": torch.ones(len(at), 2, 2, dtype=torch.bool),
        }
        return TensorDict({"agents": TensorDict(agents, [len(at), 2]), "state": one_hot}, [len(at)])

    steps = look(state).set(("agents", "action"), actions)
    paid = PAYOFF[state, actions[:, 0], actions[:, 1]][:, None]
    ends = {"reward": paid, "terminated": over, "done": over}
    return steps.set("next", look(following).update(ends))


def learner_of(name: str) -> MixingLearner:
    from edge_marl.agents.centralised.agents import GatewayNetwork
    from edge_marl.agents.centralised.mixing import MixingLearner
    from edge_marl.agents.centralised.qmix import make_qmix_mixer
    from edge_marl.agents.centralised.vdn import make_vdn_mixer

    config = MixingConfig(gamma=0.99, learning_rate=5e-3, tau=0.05)
    network = GatewayNetwork(3, 2, 2, (32,))
    mixer = make_vdn_mixer(2) if name == "vdn" else make_qmix_mixer(2, 3, 16)
    return MixingLearner(network, mixer, name == "qmix", config)


@needs_torchrl
@pytest.mark.parametrize(("name", "payoff"), [("qmix", 8.0), ("vdn", 7.0)])
def test_two_step_game_as_published(name: str, payoff: float) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        learner, steps = learner_of(name), two_steps()
        for _ in range(1000):
            loss = learner.update(steps.clone())
        chosen = learner.choose(steps[::4].exclude("next"), epsilon=0.0)["agents", "action"]
    state = 1 + chosen[0, 0]
    assert PAYOFF[state, chosen[state, 0], chosen[state, 1]] == payoff
    # What the mixer can represent is fitted, what it cannot is not.
    assert (loss < 0.05) == (name == "qmix")


@needs_torchrl
def test_vdn_fits_payoffs_that_add_up() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        learner, steps = learner_of("vdn"), two_steps()
        actions = steps["agents", "action"].float()
        steps["next", "reward"] = actions[:, :1] - 2.0 * actions[:, 1:]
        steps["next", "terminated"][:] = steps["next", "done"][:] = True
        for _ in range(600):
            loss = learner.update(steps.clone())
        chosen = learner.choose(steps.exclude("next"), epsilon=0.0)["agents", "action"]
    assert loss < 0.01
    assert (chosen == torch.tensor([1, 0])).all()


@needs_torchrl
def test_the_steps_learned_from_are_those_of_the_game() -> None:
    from edge_marl.agents.centralised.shared import Game

    game = Game(SPLIT, 2, 10_000, 3)
    rows = EdgeAIGCRows(2, SPLIT)
    seen, infos = rows.reset(seed=3)
    for _ in range(45):
        mask = infos["action_mask"]
        choices = mask.argmax(-1)
        assert (game.now["agents", "observation"].numpy() == seen).all()
        assert (game.now["agents", "mask"].numpy() == mask).all()
        assert (game.now["state"].numpy() == rows.state()).all()
        chosen = game.now.clone().set(("agents", "action"), torch.from_numpy(choices))
        following = game.step(chosen)["next"]
        seen, rewards, terminated, truncated, infos = rows.step(choices)
        assert np.allclose(following["reward"].numpy(), rewards[:, :1])
        assert (following["terminated"].numpy()[:, 0] == terminated).all()
        assert (following["done"].numpy()[:, 0] == terminated | truncated).all()
        last = infos["final_obs"] if truncated.any() else seen
        assert (following["agents", "observation"].numpy() == last).all()
    assert rows.metrics(0)["illegal_actions"] == 0


@pytest.mark.parametrize("slot_s", [0.0, 600.0])
def test_states_of_a_batch_are_those_of_its_games(slot_s: float) -> None:
    rows = EdgeAIGCRows(3, SMOKE, gateways=3, slot_s=slot_s)
    games = [edge_aigc_v0.parallel_env(SMOKE, gateways=3, slot_s=slot_s) for _ in range(3)]
    _, infos = rows.reset(seed=3)
    for e, game in enumerate(games):
        game.reset(seed=3 + e)
    generator = np.random.default_rng(0)
    for _ in range(40):
        states = rows.state()
        for state, game in zip(states, games, strict=True):
            np.testing.assert_array_equal(state, game.state())
        mask = infos["action_mask"]
        choices = (generator.random(mask.shape) * mask).argmax(-1)
        *_, infos = rows.step(choices)
        for own, game in zip(choices.tolist(), games, strict=True):
            game.step(dict(zip(game.agents, own, strict=True)))
    assert np.unique(states, axis=0).shape == states.shape


@needs_torchrl
@every_learner
def test_the_same_seed_gives_the_same_agent_bit_for_bit(name: str) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    runs = [learnt(small_trainer(name, SMOKE), SMOKE, 200, seed) for seed in (1, 1, 2)]
    assert torch.equal(torch.rand(3), expected)  # the global generator is left alone
    first, again, other = (agent.actor.state_dict() for agent in runs)  # type: ignore[attr-defined]
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)


@needs_torchrl
@every_learner
@pytest.mark.parametrize("budget", [1, 3, 50, 203])
def test_the_budget_is_never_exceeded(name: str, budget: int) -> None:
    seen: list[TrainProgress] = []
    learnt(small_trainer(name, SMOKE), SMOKE, budget, 0, seen.append)
    assert budget - 8 < seen[-1].decisions <= budget
    assert (seen[-1].updates > 0) == (budget >= 50)
    with pytest.raises(AgentError, match="budget = 0 decisions"):
        small_trainer(name, SMOKE).train(SMOKE, 0, seed=0)


@needs_torchrl
@every_learner
def test_runs_on_the_single_environment_and_its_masks(name: str) -> None:
    agent = small_agent(name)
    envs = EdgeAIGCVectorEnv(5, scenario=SMOKE)
    seen, info = envs.reset(seed=0)
    for _ in range(10):
        only = np.zeros_like(info["action_mask"])
        only[np.arange(5), [5, 4, 3, 2, 1]] = 1
        who = {"agent_index": info["agent_index"]}  # for those with a network each
        assert agent.act(seen, {"action_mask": only, **who}).tolist() == [5, 4, 3, 2, 1]
        action = agent.act(seen, info)
        assert (agent.act(seen, who) == action).all()
        first = {"agent_index": info["agent_index"][:3]}
        assert (agent.act(seen[:3], first) == action[:3]).all()
        seen, *_, info = envs.step(action)


@needs_torchrl
@every_learner
def test_saved_and_loaded(name: str, tmp_path: Path) -> None:
    agent = small_agent(name)
    agent.save(tmp_path)
    again = load(tmp_path, SMOKE)
    assert (again.name, again.settings) == (name, agent.settings)
    versions = json.loads((tmp_path / "config.json").read_text())["versions"]
    for package in ("tensordict", "torchrl"):
        assert versions[package] == metadata.version(package)
    seen = np.random.default_rng(0).random((20, 9), dtype=np.float32)
    seen = np.resize(seen, (20, EdgeAIGCRows(1, SMOKE).layout.size))
    who = {"agent_index": np.arange(20) % SMOKE.gateways.count}
    assert (again.act(seen, who) == agent.act(seen, who)).all()


@every_learner
def test_without_torchrl_the_error_says_what_to_install(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(trainers, "find_spec", lambda module: None)
    message = rf"agent '{name}' needs TorchRL.*pip install 'edge-marl\[torchrl\]'"
    with pytest.raises(AgentError, match=message):
        make(name, SMOKE)
    kinds: dict[str, type[Trainer]] = {
        "happo": HappoTrainer,
        "mappo": MappoTrainer,
        "qmix": QmixTrainer,
        "vdn": VdnTrainer,
    }
    with pytest.raises(AgentError, match=message):
        kinds[name].load(tmp_path, SMOKE)


def test_settings_outside_their_range() -> None:
    with pytest.raises(AgentError, match="rollout = 0: must be a whole number of at least 1"):
        MappoConfig(rollout=0)
    with pytest.raises(AgentError, match=r"gamma = 1\.5: must be from 0 to 1"):
        MixingConfig(gamma=1.5)
