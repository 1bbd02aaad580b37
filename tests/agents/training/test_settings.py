"""Settings of all learning agents: each number has a range, which is checked in one way."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, get_args, get_type_hints

import pytest

from edge_marl.agents import make, names
from edge_marl.agents.registry import find
from edge_marl.agents.training.presets import with_network
from edge_marl.agents.training.settings import LearningConfig, Range
from edge_marl.agents.training.settings_text import configure, parse_spec
from edge_marl.agents.training.trainer import LearningTrainer
from edge_marl.benchmarks.plan.cells import spec_of
from edge_marl.errors import AgentError
from edge_marl.scenario import Scenario, load_scenario

CONFIGS: dict[str, type[LearningConfig]] = {
    name: kind.config_class for name in names() if issubclass(kind := find(name), LearningTrainer)
}
every_learner = pytest.mark.parametrize("name", CONFIGS)
ANY_NUMBER = {"initial_log_alpha"}
OUTSIDE = {"a whole number of at least 1": 0, "from 0 to 1": 1.01, "above 0": 0.0}


def ranges(name: str) -> dict[str, Range]:
    hints = get_type_hints(CONFIGS[name], include_extras=True)
    parts = [(field, part) for field, hint in hints.items() for part in get_args(hint)]
    return {field: part for field, part in parts if isinstance(part, Range)}


@every_learner
def test_every_number_has_a_range(name: str) -> None:
    types = get_type_hints(CONFIGS[name])
    numbers = {field for field, kind in types.items() if kind in (int, float)}
    assert numbers == ranges(name).keys() | (ANY_NUMBER & types.keys())


@every_learner
def test_a_value_outside_its_range_is_an_error(name: str) -> None:
    kind: Any = CONFIGS[name]
    for field, allowed in ranges(name).items():
        for wrong in (OUTSIDE[allowed.words], -3, float("nan")):
            with pytest.raises(AgentError) as error:
                kind(**{field: wrong})
            assert str(error.value) == f"{field} = {wrong}: must be {allowed.words}"


@every_learner
def test_an_infinite_number_is_an_error(name: str) -> None:
    kind: Any = CONFIGS[name]
    numbers = {field for field, type_ in get_type_hints(kind).items() if type_ is float}
    for field in numbers:
        for wrong in (float("inf"), float("-inf")):
            with pytest.raises(AgentError, match=rf"^{field} = -?inf: must be "):
                kind(**{field: wrong})


@pytest.mark.parametrize("name", ["ppo", "a2c", "reinforce", "ippo", "sac", "adsac", "iadsac"])
def test_a_prior_that_nothing_would_use_is_an_error(name: str) -> None:
    kind: Any = CONFIGS[name]
    with pytest.raises(AgentError, match=r"^prior = hashed: not with network=(flat|tokens), which"):
        kind(prior="hashed")
    assert kind(prior="hashed", network="pairs").prior == "hashed"


@pytest.mark.parametrize("name", ["adsac", "adsac-published", "d2sac", "iadsac"])
def test_a_noise_schedule_that_falls_is_an_error(name: str) -> None:
    kind: Any = CONFIGS[name]
    with pytest.raises(AgentError, match=r"beta_max = 0\.05: must be at least beta_min = 0\.1"):
        kind(beta_max=0.05)


def test_gradients_of_ippo_are_cut_to_its_setting() -> None:
    smoke = load_scenario("smoke")
    trainer = make("ippo", smoke)
    assert isinstance(trainer, LearningTrainer)
    config: Any = trainer.config
    trainer.config = replace(config, max_grad_norm=0.25)
    training: Any = trainer.start(smoke, 64, seed=0)
    assert training.learner.algorithm.optim._max_grad_norm == 0.25


@pytest.mark.parametrize(
    ("text", "agent", "settings"),
    [
        ("adsac", "adsac", {}),
        ("adsac  gamma=0.50 attention=false", "adsac", {"gamma": 0.5, "attention": False}),
        ("sac hidden=[64, 64]", "sac", {"hidden": [64, 64]}),
        ("a,b.py:A", "a,b.py:A", {}),
        ("my  agent.py:A lr=0.1", "my  agent.py:A", {"lr": 0.1}),
        ("run lr=1.py:A lr=0.1", "run lr=1.py:A", {"lr": 0.1}),
        ("run lr=1.py:A", "run lr=1.py:A", {}),
        (" in a=1/b c/x=y.py:A ", "in a=1/b c/x=y.py:A", {}),
        ("C:/me/own.py:A x=b:c", "C:/me/own.py:A", {"x": "b:c"}),
        ("package.module:A x=1", "package.module:A", {"x": 1}),
        ("my module:A", "my module:A", {}),
        ("", "", {}),
    ],
)
def test_settings_follow_an_agent_whatever_its_path(
    text: str, agent: str, settings: dict[str, Any]
) -> None:
    assert parse_spec(text) == (agent, settings)
    assert parse_spec(spec_of(agent, settings)) == (agent, settings)


def configured(name: str, scenario: Scenario, **chosen: Any) -> dict[str, Any]:
    """The settings of an agent that some were chosen of, as JSON has them."""
    trainer = make(name, scenario)
    assert isinstance(trainer, LearningTrainer)
    configure(trainer, chosen)
    settings: dict[str, Any] = json.loads(json.dumps(trainer.settings))
    return settings


@pytest.mark.parametrize("tier", ["smoke", "metro@1", "metro@2"])
@pytest.mark.parametrize("name", ["ppo", "a2c", "reinforce", "ippo", "sac", "adsac", "dqn"])
def test_with_a_network_goes_what_it_learns_well_with(name: str, tier: str) -> None:
    scenario = load_scenario(tier)
    plain, with_it = configured(name, scenario), with_network("pairs", name, scenario)
    assert with_it.keys() <= plain.keys()
    assert configured(name, scenario, network="pairs") == plain | with_it | {"network": "pairs"}
    assert configured(name, scenario, network=plain["network"], gamma=0.5) == plain | {"gamma": 0.5}
    assert configured(name, scenario, network="pairs", num_envs=7)["num_envs"] == 7
    with pytest.raises(AgentError, match="setting network = 'pears'"):
        configured(name, scenario, network="pears")


def test_with_lines_that_are_seen_a_decision_is_paid_for_much_later() -> None:
    lines, none = load_scenario("campus@2"), load_scenario("campus@1")
    gammas = [with_network("pairs", "ppo", scenario)["gamma"] for scenario in (none, lines)]
    assert gammas[0] < gammas[1]
    assert with_network("pairs", "sac", lines) == with_network("pairs", "sac", none)
