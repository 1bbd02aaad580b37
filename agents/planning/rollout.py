"""`rollout`: a few candidates are played out over futures of the agent's own, the best is taken."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import numpy as np

from edge_marl.agents.checkpoint import read_checkpoint
from edge_marl.agents.heuristics.basic import Actions
from edge_marl.agents.heuristics.bid_price import BidPrice
from edge_marl.agents.heuristics.view import View, best_action
from edge_marl.agents.planning.futures import Law
from edge_marl.agents.planning.playing import play_out
from edge_marl.agents.planning.settings import RolloutConfig
from edge_marl.agents.registry import register
from edge_marl.agents.streams import RowStreams
from edge_marl.errors import AgentError
from edge_marl.kernel.world import Floats, Ints
from edge_marl.scenario import Scenario

__all__ = ["Rollout"]


@register("rollout")
class Rollout(BidPrice):
    """The candidate that earns the most in futures that the agent draws, `bid-price` going on.

    All candidates meet the same futures (common random numbers), so that their differences tell
    more than their returns. A future is cut from workloads that the agent draws from the scenario's
    law with its own seed, and what runs on the servers is assumed by that law (`futures.py`): of
    the episode it knows what it is shown. What still runs at the end of a future costs its price,
    so that a future of no tasks is `bid-price`. Tesauro and Galperin, "On-line policy improvement
    using Monte-Carlo search", NIPS 1996; Bertsekas, Tsitsiklis and Wu, "Rollout algorithms for
    combinatorial optimization", J. Heuristics 3 (1997).

    It knows the base model. Row i draws from the i-th stream of the seed.

    Args:
        scenario: the world.
        config: settings.

    Raises (from `reset` on):
        AgentError: if the scenario is of the extended model.
    """

    deterministic = stateless = False

    def __init__(self, scenario: Scenario, config: RolloutConfig | None = None) -> None:
        super().__init__(scenario)
        self.config = config or RolloutConfig()

    @property
    def settings(self) -> dict[str, Any]:
        """Those of the prices, and its own."""
        return super().settings | asdict(self.config)

    def reset(self, seed: int) -> None:
        """Draw workloads of its own, and start new streams."""
        if self.scenario.extended:
            raise AgentError(
                f"agent 'rollout': scenario '{self.scenario.label}' is of the extended model, "
                "which it cannot simulate from what is observed; leave the agent out, or take a "
                "scenario of the base model, such as paper"
            )
        super().reset(seed)
        for_law, for_rows = np.random.SeedSequence(seed).spawn(2)
        self._law = Law(self.scenario, for_law)
        self._streams = RowStreams(for_rows)

    def choose(self, view: View) -> Actions:
        """Return one action per row."""
        left = np.where(view.candidates, self.left_of(view), -np.inf)
        action = best_action(view.candidates, left)
        services = left.shape[2]
        places = left.argmax(2) + services * np.arange(left.shape[1])
        for row in np.flatnonzero(view.demand > 0):
            best = left[row].max(1)
            order = np.argsort(-best, kind="stable")[: self.config.candidates]
            candidates = places[row, order[np.isfinite(best[order])]]
            if len(candidates) > 1:
                action[row] = candidates[self._best_of(view, int(row), candidates)]
        return action

    def _best_of(self, view: View, row: int, candidates: Ints) -> int:
        """Return which candidate of a row is the best, by index; the first is that of the base."""
        gain = self.play_out(view, row, candidates)
        gain = gain - gain[:, :1]
        mean = gain.mean(axis=0)
        error = gain.std(axis=0) / np.sqrt(len(gain))
        return int(np.where(mean > self.config.sure * error, mean, 0.0).argmax())

    def play_out(self, view: View, row: int, candidates: Ints) -> Floats:
        """Return what each candidate place of a row earns in each future, (M, C)."""
        law, futures, servers = self._law, self.config.futures, view.capacity.shape[1]
        drawn = self._streams.of(row + 1)[row].random((futures, 1 + servers * law.most_running * 2))
        shares = drawn[:, 1:].reshape(futures, servers, law.most_running, 2)
        capacity = np.ascontiguousarray(view.capacity[row])
        running = law.running(capacity - view.free[row], shares)
        returns = np.empty((futures, len(candidates)))
        play_out(
            *(capacity, self._prices, self.scenario.overload.penalty, law.value),
            *(law.demand, law.run_time, law.tasks.gap, law.tasks.kind, law.tasks.size),
            law.spans(drawn[:, 0], self.config.horizon),
            *(view.value[row].ravel(), int(view.demand[row]), float(view.run_time_ms[row])),
            *(candidates, *running, returns),
        )
        return returns

    @classmethod
    def load(cls, folder: str | Path, scenario: Scenario, *, transfer: bool = False) -> Self:
        """Return the agent that `save` wrote (see `Agent.load`)."""
        settings, _ = read_checkpoint(Path(folder), cls.name, scenario, transfer)
        own = {k: v for k, v in settings.items() if k in RolloutConfig.__dataclass_fields__}
        try:
            return cls(scenario, RolloutConfig(**own))
        except (AgentError, TypeError) as error:
            raise AgentError(f"{folder}: settings are not those of a 'rollout' ({error})") from None
