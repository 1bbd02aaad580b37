"""Compact submissions: the log of all runs but the first is made again by their policies."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from edge_marl.leaderboards.boards.board import read_boards
from edge_marl.leaderboards.boards.player_episodes import episodes_of
from edge_marl.leaderboards.policies.asking import Ask
from edge_marl.leaderboards.submission.chain import Moment
from edge_marl.leaderboards.submission.facts import means_of
from edge_marl.leaderboards.submission.files import read_actions
from edge_marl.leaderboards.submission.schema import Run
from edge_marl.leaderboards.verification.choosers import alike
from edge_marl.leaderboards.verification.verify import Verdict, verify
from edge_marl.scenario import load_scenario
from edge_marl.workload import Workload
from tests.leaderboards.conftest import WORKLOADS
from tests.worlds import forging

SMOKE = load_scenario("smoke")


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return forging.good_compact(tmp_path_factory.mktemp("compact"))


@pytest.fixture
def folder(good: Path, tmp_path: Path) -> Path:
    """A copy to change."""
    return Path(shutil.copytree(good, tmp_path / good.parent.name / good.name))


def replayed(folder: Path, open_policy: Any = None) -> Verdict:
    return verify(folder, "replayed", open_policy=open_policy or forging.playing("random"))


def test_it_is_made_again_and_then_checked_as_any_other(good: Path) -> None:
    verdict = verify(good, "re-executed", open_policy=forging.playing("random"))
    assert verdict.failure is None
    found = dict(verdict.passed)
    assert found["log"].endswith(" decisions; of the first run alone")
    assert found["log made again"] == "the log of 2 runs, in 2 plays"
    assert verdict.verification is not None
    assert (verdict.verification.differing, verdict.verification.twins) == (0, 600)
    assert verdict.verification.decisions > 2.9 * len(read_actions(good).actions)


def test_boards_play_its_first_run(good: Path) -> None:
    [board] = [board for board in read_boards(good.parents[1]) if board.rows]
    assert [one["run"] for one in episodes_of(board, board.rows[0])] == [0, 0]


@pytest.mark.parametrize("game", [False, True])
def test_policies_make_it_again_in_processes_of_their_own(game: bool, tmp_path: Path) -> None:
    """In a game each gateway draws lots of its own there."""
    folder = forging.good_compact(tmp_path, "smoke-game" if game else "smoke")
    verdict = verify(folder, "replayed")
    assert verdict.failure is None
    assert verdict.level == "replayed"


def no_policies(folder: Path) -> None:
    shutil.rmtree(folder / "policy")
    forging.seal(folder)


def not_registered(folder: Path) -> None:
    forging.edit(folder, lambda facts: facts["agent"].update(registered=False, name="own"))
    folder.rename(folder.with_name(folder.name.replace("random", "own")))


def other_run(folder: Path) -> None:
    """Claim for the last run what its policy does not do."""
    chain = forging.read(folder, "chain.json")
    chain["runs"][2]["heads"][7] = chain["runs"][1]["heads"][7]
    forging.write(folder, chain, "chain.json")
    forging.seal(folder)


def better_metrics(folder: Path) -> None:
    def change(facts: Any) -> None:
        facts["runs"][1]["metrics"]["tasks"][3] += 1
        facts["means"] = means_of([Run.model_validate(run) for run in facts["runs"]])

    forging.edit(folder, change)


def other_log(folder: Path) -> None:
    forging.edit_actions(folder, lambda log: log["actions"].__setitem__(5, 0))
    forging.edit_actions(folder, lambda log: log["actions"].__setitem__(6, 1))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (no_policies, "the others may be left out where an agent is registered and its policies"),
        (not_registered, "the others may be left out where an agent is registered"),
        (other_run, "run 2, workload 7, from decision "),
        (better_metrics, "run 1, workload 3: tasks: expected"),
        (other_log, "run 0, workload 0, decision 15: mark of the chain"),
    ],
)
def test_what_does_not_fit_is_refused(change: Any, says: str, folder: Path) -> None:
    change(folder)
    [changed] = folder.parent.iterdir()
    assert says in str(replayed(changed).failure)


def test_another_policy_does_not_give_the_chain(good: Path) -> None:
    own = forging.playing("random")
    failure = replayed(good, lambda seed, workloads: own(seed + 1, workloads)).failure
    assert failure is not None
    assert failure.startswith("log made again: ")
    assert "run 1, workload 0, from decision 0 on: what its policy decides does not" in failure


class Rounding:
    """The agent, as another machine would have it: some decisions are others, as good to it."""

    def __init__(self, seed: int, alike: bool) -> None:
        with forging.playing("random")(seed, WORKLOADS) as self._ask:
            self._alike = alike

    def __call__(self, moment: Moment) -> npt.NDArray[np.int64]:
        chosen = self._ask(moment).copy()
        self._told = np.zeros((len(chosen), SMOKE.num_actions))
        self._told[np.arange(len(chosen)), chosen] = float(self._alike)
        for k, number in ((3, 5), (3, 20), (3, 22), (8, 0)):
            if moment.number == number:
                chosen[k] = (chosen[k] + 1) % SMOKE.num_actions
        self._told[np.arange(len(chosen)), chosen] = 1.0
        return chosen

    def preferences(self) -> npt.NDArray[np.float64]:
        return self._told


@pytest.mark.parametrize("alike", [True, False])
def test_decisions_that_rounding_makes_otherwise_are_found(alike: bool, good: Path) -> None:
    def open_policy(seed: int, workloads: Sequence[Workload]) -> AbstractContextManager[Ask]:
        return nullcontext(Rounding(seed, alike))

    if not alike:
        failure = str(replayed(good, open_policy).failure)
        assert "run 1, workload 3, from decision 0 on" in failure
        return
    verdict = verify(good, "re-executed", open_policy=open_policy)
    assert verdict.failure is None
    assert verdict.verification is not None
    assert verdict.verification.differing == 12
    plays = dict(verdict.passed)["log made again"]
    assert 6 <= int(plays.split()[-2]) <= 20


def test_nothing_is_as_good_as_what_is_not_finite() -> None:
    told = np.array([[np.inf, 1.0], [2.0, 2.000001], [np.nan, 0.0], [0.0, 1.0]])
    found = alike(told, np.array([0, 0, 0, 7]))
    assert found.tolist() == [[False, False], [True, True], [False, False], [False, False]]


def test_a_run_that_was_there_is_found_by_its_chain(folder: Path) -> None:
    """Whichever run it is, also where no log of it is at hand."""
    mine = Path(shutil.copytree(folder, folder.with_name("2026-11-30-random")))
    forging.edit(mine, lambda facts: facts.update(date="2026-11-30"))
    forging.edit_actions(mine, lambda log: log["actions"].__setitem__(slice(None, None, 2), 0))

    def take_one(chain: Any) -> None:
        for run in chain["runs"]:
            run["heads"][0] = f"{run['seed']}" * 64
        chain["runs"][1]["heads"] = forging.read(folder, "chain.json")["runs"][2]["heads"]

    forging.edit(mine, take_one, "chain.json")
    failure = str(verify(mine, "claimed").failure)
    assert failure.startswith("duplicates: ")
    assert "chain.json: run 1 took the same decisions as run 2 of smoke-v0/" in failure
