"""Policies that decide by more than they are shown are found out, though their logs are sound."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from edge_marl import EdgeAIGCVectorEnv, Workload
from edge_marl.agents import Agent
from edge_marl.agents.checkpoint import write_checkpoint
from edge_marl.leaderboards.submission.chain import Moment
from edge_marl.leaderboards.verification.season import from_beacon
from edge_marl.leaderboards.verification.verify import verify
from tests.leaderboards.cheats import knowing_more
from tests.leaderboards.cheats.knowing_more import Plans, plans_of
from tests.leaderboards.conftest import SMOKE, WORKLOADS
from tests.worlds import forging

BEACON = from_beacon("4f3c9a51e0b2d786")


def code_of(name: str) -> str:
    return f"{knowing_more.__file__}:{name}"


class Asked:
    """An agent of this process, asked as one of a submission is."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        agent.reset(0)

    def __call__(self, moment: Moment) -> npt.NDArray[np.int64]:
        return self._agent.act(moment.observation, moment.info)

    def preferences(self) -> None:
        return None


def by_heart(name: str, workloads: Sequence[Workload] = WORKLOADS) -> Plans:
    """Return a cheat that has plans for workloads."""
    envs = EdgeAIGCVectorEnv(len(workloads), scenario=SMOKE)
    first = envs.reset(options={"workloads": list(workloads)})[0]
    agent: Plans = getattr(knowing_more, name)(SMOKE, plans_of(SMOKE, workloads), first)
    return agent


def knowing(workloads: Sequence[Workload]) -> Asked:
    """Return `Plans` as no policy of a submission can be: told what it is asked in."""
    return Asked(by_heart("Plans", workloads))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("ReadsTheClock", " as the policy decides, found "),
        ("PeeksAtWorkloads", "workload 0, decision 0: expected 0 as the policy decides, found 2"),
    ],
)
def test_one_that_looks_around_is_not_re_executed(
    name: str, says: str, played: Callable[..., Path]
) -> None:
    folder = played(code_of(name), Asked(getattr(knowing_more, name)(SMOKE)))
    verdict = verify(folder, "re-executed", code=code_of(name))
    assert verdict.level == "replayed"
    assert verdict.failure is not None
    assert says in verdict.failure


def test_one_that_knows_the_future_fails_by_its_twins(played: Callable[..., Path]) -> None:
    folder = played(code_of("Plans"), knowing(WORKLOADS))
    verdict = verify(
        folder, "re-executed", open_policy=lambda _, workloads: nullcontext(knowing(workloads))
    )
    assert verdict.level == "replayed"
    assert verdict.passed[-1][0] == "re-execution"  # on the very workloads it decides the same
    assert verdict.failure is not None
    assert verdict.failure.startswith("twins: ")
    assert "the policy knows what is to come" in verdict.failure
    assert ", decision " in verdict.failure


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("Plans", "worse by more than 4 standard errors"),
        ("PlansAndThrowsAway", "but spread otherwise from workload to workload: two samples of"),
    ],
)
def test_one_that_knows_the_test_workloads_by_heart_is_found_out_held_out(
    name: str, says: str, played: Callable[..., Path]
) -> None:
    """Twins cannot tell: it plays what it has learnt whatever comes."""
    agent = by_heart(name)
    folder = played(code_of(name), Asked(agent))
    policy = folder / "policy" / "seed-0"
    write_checkpoint(policy, f"knowing_more.py:{name}", SMOKE, {}, agent.weights)
    forging.seal(folder)
    verdict = verify(folder, "held-out", code=code_of(name), fresh=BEACON)
    assert verdict.level == "re-executed"
    assert verdict.failure is not None
    assert verdict.failure.startswith("held-out: ")
    assert says in verdict.failure
