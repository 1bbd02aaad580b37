"""Test kit for agents: `check_agent` holds an agent or a trainer against what it promises.

    from edge_marl.testing import check_agent

    def test_my_agent() -> None:
        check_agent(MyAgent)

The promises are those of `edge_marl.agents.Agent` and `Trainer`; benchmark and leaderboard rely on
them: that a run can be repeated, and that no row of a batch knows of another.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_marl.agents.base import Agent, Trainer, TrainProgress
from edge_marl.agents.registry import find
from edge_marl.envs import EdgeAIGCVectorEnv
from edge_marl.errors import AgentError
from edge_marl.scenario import Scenario, load_scenario

__all__ = ["check_agent"]

ROWS = 6
STEPS = 20
BUDGET = 256


def check_agent(
    agent: Agent | Trainer | type[Agent] | type[Trainer] | str,
    scenario: str | Path | Scenario = "smoke",
    *,
    budget: int = BUDGET,
) -> None:
    """Check an agent, or a trainer and an agent that it trains.

    Args:
        agent: an instance, a class (made with the scenario), a registered name, `module:Class` or
            `file.py:Class`.
        scenario: a tier's name, the path of a scenario file, or a `Scenario`.
        budget: decisions that a trainer trains on, twice.

    Raises:
        AgentError: a promise is not kept; the message says which, what was seen, and the remedy.
    """
    world = load_scenario(scenario)
    made = find(agent) if isinstance(agent, str) else agent
    if isinstance(made, type):
        if issubclass(made, Agent) and not hasattr(made, "name"):  # as the registry would name it
            made.name = f"{made.__module__}:{made.__qualname__}"
        made = made(world)
    if isinstance(made, Trainer):
        made = _check_trainer(made, world, budget)
    if not isinstance(made, Agent):
        raise AgentError(
            f"{made!r} is neither an Agent nor a Trainer: derive it from edge_marl.agents.Agent"
        )
    _Check(made, world).run()


class _Check:
    """The checks of one agent on observations that random dispatch meets."""

    def __init__(self, agent: Agent, scenario: Scenario) -> None:
        self.agent, self.scenario = agent, scenario
        self.name = type(agent).__name__
        self.seen, self.masks, self.gateways = _observations(scenario)

    def run(self) -> None:
        """Run all checks.

        Raises:
            AgentError: at the first that fails.
        """
        before = _global_state()
        actions = self.play(seed=1)
        _expect(
            before == _global_state()[: len(before)],  # torch may have been loaded on the way
            f"{self.name} changes NumPy's or torch's global random state: draw from a generator "
            "made in `reset(seed)`, such as numpy.random.default_rng(seed)",
        )
        self._legal(actions)
        self._repeatable(actions)
        self._stateless(actions)
        self._rows_alone(actions)
        self._arrays_untouched()
        self._without_mask()
        self._saved(actions)

    def play(self, seed: int, rows: int = ROWS) -> npt.NDArray[Any]:
        """Return the actions (STEPS, rows) after a reset."""
        self.agent.reset(seed)
        return np.array(
            [
                self.act(
                    seen[:rows].copy(),
                    {"action_mask": mask[:rows].copy(), "agent_index": gateway[:rows].copy()},
                )
                for seen, mask, gateway in zip(self.seen, self.masks, self.gateways, strict=True)
            ]
        )

    def act(self, seen: npt.NDArray[np.float32], info: dict[str, Any]) -> npt.NDArray[Any]:
        """Return actions, of the right kind and number."""
        actions: Any = self.agent.act(seen, info)
        _expect(
            isinstance(actions, np.ndarray)
            and actions.shape == (len(seen),)
            and np.issubdtype(actions.dtype, np.integer),
            f"{self.name}.act returns {_described(actions)} for {len(seen)} rows: it must be a "
            f"NumPy array of {len(seen)} whole numbers, one action per row",
        )
        most = self.scenario.num_actions
        outside = actions[(actions < 0) | (actions >= most)]
        _expect(
            not len(outside),
            f"{self.name}.act returns action {outside[:1]}: actions are from 0 to {most - 1} "
            "(server * services per server + service)",
        )
        return np.array(actions)

    def _legal(self, actions: npt.NDArray[Any]) -> None:
        allowed = np.take_along_axis(self.masks, actions[..., None], -1)[..., 0]
        forbidden = actions[allowed == 0]
        _expect(
            not len(forbidden),
            f"{self.name} takes action {forbidden[:1]} where the mask forbids it: choose among the "
            "actions where info['action_mask'] is 1",
        )

    def _repeatable(self, actions: npt.NDArray[Any]) -> None:
        other = self.play(seed=2)
        _expect(
            (self.play(seed=1) == actions).all(),
            f"{self.name} acts differently after a second reset(1): all that it remembers, and "
            "every random generator, must start anew in `reset(seed)`",
        )
        _expect(
            not self.agent.deterministic or bool((other == actions).all()),
            f"{self.name} says deterministic = True, but acts differently for seeds 1 and 2: "
            "leave `deterministic` False",
        )

    def _stateless(self, actions: npt.NDArray[Any]) -> None:
        if not self.agent.stateless:
            return
        self.agent.reset(1)
        turned = slice(None, None, -1)  # the rows in another order, too
        info = {
            "action_mask": self.masks[-1][turned].copy(),
            "agent_index": self.gateways[-1][turned].copy(),
        }
        _expect(
            bool((self.act(self.seen[-1][turned].copy(), info) == actions[-1][turned]).all()),
            f"{self.name} says stateless = True, but acts differently where it has decided on "
            "nothing before, or in another row: leave `stateless` False",
        )

    def _rows_alone(self, actions: npt.NDArray[Any]) -> None:
        for rows in (1, ROWS // 2):
            _expect(
                (self.play(seed=1, rows=rows) == actions[:, :rows]).all(),
                f"{self.name} acts differently with {rows} rows than with {ROWS}: a row's action "
                "may depend on its own observations and its number only; give each row a "
                "generator of its own, such as numpy.random.default_rng([seed, row])",
            )

    def _arrays_untouched(self) -> None:
        seen, mask, gateway = self.seen[0].copy(), self.masks[0].copy(), self.gateways[0].copy()
        self.agent.reset(0)
        self.agent.act(seen, {"action_mask": mask, "agent_index": gateway})
        same = [seen == self.seen[0], mask == self.masks[0], gateway == self.gateways[0]]
        _expect(
            all(part.all() for part in same),
            f"{self.name}.act writes into the observations or the infos that it is given: copy "
            "them",
        )

    def _without_mask(self) -> None:
        """A missing mask means that all is legal; the last observation may show no task."""
        self.agent.reset(0)
        info = {"agent_index": self.gateways[0].copy()}
        self.act(self.seen[0].copy(), info)
        self.act(np.zeros_like(self.seen[0]), info)

    def _saved(self, actions: npt.NDArray[Any]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            self.agent.save(folder)
            loaded = type(self.agent).load(folder, self.scenario)
        _expect(
            (_Check(loaded, self.scenario).play(seed=1) == actions).all(),
            f"{self.name} acts differently once saved and loaded: save and load all that its "
            "actions depend on",
        )


def _check_trainer(trainer: Trainer, scenario: Scenario, budget: int) -> Agent:
    """Check a trainer; return the agent that it trains."""
    name = type(trainer).__name__
    told: list[TrainProgress] = []
    before = _global_state()
    first = trainer.train(scenario, budget, 0, told.append)
    _expect(
        before == _global_state()[: len(before)],
        f"{name}.train changes NumPy's or torch's global random state: draw from generators of its "
        "own, or give the state back as it was",
    )
    _expect(isinstance(first, Agent), f"{name}.train returns {first!r}: it must return an Agent")
    spent = max((now.decisions for now in told), default=0)
    _expect(
        spent <= budget,
        f"{name}.train took {spent} decisions of a budget of {budget}: stop before the step that "
        "would exceed it",
    )
    again = trainer.train(scenario, budget, 0)
    _expect(
        (_Check(first, scenario).play(1) == _Check(again, scenario).play(1)).all(),
        f"{name}.train gives another agent for the same arguments: seed weights, exploration, "
        "workloads and replay from `seed`",
    )
    try:
        trainer.train(scenario, 0, 0)
    except AgentError:
        return first
    raise AgentError(f"{name}.train accepts a budget of 0: call edge_marl.agents.base.check_budget")


def _observations(
    scenario: Scenario,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int8], npt.NDArray[np.int64]]:
    """Return what random dispatch meets.

    Observations (STEPS, ROWS, D), narrower masks (STEPS, ROWS, A) and gateways (STEPS, ROWS).
    """
    envs = EdgeAIGCVectorEnv(ROWS, scenario=scenario.on_events())
    generator = np.random.default_rng(0)
    seen, info = envs.reset(seed=0)
    observations, masks, gateways = [], [], []
    for _ in range(STEPS):
        legal = info["action_mask"]
        narrow = legal * generator.integers(2, size=legal.shape, dtype=np.int8)
        masks.append(np.where(narrow.any(axis=1, keepdims=True), narrow, legal))
        observations.append(seen)
        gateways.append(info["agent_index"])
        weights = generator.random(legal.shape) * legal
        seen, *_, info = envs.step(weights.argmax(axis=1))
    return np.array(observations), np.array(masks), np.array(gateways)


def _global_state() -> list[Any]:
    """Return the states of the global random generators, torch's if it is loaded."""
    kind, keys, *rest = np.random.get_state()  # noqa: NPY002
    state: list[Any] = [kind, bytes(np.asarray(keys).data), *rest]
    if (torch := sys.modules.get("torch")) is not None:
        state.append(torch.get_rng_state().tolist())
    return state


def _described(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape} and type {value.dtype}"
    return f"a {type(value).__name__}"


def _expect(kept: Any, message: str) -> None:
    if not kept:
        raise AgentError(message)
