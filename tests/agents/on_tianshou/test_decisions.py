"""What gateways decided, against a list per gateway that is written down step by step."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
import pytest
from tianshou.data import Batch

from edge_marl.agents.on_tianshou.decisions import Decisions

ENVS, GATEWAYS, ACTIONS = 2, 3, 4
GAMMA, LAMBDA = 0.9, 0.8
SLOTS = ENVS * GATEWAYS


def rollout() -> Decisions:
    return Decisions(1000, SLOTS, GAMMA, LAMBDA)


class Played:
    """Made-up steps of a game; what a slot sees is a number of its own."""

    def __init__(self, seed: int) -> None:
        self.generator = np.random.default_rng(seed)
        self.seen = self.see()

    def see(self) -> Batch:
        waits = self.generator.random(SLOTS) < 0.4
        mask = np.zeros((SLOTS, ACTIONS + 1), dtype=np.bool_)
        mask[:, :-1] = waits[:, None]
        mask[:, -1] = ~waits
        which = np.arange(SLOTS) % GATEWAYS
        return Batch(obs=self.generator.random((SLOTS, 1)), mask=mask, which=which)

    def step(self) -> Any:
        ends = self.generator.random((2, ENVS)) < 0.15
        terminated, truncated = (of_env.repeat(GATEWAYS) for of_env in ends)
        deciding = ~self.seen.mask[:, -1]
        step = Batch(
            obs=self.seen,
            obs_next=self.see(),
            act=self.generator.integers(ACTIONS, size=SLOTS),
            rew=self.generator.random(SLOTS),
            terminated=terminated,
            truncated=truncated,
            info=Batch(),
            policy=Batch(log_p=self.generator.random(int(deciding.sum()))),
        )
        over: Any = terminated | truncated
        self.seen = deepcopy(step.obs_next)
        if over.any():
            self.seen[over] = self.see()[over]
        return step


def written_down(steps: list[Any]) -> list[dict[str, Any]]:
    """The same decisions, slot by slot, from the steps one at a time."""
    found = []
    for slot in range(SLOTS):
        now: dict[str, Any] | None = None
        for step in steps:
            if not step.obs.mask[slot, -1]:
                now = {"slot": slot, "obs": step.obs.obs[slot, 0], "rew": 0.0, "steps": 0}
                now |= {"act": step.act[slot]}
                found.append(now)
            if now is None:
                continue
            now["rew"] += (GAMMA * LAMBDA) ** now["steps"] * step.rew[slot]
            now["steps"] += 1
            now["terminated"] = step.terminated[slot]
            now["over"] = step.terminated[slot] or step.truncated[slot]
            now["next"] = step.obs_next.obs[slot, 0]
            if now["over"]:
                now = None
    return found


@pytest.mark.parametrize("seed", range(5))
def test_they_are_what_each_gateway_decided(seed: int) -> None:
    played, kept = Played(seed), rollout()
    for length in (25, 4):  # forgets what was before
        steps = [played.step() for _ in range(length)]
        for step in steps:
            kept.add(step)
        found: Any
        found, numbers = kept.sample(0)
        expected = written_down(steps)
        assert len(kept) == len(found) == len(numbers) == len(expected)
        for name in ("slot", "act", "rew", "steps", "terminated"):
            np.testing.assert_allclose(found[name], [one[name] for one in expected])
        np.testing.assert_array_equal(found.obs.obs[:, 0], [one["obs"] for one in expected])
        np.testing.assert_array_equal(found.obs_next.obs[:, 0], [one["next"] for one in expected])
        assert found.obs.mask.shape == (len(expected), ACTIONS)
        assert found.obs.mask.all()
        kept.reset()
        assert len(kept) == 0


def test_advantages_are_those_of_all_steps_where_idle_ones_are_worth_the_next_decision() -> None:
    """Against generalised advantages over every step, idle ones too, written out as sums."""
    played, kept = Played(7), rollout()
    steps = [played.step() for _ in range(40)]
    for step in steps:
        kept.add(step)
    found: Any
    found, numbers = kept.sample(0)
    value, following = np.random.default_rng(3).random((2, len(numbers)))
    for i in numbers[:-1]:  # what is seen next is what the next decision sees
        if found.slot[i] == found.slot[i + 1] and not (found.terminated[i] or found.truncated[i]):
            following[i] = value[i + 1]
    advantages = kept.advantages(found, value, following)
    following[found.terminated] = 0.0
    expected = []
    for slot in range(SLOTS):
        starts = [t for t, step in enumerate(steps) if not step.obs.mask[slot, -1]]
        own = dict(zip(starts, numbers[found.slot == slot], strict=True))
        for start in starts:
            total, weight, now = 0.0, 1.0, value[own[start]]
            for t in range(start, len(steps)):
                at = max(other for other in starts if other <= t)
                left = found.steps[own[at]] - (t - at) - 1  # idle steps after this one
                then = GAMMA**left * following[own[at]]
                total += weight * (steps[t].rew[slot] + GAMMA * then - now)
                now, weight = then, weight * GAMMA * LAMBDA
                if steps[t].terminated[slot] or steps[t].truncated[slot]:
                    break
            expected.append(total)
    np.testing.assert_allclose(advantages, expected)


def test_it_goes_on_where_it_was() -> None:
    played, first, second = Played(1), rollout(), rollout()
    second.restore(deepcopy(first.state()))
    for _ in range(6):
        first.add(played.step())
    second.restore(deepcopy(first.state()))
    step = played.step()
    for kept in (first, second):
        kept.add(step)
    (left, _), (right, _) = first.sample(0), second.sample(0)
    for name in ("slot", "act", "rew", "terminated", "truncated"):
        np.testing.assert_array_equal(left[name], right[name])
    np.testing.assert_array_equal(left.obs_next.obs, right.obs_next.obs)
