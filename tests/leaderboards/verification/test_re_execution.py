"""Policies that are asked again: honest ones pass, those that look elsewhere are found out."""

from __future__ import annotations

import hashlib
import socket
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from edge_marl import draw_workload, load_scenario
from edge_marl.agents import Agent, make
from edge_marl.kernel.world import ARRIVAL
from edge_marl.leaderboards.submission.chain import Moment, play_episodes
from edge_marl.leaderboards.verification.fresh import draw_fresh, draw_twin
from edge_marl.leaderboards.verification.season import from_beacon
from edge_marl.leaderboards.verification.verify import verify
from tests.leaderboards.verification import cheats
from tests.worlds import forging

SMOKE = load_scenario("smoke")
WORKLOADS = [draw_workload(SMOKE, k, split="test") for k in range(100)]
BEACON = from_beacon("4f3c9a51e0b2d786")


def submission_by(name: str, tmp_path: Path) -> tuple[Path, str]:
    """Return a submission that a cheat played, and its code."""
    code = f"{Path(cheats.__file__)}:{name}"
    agent = make(code, SMOKE)
    assert isinstance(agent, Agent)
    agent.reset(0)

    def choose(moment: Moment) -> npt.NDArray[np.int64]:
        if name in ("Fails", "Dies", "Hoards", "CallsHome"):  # what they do comes later
            return np.zeros(len(moment.going), np.int64)
        return agent.act(moment.observation, {"action_mask": moment.mask})

    episodes = play_episodes(SMOKE, WORKLOADS, choose)
    return forging.with_episodes(forging.copy_of_good(tmp_path), episodes, code), code


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("ReadsTheClock", " as the policy decides, found "),
        ("PeeksAtWorkloads", "workload 0, decision 0: expected 0 as the policy decides, found 2"),
        ("Fails", "decision 0: the policy failed: RuntimeError: no more"),
        ("Dies", "decision 0: the policy's process ended (status 3"),
        ("Hoards", "decision 0: the policy failed: "),
    ],
)
def test_a_cheat_is_replayed_and_not_re_executed(name: str, says: str, tmp_path: Path) -> None:
    folder, code = submission_by(name, tmp_path)
    verdict = verify(folder, "re-executed", code=code)
    assert verdict.level == "replayed"
    assert verdict.failure is not None
    assert says in verdict.failure


def test_a_policy_reaches_nobody(tmp_path: Path) -> None:
    folder, code = submission_by("CallsHome", tmp_path)
    with socket.create_server(("127.0.0.1", cheats.PORT)) as listening:
        listening.settimeout(0.1)
        verdict = verify(folder, "re-executed", code=code)
        with pytest.raises(TimeoutError):
            listening.accept()
    assert verdict.failure is not None
    assert "decision 0: the policy failed: " in verdict.failure


def test_a_planner_that_knows_the_future_fails_by_its_twins(tmp_path: Path) -> None:
    episodes = play_episodes(SMOKE, WORKLOADS, cheats.Planner(SMOKE, WORKLOADS))
    code = f"{Path(cheats.__file__)}:Planner"
    folder = forging.with_episodes(forging.copy_of_good(tmp_path), episodes, code)
    assert verify(folder, "replayed").level == "replayed"
    verdict = verify(
        folder, "re-executed", open_policy=lambda seed, workloads: cheats.Planner(SMOKE, workloads)
    )
    assert verdict.level == "replayed"
    assert verdict.passed[-1][0] == "re-execution"  # on the very workloads it decides the same
    assert verdict.failure is not None
    assert verdict.failure.startswith("twins: ")
    assert "the policy knows what is to come" in verdict.failure
    assert ", decision " in verdict.failure


def test_no_code_of_a_submission_is_run(tmp_path: Path) -> None:
    folder, _ = submission_by("PeeksAtWorkloads", tmp_path)
    verdict = verify(folder)
    assert verdict.level == "replayed"
    assert verdict.failure is None
    verdict = verify(folder, "re-executed")
    assert verdict.failure is not None
    assert "no code of a submission is run" in verdict.failure


def test_other_code_than_the_submissions_is_refused(tmp_path: Path) -> None:
    folder, _ = submission_by("PeeksAtWorkloads", tmp_path)
    example = Path(__file__).parents[3] / "docs" / "examples" / "my_agent.py"
    verdict = verify(folder, "re-executed", code=f"{example}:MostRoom")
    assert verdict.failure is not None
    assert "SHA-256 of the file of" in verdict.failure


def test_held_out_by_a_beacon() -> None:
    verdict = verify(forging.GOOD, "held-out", fresh=BEACON)
    assert verdict.failure is None
    assert verdict.verification is not None
    held_out = verdict.verification.held_out
    assert held_out is not None
    assert abs(held_out.utility_per_task - held_out.test_utility_per_task) < 0.05


def test_one_that_knows_the_test_workloads_by_heart_is_found_out_held_out(tmp_path: Path) -> None:
    """Twins cannot tell: it plays what it has learnt whatever comes."""
    code = f"{Path(cheats.__file__)}:Planner"
    episodes = play_episodes(SMOKE, WORKLOADS, cheats.Planner(SMOKE, WORKLOADS))
    folder = forging.with_episodes(forging.copy_of_good(tmp_path), episodes, code)
    verdict = verify(
        folder, fresh=BEACON, open_policy=lambda seed, _: cheats.Planner(SMOKE, WORKLOADS)
    )
    assert verdict.level == "re-executed"
    assert verdict.failure is not None
    assert "worse by more than 4 standard errors" in verdict.failure


@pytest.mark.parametrize("tier", ["smoke", "paper", "campus", "metro", "studio"])
def test_twins_agree_up_to_where_they_part_and_then_differ(tier: str) -> None:
    scenario = load_scenario(tier)
    workload = draw_workload(scenario, 3, split="test")
    twin = draw_twin(scenario, workload, 3, "test")
    least = min(len(twin.tasks), len(workload.tasks))
    parted = int((twin.tasks[:least] != workload.tasks[:least]).any(1).argmax())
    assert workload.num_tasks // 5 < parted < workload.num_tasks * 4 // 5
    cut = workload.tasks[parted - 1, ARRIVAL]
    late = workload.tasks[:, ARRIVAL] > cut
    assert late.any()
    twin.check_fits(scenario)


def test_fresh_workloads_are_no_public_ones_and_depend_on_every_part() -> None:
    drawn = [draw_fresh(SMOKE, 0, *parts).digest for parts in ("ab", "ac", ("a", "b", "c"))]
    assert len({*drawn, *(w.digest for w in WORKLOADS)}) == 103
    assert draw_fresh(SMOKE, 0, "a", "b").digest == drawn[0]


def test_a_chain_is_what_its_description_says() -> None:
    """Computed anew from `Chain`'s words, on the environment of one episode."""
    from edge_marl.envs import EdgeAIGCEnv
    from edge_marl.leaderboards.submission.files import read_actions, read_chain

    actions = read_actions(forging.GOOD).episode(0, 7)
    env = EdgeAIGCEnv(scenario="smoke")
    observation, _ = env.reset(options={"workload": WORKLOADS[7]})
    head = hashlib.sha256(b"edge-marl-chain-1" + bytes.fromhex(WORKLOADS[7].digest)).digest()
    for action in actions:
        seen = observation
        observation, reward, *_ = env.step(int(action))
        added = seen.astype("<f4").tobytes() + int(action).to_bytes(8, "little")
        head = hashlib.sha256(head + added + np.float64(reward).astype("<f8").tobytes()).digest()
    assert read_chain(forging.GOOD).runs[0].heads[7] == head.hex()
