"""A game in closed loop, a process per gateway: deadlines, groups, and samples of many gateways."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from edge_marl import draw_workload, load_scenario
from edge_marl.leaderboards.policies import asking
from edge_marl.leaderboards.policies.opening import policies_of
from edge_marl.leaderboards.submission.chain import Moment, play_episodes
from edge_marl.leaderboards.verification import case as cases
from edge_marl.leaderboards.verification import together
from edge_marl.leaderboards.verification.season import from_beacon
from edge_marl.leaderboards.verification.together import DEADLINE_S, Together, open_together
from edge_marl.leaderboards.verification.verify import verify
from tests.worlds import forging

GAME = load_scenario("smoke-game")
WORKLOADS = [draw_workload(GAME, k, split="test") for k in range(100)]
BEACON = from_beacon("4f3c9a51e0b2d786")


class Fake:
    """A process that chooses its own number, and says how long it took for each decision."""

    def __init__(self, number: int, seconds: float) -> None:
        self._number, self._seconds, self.used_s = number, seconds, 0.0
        self.stateless = False

    def __call__(self, moment: Moment) -> npt.NDArray[np.int64]:
        self.used_s = self._seconds * moment.going.sum()
        return np.full(len(moment.going), self._number)

    def preferences(self) -> None:
        return None


def test_a_late_decision_but_the_first_is_to_do_nothing_and_counted() -> None:
    asks = [Fake(1, 0.9 * DEADLINE_S), Fake(2, 1.1 * DEADLINE_S), Fake(3, 0.0)]
    playing = Together(asks, [[0], [1], [2]], GAME)
    going = np.array([True, True, False, False, True, True])
    seen, legal = np.zeros((6, 4), np.float32), np.ones((6, GAME.num_actions), np.int8)
    moment = Moment(0, seen, legal, np.tile(np.arange(3), 2), going, gateways=3)
    nothing = GAME.num_actions
    idle = replace(moment, going=np.zeros(6, bool))
    assert [playing(one)[going].tolist() for one in (idle, moment, moment)] == [
        [1, 2, 2, 3],  # nobody decides
        [1, 2, 2, 3],  # code is loaded
        [1, nothing, nothing, 3],
    ]
    assert not any(late.any() for late in playing.late[:2])
    assert playing.late[2].tolist() == [False, True, False, False, True, False]


def test_a_process_may_have_several_gateways() -> None:
    playing = Together([Fake(1, 0.0), Fake(2, 0.0)], [[0, 1], [2]], GAME)
    seen, legal = np.zeros((6, 4), np.float32), np.ones((6, GAME.num_actions), np.int8)
    moment = Moment(0, seen, legal, np.tile(np.arange(3), 2), np.ones(6, bool), gateways=3)
    assert playing(moment).tolist() == [1, 1, 2, 1, 1, 2]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return forging.good_game(tmp_path_factory.mktemp("games"))


@pytest.mark.usefixtures("bwrap")
def test_processes_play_what_the_log_says_whatever_their_number(
    good: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(together, "PROCESSES", 2)
    opener = policies_of(good, GAME, "bwrap")
    with open_together(opener, GAME, 0, WORKLOADS) as playing:
        heads = [one.head for one in play_episodes(GAME, WORKLOADS, playing)]
    chain = forging.read(good, "chain.json")["runs"][0]
    assert heads == chain["heads"]
    assert not any(late.any() for late in playing.late)


@pytest.mark.usefixtures("bwrap")
def test_time_is_that_of_the_policys_processor(good: Path) -> None:
    with ExitStack() as stack:
        ask = stack.enter_context(policies_of(good, GAME, "bwrap")(0, WORKLOADS, [1]))
        used = []

        def choose(moment: Moment) -> npt.NDArray[np.int64] | None:
            if moment.number == 20:
                return None
            ask(moment.of(1))
            used.append(ask.used_s)
            return np.zeros(len(moment.going), np.int64)

        play_episodes(GAME, WORKLOADS, choose)
        assert asking._clock_of(os.getpid()) is not None  # of a process without children, itself
        before = vars(ask)["_clock"]
        assert before is not None
        start = time.clock_gettime(before)
        time.sleep(0.2)
        assert time.clock_gettime(before) - start < 0.1  # it waits for the next question
    assert 0 < np.median(used) < 0.1


@pytest.mark.usefixtures("bwrap")
def test_of_many_gateways_a_sample_is_drawn_that_needs_a_beacon(
    good: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cases, "ALONE", 1)
    assert verify(good).level == "replayed"
    failure = verify(good, "re-executed").failure
    assert failure is not None
    assert "of its 3 gateways are drawn, from its seal and a value of later: give a" in failure
    verdict = verify(good, "re-executed", fresh=BEACON)
    assert verdict.failure is None
    assert "each gateway alone, 1 of 3" in dict(verdict.passed)["re-execution"]
