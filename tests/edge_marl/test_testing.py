"""The test kit finds what breaks a promise, and says so."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from edge_marl.agents import Agent, Trainer, names
from edge_marl.agents.base import Progress, TrainProgress, check_budget, legal_actions
from edge_marl.agents.registry import find
from edge_marl.errors import AgentError
from edge_marl.scenario import Scenario
from edge_marl.testing import check_agent

Observations = npt.NDArray[np.float32]
HEURISTICS = [name for name in names() if issubclass(find(name), Agent)]
EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "my_agent.py"


class Fair(Agent):
    """Keeps every promise: any legal action, from a generator per row."""

    def reset(self, seed: int) -> None:
        self.seed, self.rows = seed, []  # type: ignore[var-annotated]

    def act(self, observation: Observations, info: Mapping[str, Any]) -> npt.NDArray[np.int64]:
        for row in range(len(self.rows), len(observation)):
            self.rows.append(np.random.default_rng([self.seed, row]))
        legal = legal_actions(info, len(observation), self.scenario)
        weights = np.array([g.random(legal.shape[1]) for g in self.rows[: len(legal)]])
        return np.asarray((weights * legal).argmax(axis=1))


class Deaf(Fair):
    def act(self, observation: Observations, info: Mapping[str, Any]) -> npt.NDArray[np.int64]:
        return super().act(observation, {})


class TooFar(Fair):
    def act(self, observation: Observations, info: Mapping[str, Any]) -> npt.NDArray[np.int64]:
        return super().act(observation, info) + 1000


class OneForAll(Fair):
    def act(self, observation: Observations, info: Mapping[str, Any]) -> Any:
        return int(super().act(observation, info)[0])


class Floats(Fair):
    def act(self, observation: Observations, info: Mapping[str, Any]) -> Any:
        return super().act(observation, info).astype(float)


class Forgetless(Fair):
    def reset(self, seed: int) -> None:
        if not hasattr(self, "rows"):
            super().reset(seed)


class OneGenerator(Fair):
    def reset(self, seed: int) -> None:
        self.generator = np.random.default_rng(seed)

    def act(self, observation: Observations, info: Mapping[str, Any]) -> npt.NDArray[np.int64]:
        legal = legal_actions(info, len(observation), self.scenario)
        return np.asarray((self.generator.random(legal.shape) * legal).argmax(axis=1))


class Liar(Fair):
    deterministic = True


class Stateful(Fair):
    stateless = True


class Seated(Fair):
    stateless = True

    def act(self, observation: Observations, info: Mapping[str, Any]) -> npt.NDArray[np.int64]:
        legal = legal_actions(info, len(observation), self.scenario)
        return np.array([np.flatnonzero(row)[k % row.sum()] for k, row in enumerate(legal)])


class GlobalDice(Fair):
    def act(self, observation: Observations, info: Mapping[str, Any]) -> npt.NDArray[np.int64]:
        np.random.rand()  # noqa: NPY002
        return super().act(observation, info)


class Scribbler(Fair):
    def act(self, observation: Observations, info: Mapping[str, Any]) -> npt.NDArray[np.int64]:
        observation[:] = 0.5
        return super().act(observation, info)


class Batchy(Fair):
    """Ranks rows against each other."""

    def act(self, observation: Observations, info: Mapping[str, Any]) -> npt.NDArray[np.int64]:
        legal = legal_actions(info, len(observation), self.scenario)
        most = int(observation.sum() * 1000) % legal.shape[1]
        turned = np.roll(legal, -most, axis=1)
        return np.asarray((turned.argmax(axis=1) + most) % legal.shape[1])


class Amnesiac(Fair):
    """Is another one once loaded."""

    trick = 0

    def reset(self, seed: int) -> None:
        super().reset(seed + self.trick)

    @classmethod
    def load(cls, folder: Any, scenario: Scenario, *, transfer: bool = False) -> Any:
        agent = super().load(folder, scenario)
        agent.trick = 7
        return agent


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (Deaf, "takes action .* where the mask forbids it"),
        (TooFar, "actions are from 0 to 5"),
        (OneForAll, "returns a int for 6 rows"),
        (Floats, "type float64"),
        (Forgetless, "acts differently after a second reset"),
        (OneGenerator, "acts differently with 1 rows than with 6"),
        (Liar, "says deterministic = True"),
        (Stateful, "says stateless = True"),
        (Seated, "or in another row"),
        (GlobalDice, "changes NumPy's or torch's global random state"),
        (Scribbler, "writes into the observations"),
        (Batchy, "acts differently with 1 rows"),
        (Amnesiac, "acts differently once saved and loaded"),
        (int, "neither an Agent nor a Trainer"),
    ],
)
def test_broken_promises(kind: Any, message: str) -> None:
    wrong: Any = kind() if kind is int else kind
    with pytest.raises(AgentError, match=message):
        check_agent(wrong)


class Good(Trainer):
    """Draws an agent's seed."""

    spends = 1.0

    def train(
        self, scenario: Scenario, budget: int, seed: int, progress: Progress = lambda now: None
    ) -> Agent:
        check_budget(budget)
        progress(TrainProgress(int(budget * self.spends), budget, 0, 0.0, None))
        return Fair(scenario)


class Wasteful(Good):
    spends = 1.5


class Whimsical(Good):
    count = 0

    def train(self, scenario: Scenario, budget: int, seed: int, progress: Any = None) -> Agent:
        check_budget(budget)
        type(self).count += 1
        agent = Amnesiac(scenario)
        agent.trick = self.count
        return agent


class Lenient(Good):
    def train(self, scenario: Scenario, budget: int, seed: int, progress: Any = None) -> Agent:
        return Fair(scenario)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (Wasteful, "took 384 decisions of a budget of 256"),
        (Whimsical, "gives another agent for the same arguments"),
        (Lenient, "accepts a budget of 0"),
    ],
)
def test_broken_promises_of_trainers(kind: Any, message: str) -> None:
    with pytest.raises(AgentError, match=message):
        check_agent(kind)


def test_kept_promises() -> None:
    for kind in (Fair, Good):
        check_agent(kind)
        check_agent(kind, "campus")


@pytest.mark.parametrize("name", [name for name in HEURISTICS if name != "cloud-only"])
def test_all_heuristics_keep_their_promises(name: str) -> None:
    check_agent(name)
    if name != "rollout":  # which knows the base model
        check_agent(name, "metro")


@pytest.mark.parametrize("name", ["adp", "sac", "ppo"])
def test_trainers_of_the_package_keep_theirs(name: str) -> None:
    check_agent(name)


def test_the_example_keeps_its_promises_and_is_short() -> None:
    for tier in ("smoke", "paper", "campus@1", "campus@2", "metro@2", "studio@2"):
        check_agent(f"{EXAMPLE}:MostRoom", tier)
    text = EXAMPLE.read_text("utf-8")
    body = text[text.index("class MostRoom") : text.index("if __name__")].strip()
    assert len(body.splitlines()) <= 30


def test_torch_is_not_loaded_for_an_agent_without_it() -> None:
    import subprocess

    code = (
        "import sys; from edge_marl.testing import check_agent; check_agent('prophet'); "
        "print('torch' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
