"""Early selection: of the agents that a training passes through, the best on validation workloads.

Test workloads take no part: they are for the result. Evaluations are at fixed shares of the budget,
so that a run that was stopped and one that was not select alike.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from edge_marl.agents.base import Agent, Training, TrainProgress
from edge_marl.agents.play import play
from edge_marl.draw import draw_workload
from edge_marl.scenario import Api, Scenario

__all__ = ["EVALUATIONS", "WORKLOADS", "Evaluation", "Selection"]

EVALUATIONS = 10
"""Evaluations in a training, the last at its end."""

WORKLOADS = 10
"""Validation workloads of an evaluation. On `paper` their mean has a standard error of 0.7 %."""


@dataclass(frozen=True)
class Evaluation:
    """What the agent of a moment got on the validation workloads (means over them)."""

    decisions: int
    updates: int
    training_utility_per_task: float
    """Mean reward of the last decisions of the training, exploration included."""
    utility: float
    """Total utility of an episode; what is selected by."""
    utility_per_task: float
    server_crash_rate: float
    """Crashes per dispatched task."""
    distinct_actions: int
    """Actions that were taken at least once in all episodes: 1 tells of a collapsed policy."""


class Selection:
    """A training with its evaluations, and the best agent so far.

    Args:
        training: at its start.
        scenario: whose validation workloads are played.
        evaluations: how many, at equal distances.
        workloads: validation workloads 0..workloads-1 are played each time.
    """

    def __init__(
        self,
        training: Training,
        scenario: Scenario,
        evaluations: int = EVALUATIONS,
        workloads: int = WORKLOADS,
    ) -> None:
        self.training = training
        self.curve: list[Evaluation] = []
        self._scenario = scenario
        self._evaluations = evaluations
        self._workloads = [draw_workload(scenario, k, split="validation") for k in range(workloads)]
        self._best: Agent | None = None
        # The single environment has no slots: an agent of a game with them is judged in it.
        self._api: Api = "parallel" if scenario.clock.slot_ms else "single"

    @property
    def done(self) -> bool:
        """Whether the training is."""
        return self.training.done

    @property
    def best(self) -> Agent:
        """The best agent so far; where there was no evaluation yet, the present one."""
        return self._best or self.training.agent()

    @property
    def at_best(self) -> Evaluation | None:
        """What the best agent got; of equal ones the first."""
        return max(self.curve, key=lambda point: point.utility, default=None)

    def advance(self) -> TrainProgress:
        """Take the training's next step, and evaluate where one is due."""
        training = self.training
        now = training.advance()
        due = len(self.curve) + 1
        if training.done or training.decisions * self._evaluations >= training.budget * due:
            self._evaluate(now)
        return now

    def _evaluate(self, now: TrainProgress) -> None:
        agent = self.training.agent()
        played = play(agent, self._scenario, self._workloads, seed=0, api=self._api)
        means = {
            name: float(np.mean([episode[name] for episode in played.metrics]))
            for name in ("utility", "utility_per_task", "server_crash_rate")
        }
        before = self.at_best
        self.curve.append(
            Evaluation(
                decisions=now.decisions,
                updates=now.updates,
                training_utility_per_task=now.utility_per_task,
                distinct_actions=len(played.actions),
                **means,
            )
        )
        if before is None or means["utility"] > before.utility:
            self._best = agent

    @property
    def curve_facts(self) -> list[dict[str, Any]]:
        """The evaluations, as JSON can hold them."""
        return [asdict(point) for point in self.curve]

    def state(self) -> dict[str, Any]:
        """Return all but the best agent, which is kept as an agent."""
        return {
            "training": self.training.state(),
            "curve": self.curve_facts,
        }

    def restore(self, state: dict[str, Any], best: Agent | None) -> None:
        """Go on from a state, with the agent that was best then."""
        self.training.restore(state["training"])
        self.curve = [Evaluation(**point) for point in state["curve"]]
        self._best = best
