"""What gateways decided since the last update: each one's decisions in a row, and no idling.

In slots most gateways have no task at most times (nine in ten of `paper-game`). Tianshou's buffers
would hold a transition of each in every step; these go from a gateway's decision to its next one,
n steps on, as in a semi-Markov decision process (Sutton, Precup and Singh, "Between MDPs and
semi-MDPs", 1999). A discount is per step all the same. With a critic V of states in which there is
something to decide, and what an idle step adds taken to be what is earned in it, the generalised
advantage of a decision (arXiv:1506.02438) is

    A = sum_k (gamma lambda)^k r_k  +  gamma^n V'  -  V  +  (gamma lambda)^n A'

over its own step, k = 0, and the idle ones after it, and V', A' those of the next decision. What a
gateway earned before its first decision is nobody's doing, and is left out.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from tianshou.data import Batch
from tianshou.data.batch import create_value

from edge_marl.agents.on_tianshou.replay_buffer import arrays_of, batch_of
from edge_marl.kernel.world import NOWHERE

__all__ = ["Decisions"]

Floats = npt.NDArray[np.float64]


class Decisions:
    """A rollout of decisions, as Tianshou's on-policy algorithms ask a buffer for it.

    Slot e * G + g is gateway g of environment e.

    Args:
        most: decisions after which an update is due.
        slots: E * G.
        gamma: discount per step.
        gae_lambda: of the advantage.
    """

    def __init__(self, most: int, slots: int, gamma: float, gae_lambda: float) -> None:
        self._gamma, self._fades = gamma, gamma * gae_lambda
        self._room = most + slots  # an update comes after the step that has crossed `most`
        self._made: Any = Batch()  # by place; room for all once there is one
        self._last = np.full(slots, NOWHERE)  # each slot's last decision of its episode
        self._now: Any = None  # what slots saw last
        self._count = 0
        self._unfinished = np.zeros(0, dtype=np.int64)

    def __len__(self) -> int:
        """Decisions that are kept."""
        return self._count

    def add(self, step: Any) -> None:
        """Add a step of all slots; `policy` is of those who decided, who come in order."""
        deciding = np.flatnonzero(step.obs.mask[:, :-1].any(axis=1))
        seen, self._now = _without_mask(step.obs), _without_mask(step.obs_next)
        self._go_on(deciding, seen)
        self._last[deciding] = self._add(deciding, step)
        slots = np.flatnonzero(self._last != NOWHERE)
        places, made = self._last[slots], self._made
        over = (step.terminated | step.truncated)[slots]
        made.rew[places] += self._fades ** made.steps[places] * step.rew[slots]
        made.steps[places] += 1
        made.terminated[places] = step.terminated[slots]
        made.truncated[places] = step.truncated[slots]
        self._go_on(slots[over], self._now)
        self._last[slots[over]] = NOWHERE

    def _add(self, deciding: npt.NDArray[np.int64], step: Any) -> npt.NDArray[np.int64]:
        """Add decisions of slots; return their places."""
        none = np.zeros(len(deciding), dtype=np.bool_)
        made: Any = Batch(
            slot=deciding,
            obs=step.obs[deciding],
            obs_next=self._now[deciding],
            act=step.act[deciding],
            rew=np.zeros(len(deciding)),
            steps=np.zeros(len(deciding), dtype=np.int64),
            terminated=none,
            truncated=none,
            policy=step.policy,
        )
        made.obs.mask = made.obs.mask[:, :-1]  # nothing is no choice of theirs
        if not self._made.get_keys():
            self._made = create_value(made, self._room, stack=False)
        places = np.arange(self._count, self._count + len(deciding))
        self._made[places] = made
        self._count += len(deciding)
        return places

    def _go_on(self, slots: npt.NDArray[np.int64], seen: Any) -> None:
        """Say what slots saw when the time of their last decision was over."""
        slots = slots[self._last[slots] != NOWHERE]
        if len(slots):
            self._made.obs_next[self._last[slots]] = seen[slots]

    def sample(self, size: int | None) -> tuple[Batch, npt.NDArray[np.int64]]:
        """Return all decisions, those of a slot one after the other, and their numbers (n,)."""
        if self._now is not None:
            self._go_on(np.arange(len(self._last)), self._now)
        order = np.argsort(self._made.slot[: self._count], kind="stable")
        found: Any = self._made[order]
        ends = np.append(found.slot[1:] != found.slot[:-1], True)
        found.info = Batch()
        self._unfinished = np.flatnonzero(ends & ~(found.terminated | found.truncated))
        return found, np.arange(self._count)

    def advantages(self, decided: Any, value: Floats, following: Floats) -> Floats:
        """Return the advantage of each decision sampled last, (n,).

        Args:
            decided: as `sample` returned them.
            value: (n,) the critic's of what was seen.
            following: (n,) the critic's of what was seen next.
        """
        later = np.where(decided.terminated, 0.0, self._gamma**decided.steps * following)
        gained: Floats = decided.rew + later - value
        fading = self._fades**decided.steps
        fading[decided.terminated | decided.truncated] = 0.0
        fading[self._unfinished] = 0.0
        advantage = 0.0
        for i in reversed(range(len(gained))):
            gained[i] = advantage = gained[i] + fading[i] * advantage
        return gained

    def reset(self) -> None:
        """Forget all decisions: what follows from them later is left to the critic."""
        self._last[:] = NOWHERE
        self._count = 0

    def state(self) -> dict[str, Any]:
        """Return all that it knows, as `state_file.write_state` takes it."""
        return {
            "made": arrays_of(self._made),
            "last": self._last,
            "now": None if self._now is None else arrays_of(self._now),
            "count": self._count,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a state of a rollout of the same size."""
        self._made, self._last, self._count = (
            batch_of(state["made"]),
            state["last"].copy(),
            state["count"],
        )
        self._now = None if state["now"] is None else batch_of(state["now"])


def _without_mask(seen: Any) -> Any:
    return Batch({name: part for name, part in seen.items() if name != "mask"})
