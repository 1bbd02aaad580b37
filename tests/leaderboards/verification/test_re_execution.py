"""Policies that are asked again: honest ones pass, those that look elsewhere are found out."""

from __future__ import annotations

import hashlib
import threading
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import numpy.typing as npt
import pytest

from edge_marl import draw_workload, load_scenario
from edge_marl.agents import Agent, make
from edge_marl.errors import SubmissionError
from edge_marl.kernel.world import ARRIVAL, TIME
from edge_marl.leaderboards.submission.chain import Moment, play_episodes
from edge_marl.leaderboards.submission.files import read_actions, read_submission
from edge_marl.leaderboards.submission.schema import WORKLOADS as WORKLOADS_OF_A_BOARD
from edge_marl.leaderboards.verification import choosers
from edge_marl.leaderboards.verification.choosers import Again, Shown
from edge_marl.leaderboards.verification.fresh import draw_fresh, draw_twin
from edge_marl.leaderboards.verification.twins import Paired
from edge_marl.leaderboards.verification.verify import verify
from tests.leaderboards.cheats import breaking_the_pipe, telling_each_other
from tests.worlds import forging

SMOKE = load_scenario("smoke")
WORKLOADS = [draw_workload(SMOKE, k, split="test") for k in range(100)]


def with_own_code(root: Path) -> Path:
    """Return a submission of an agent that is not registered."""
    episodes = play_episodes(SMOKE, WORKLOADS, lambda moment: np.zeros(100, np.int64))
    return forging.with_episodes(
        forging.copy_of_good(root), episodes, f"{breaking_the_pipe.__file__}:First"
    )


def with_other_decisions(root: Path, count: int) -> Path:
    """Return the good submission with the last decision of some episodes exchanged in its log."""
    folder = forging.copy_of_good(root)
    log = read_actions(folder)
    scripts = [log.episode(0, k).astype(np.int64) for k in range(100)]
    for script in scripts[:count]:
        script[-1] = (script[-1] + 1) % SMOKE.num_actions

    def choose(moment: Moment) -> npt.NDArray[np.int64]:
        return np.array([s[min(moment.number, len(s) - 1)] for s in scripts])

    return forging.with_played(folder, play_episodes(SMOKE, WORKLOADS, choose))


class Telling:
    """Asks the good policy, and tells that it prefers all actions alike, or by whole steps."""

    def __init__(self, alike: bool) -> None:
        agent = make("prophet", SMOKE)
        assert isinstance(agent, Agent)
        agent.reset(0)
        self._agent, self._step = agent, 1e-7 if alike else 1.0

    def __call__(self, moment: Moment) -> npt.NDArray[np.int64]:
        self._rows = len(moment.going)
        return self._agent.act(moment.observation, moment.info)

    def preferences(self) -> npt.NDArray[np.float64]:
        return np.tile(self._step * np.arange(SMOKE.num_actions), (self._rows, 1))


def test_a_decision_that_was_exchanged_for_a_better_one_fails(tmp_path: Path) -> None:
    """L3: a registered agent's log, with a few decisions of somebody else's."""
    folder = with_other_decisions(tmp_path, 1)
    assert verify(folder, "replayed").failure is None
    verdict = verify(folder, "re-executed")
    assert verdict.failure is not None
    assert "workload 0, decision " in verdict.failure
    assert "the policy does not prefer both alike; 1 of 6144 decisions differ" in verdict.failure


@pytest.mark.parametrize(
    ("count", "alike", "says"),
    [
        (6, True, None),
        (7, True, "7 of 6144 decisions differ, 0.1 % may"),
        (1, False, "the policy does not prefer both alike"),
    ],
)
def test_decisions_may_differ_only_where_the_policy_prefers_both_alike(
    count: int, alike: bool, says: str | None, tmp_path: Path
) -> None:
    folder = with_other_decisions(tmp_path, count)
    verdict = verify(
        folder, "re-executed", open_policy=lambda seed, workloads: nullcontext(Telling(alike))
    )
    if says is None:
        assert verdict.failure is None
        assert verdict.verification is not None
        assert verdict.verification.differing == count
        by_itself = verdict.verification.closed_loop
        assert by_itself is not None
        good = read_submission(forging.GOOD).runs[0].metrics["utility"]
        assert by_itself.metrics["utility"] == (good,)  # of its policy, not of the exchanged log
    else:
        assert says in str(verdict.failure)


def test_no_code_of_a_submission_is_run(tmp_path: Path) -> None:
    folder = with_own_code(tmp_path)
    verdict = verify(folder)
    assert verdict.level == "replayed"
    assert verdict.failure is None
    verdict = verify(folder, "re-executed")
    assert verdict.failure is not None
    assert "no code of a submission is run" in verdict.failure


def test_other_code_than_the_submissions_is_refused(tmp_path: Path) -> None:
    folder = with_own_code(tmp_path)
    example = Path(__file__).parents[3] / "docs" / "examples" / "my_agent.py"
    verdict = verify(folder, "re-executed", code=f"{example}:MostRoom")
    assert verdict.failure is not None
    assert "SHA-256 of the file of" in verdict.failure


def test_twins_have_the_weights_and_the_sleeps_of_both() -> None:
    """Up to where they part a policy is shown the same weights, and gateways sleep alike."""
    scenario = load_scenario("campus-game@1").with_sleep(300.0, 60.0)
    workload = draw_workload(scenario, 3, split="test")
    twin = draw_twin(scenario, workload, 3, "test")
    assert workload.weights is not None
    assert twin.weights is not None
    assert workload.sleeps is not None
    assert twin.sleeps is not None
    least = min(len(twin.tasks), len(workload.tasks))
    parted = int((twin.tasks[:least] != workload.tasks[:least]).any(1).argmax())
    assert (twin.weights[:parted] == workload.weights[:parted]).all()
    assert len(np.unique(twin.weights)) == 3
    cut = workload.tasks[parted - 1, ARRIVAL]
    early = [sleeps[sleeps[:, TIME] <= cut].tolist() for sleeps in (workload.sleeps, twin.sleeps)]
    assert early[0] == early[1] != []
    assert (twin.sleeps[:, TIME] > cut).any()
    twin.check_fits(scenario)


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


class Scripted:
    """Chooses by what each row sees, and notes how many rows it was asked of at a time."""

    stateless, used_s = True, 0.0

    def __init__(self) -> None:
        self.asked: list[int] = []

    def __call__(self, moment: Moment) -> npt.NDArray[np.int64]:
        self.asked.append(int(moment.going.sum()))
        self._seen = moment.observation[:, 0].astype(np.int64) % 3
        return np.where(moment.going, self._seen, 0)

    def preferences(self) -> npt.NDArray[np.float64]:
        told = np.zeros((len(self._seen), 3))
        told[np.arange(len(self._seen)), self._seen] = 1.0
        told[:, 2] = 1.0  # as good as any
        return told


def steps_of(count: int) -> list[Shown]:
    """What a gateway saw in as many steps of three episodes, and what it did: action 2 at step 4,
    and at step 7 another one than any that is as good."""
    shown: list[Shown] = []
    for number in range(count):
        seen = np.full((3, 2), number, np.float32)
        going = np.array([True, number % 2 == 0, number < 6])
        legal, gateway = np.ones((3, 3), np.int8), np.zeros(3, np.int64)
        done = np.where(going, number % 3, 0)
        if number in (4, 7):
            done[0] = 2 if number == 4 else 0
        shown.append((Moment(number, seen, legal, gateway, going), done))
    return shown


def test_many_steps_in_a_question_are_compared_as_one_by_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(choosers, "ROWS_AT_ONCE", 6)
    found = {}
    for at_once in (False, True):
        ask = Scripted()
        again = Again(ask, SimpleNamespace(gateways=1), 0)  # type: ignore[arg-type]
        again.compare_all(steps_of(9), at_once)
        asked = [one.tolist() for one in again.asked]
        found[at_once] = (again.total, again.differing, again.first, again.worse, asked)
        assert len(ask.asked) == (5 if at_once else 9)  # three questions, and two steps once more
    assert found[True] == found[False]
    total, differing, first, worse, _ = found[True]
    assert (total, differing) == (9 + 5 + 6, 2)
    assert "decision 4: expected 1 as the policy decides, found 2" in first
    assert "decision 7: expected 1 as the policy decides, found 0" in worse


def test_another_persons_code_is_asked_step_by_step_and_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may say that it keeps nothing, and look at what is to come in the same question."""
    at_once: list[bool] = []
    compare = Again.compare_all

    def noting(self: Again, shown: list[Shown], all_steps: bool) -> None:
        at_once.append(all_steps)
        assert threading.active_count() <= before + 1
        compare(self, shown, all_steps)

    monkeypatch.setattr(Again, "compare_all", noting)
    before = threading.active_count()
    folder = forging.game_of_good(tmp_path)
    code = f"{telling_each_other.__file__}:PoolsAndSaysThatItKeepsNothing"
    game = load_scenario("smoke-game")
    workloads = [draw_workload(game, k, split="test") for k in range(100)]
    episodes = play_episodes(game, workloads, lambda moment: np.zeros(len(moment.going), np.int64))
    assert verify(forging.with_episodes(folder, episodes, code), "re-executed", code=code).failure
    assert at_once
    assert not any(at_once)
    at_once.clear()
    before = 1000  # a registered agent's are asked side by side
    assert verify(forging.good_game(tmp_path / "game"), "re-executed").failure is None
    assert all(at_once)


@pytest.mark.parametrize(("prefers", "fails"), [(2, False), (1, True)])
def test_a_choice_between_equals_is_no_knowledge_of_the_future(prefers: int, fails: bool) -> None:
    """In a twin a policy may take the other one of two actions that it prefers alike."""
    rows = WORKLOADS_OF_A_BOARD
    seen = np.zeros((rows, 2), np.float32)
    legal, gateway, going = np.ones((rows, 3), np.int8), np.zeros(rows, np.int64), np.ones(rows)
    moment = Moment(0, seen, legal, gateway, going.astype(np.bool_))
    before = np.zeros(rows, np.int64)
    before[5] = prefers
    again = SimpleNamespace(asked=[before], gateway=None)
    logged = SimpleNamespace(choose=lambda moment, needed: before)
    shown = SimpleNamespace(shown=[choosers.digests_of(moment)])
    pair = Paired(Scripted(), again, logged, shown)  # type: ignore[arg-type]
    for _ in range(20):  # one in a hundred is too many, one in two thousand is not
        pair.choose(moment)
        before = before.copy()
        before[5] = 0
        again.asked[0] = before
    if fails:
        with pytest.raises(SubmissionError, match="expected 1 as in the twin that is the same"):
            pair.check("run 0")
    else:
        pair.check("run 0")
