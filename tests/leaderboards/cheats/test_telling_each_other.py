"""Gateways that pool what they see, or tell each other, decide otherwise alone than together."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from shutil import rmtree
from tempfile import gettempdir
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from edge_marl import draw_workload, load_scenario
from edge_marl.agents import Agent
from edge_marl.leaderboards.submission.chain import Choose, Moment, chooser_of, play_episodes
from edge_marl.leaderboards.verification.season import from_beacon
from edge_marl.leaderboards.verification.verify import Verdict, verify
from tests.leaderboards.cheats import telling_each_other as cheats
from tests.leaderboards.cheats.telling_each_other import MARK, Pools, Tells
from tests.worlds import forging

GAME = load_scenario("smoke-game")
GATEWAYS = GAME.gateways.count
WORKLOADS = [draw_workload(GAME, k, split="test") for k in range(100)]
BEACON = from_beacon("4f3c9a51e0b2d786")


ALIVE = Path("/tmp", f"{MARK}-alive")


def leaves(kind: type[Any]) -> list[str]:
    below = kind.__subclasses__()
    return [name for one in below for name in leaves(one)] if below else [kind.__name__]


ALL = [*leaves(Pools), *leaves(Tells), "WaitsForTheSeed"]


@pytest.fixture(autouse=True)
def swept() -> Iterator[None]:
    """Leave nothing of theirs behind."""
    name = Path("/proc/self/comm").read_text()
    yield
    Path("/proc/self/comm").write_text(name)
    os.environ.pop(MARK, None)
    for place in (Path(gettempdir(), MARK), Path("/dev/shm", MARK)):
        place.unlink(missing_ok=True)
    with suppress(FileNotFoundError):
        rmtree(ALIVE)


def code_of(name: str) -> str:
    return f"{cheats.__file__}:{name}"


def choose_of(name: str) -> Choose:
    """How a cheat plays on its authors' machine."""
    agent: Agent = getattr(cheats, name)(GAME)
    honest = chooser_of(agent, GAME, WORKLOADS, 0)
    if name == "ClaimsToBeAnother":
        return lambda m: honest(replace(m, agent_index=(m.agent_index + 1) % GATEWAYS))
    if name == "WaitsForTheSeed":
        return in_its_seed(agent)
    return honest


def in_its_seed(agent: Agent) -> Choose:
    """Play with a seed per gateway in which there is what the next one will meet."""

    def choose(moment: Moment) -> npt.NDArray[np.int64]:
        action = np.zeros(len(moment.going), np.int64)
        for gateway in range(GATEWAYS):
            own, other = moment.of(gateway), moment.of((gateway + 1) % GATEWAYS)
            agent.reset(cheats.sum_of(other.observation))
            action[gateway::GATEWAYS] = agent.act(own.observation, own.info)
        return action

    return choose


def submitted(name: str, root: Path) -> Path:
    """The submission of a cheat: its log is sound, and says that it is decentralised."""
    episodes = play_episodes(GAME, WORKLOADS, choose_of(name))
    return forging.with_episodes(forging.game_of_good(root), episodes, code_of(name))


def failure(verdict: Verdict) -> str:
    assert verdict.failure is not None
    return verdict.failure


def test_there_are_enough_with_a_way_each() -> None:
    assert len(ALL) == len(set(ALL)) >= 15


@pytest.mark.usefixtures("bwrap")
@pytest.mark.parametrize("name", ALL)
def test_it_does_not_decide_alone_as_its_log_says(name: str, tmp_path: Path) -> None:
    folder = submitted(name, tmp_path)
    verdict = verify(folder, "re-executed", code=code_of(name), sandbox="bwrap")
    assert verdict.level == "replayed"  # its log is sound
    found = failure(verdict)
    assert found.startswith("re-execution: ")
    assert ", gateway " in found
    assert " as the policy decides, found " in found


def test_a_reference_is_no_decentralised_policy(tmp_path: Path) -> None:
    folder = forging.game_of_good(tmp_path)
    folder = forging.with_played(folder, play_episodes(GAME, WORKLOADS[:], choose_of("CountsRows")))
    forging.edit(folder, lambda f: f["agent"].update(name="in-turn.prophet"))
    folder = folder.rename(folder.with_name("2026-11-25-in-turn.prophet"))
    expected = "game.execution: expected central, found decentralised"
    assert expected in failure(verify(folder, "claimed"))


def test_who_talks_only_while_all_play_is_asked_alone_on_what_came_of_it(tmp_path: Path) -> None:
    """Without a sandbox: in one, processes have no file in common, but there may be other ways."""
    name = "TalksWhileTheyPlay"
    folder = submitted(name, tmp_path)
    rmtree(ALIVE)  # of this process, which is alive
    verdict = verify(folder, "held-out", code=code_of(name), sandbox="none", fresh=BEACON)
    assert verdict.level == "re-executed"
    found = failure(verdict)
    assert found.startswith("held-out: ")
    assert "expected 0 as the policy decides, found 2" in found
