"""What was decided, and what came of it as far as that is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from tianshou.data import Batch

from edge_marl.agents.on_tianshou.learner import Environments
from edge_marl.agents.outcome.credit import own_outcomes

__all__ = ["OutcomeReplay"]


class OutcomeReplay:
    """The last decisions: features of the pair that was chosen, and its outcome once it is final.

    What is still running when its episode ends is taken as it stands then, as the episode's utility
    is. Decisions whose outcome is not known yet are not drawn.

    Args:
        size: decisions kept.
        features: features of a pair F.
        seed: of the draws.
    """

    def __init__(self, size: int, features: int, seed: np.random.SeedSequence) -> None:
        self._arrays: dict[str, npt.NDArray[Any]] = {
            "features": np.zeros((size, features), dtype=np.float32),
            "which": np.zeros(size, dtype=np.int64),  # network that decided
            "row": np.zeros(size, dtype=np.int64),
            "task": np.zeros(size, dtype=np.int64),
            "outcome": np.zeros(size, dtype=np.float32),
            "known": np.zeros(size, dtype=np.bool_),
        }
        self._count = 0  # of decisions so far
        self._generator = np.random.Generator(np.random.PCG64(seed))
        self._env: Environments

    def attach(self, env: Environments) -> None:
        """Take the environments that outcomes are looked up in."""
        self._env = env

    def __len__(self) -> int:
        """Decisions that are kept."""
        return min(self._count, len(self._arrays["known"]))

    def add(self, step: Any) -> None:
        """Add the decisions of a step that has been taken, which are `step.policy`."""
        made = step.policy
        places = np.arange(self._count, self._count + len(made.task)) % len(self._arrays["known"])
        for name in ("features", "which", "row", "task"):
            self._arrays[name][places] = made[name]
        self._arrays["known"][places] = False
        self._count += len(places)
        over = np.asarray(step.terminated | step.truncated).reshape(self._env.num_envs, -1)[:, 0]
        if over.any():
            self._look_up(over)

    def sample(self, size: int) -> tuple[Batch, npt.NDArray[np.int64]]:
        """Return `size` decisions, drawn with replacement, as Tianshou asks for them."""
        known = np.flatnonzero(self._arrays["known"][: len(self)])
        places = known[self._generator.integers(len(known), size=size)]
        shown = ("features", "which", "outcome")
        return Batch({name: self._arrays[name][places] for name in shown}), places

    def look_up(self) -> int:
        """Note the outcomes that are final by now; return how many are known."""
        self._look_up(np.zeros(self._env.num_envs, dtype=np.bool_))
        return int(self._arrays["known"][: len(self)].sum())

    def _look_up(self, over: npt.NDArray[np.bool_]) -> None:
        """Note outcomes that are final, and all of the rows (E,) whose episode is over."""
        parts = self._arrays
        open_ = np.flatnonzero(~parts["known"][: len(self)])
        row, task = parts["row"][open_], parts["task"][open_]
        outcome, final = own_outcomes(self._env.simulator.world, row, task)
        final |= over[row]
        parts["outcome"][open_[final]] = outcome[final]
        parts["known"][open_[final]] = True

    def state(self) -> dict[str, Any]:
        """Return all that it knows, as `state_file.write_state` takes it."""
        generator = dict(self._generator.bit_generator.state)
        kept = {name: array[: len(self)] for name, array in self._arrays.items()}
        return {"kept": kept, "count": self._count, "generator": generator}

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a state."""
        self._count = state["count"]
        for name, array in state["kept"].items():
            self._arrays[name][: len(array)] = array
        self._generator.bit_generator.state = state["generator"]
