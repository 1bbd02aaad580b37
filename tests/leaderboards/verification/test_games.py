"""Submissions to the board of a game: a chain per gateway, classes, gateways that decide alone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from edge_marl import draw_workload, load_scenario
from edge_marl.agents import Agent, make
from edge_marl.agents.play import Gateways, gateway_seed
from edge_marl.errors import AgentError
from edge_marl.leaderboards.submission.chain import Episode, Moment, chooser_of, play_episodes
from edge_marl.leaderboards.submission.files import read_actions, read_chain
from edge_marl.leaderboards.verification.verify import Verdict, verify
from tests.leaderboards.verification.mutations import survivors
from tests.worlds import forging

GAME = load_scenario("smoke-game")
GATEWAYS = GAME.gateways.count
WORKLOADS = [draw_workload(GAME, k, split="test") for k in range(100)]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A submission of prophet to the board of the game."""
    return forging.good_game(tmp_path_factory.mktemp("games"))


@pytest.fixture
def folder(good: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(good, tmp_path / good.parent.name / good.name))


def failure(verdict: Verdict) -> str:
    assert verdict.failure is not None
    assert "\n" not in verdict.failure
    return verdict.failure


def test_a_good_one_is_replayed_and_its_gateways_decide_alone(good: Path) -> None:
    verdict = verify(good, "re-executed")
    assert verdict.failure is None
    assert verdict.level == "re-executed"
    assert f"each gateway alone, all of {GATEWAYS}" in dict(verdict.passed)["re-execution"]
    assert dict(verdict.passed)["game"].startswith("decentralised; ")


def test_the_log_has_the_decisions_of_gateways_with_a_task(good: Path) -> None:
    counts: list[int] = []

    def count(moment: Moment) -> npt.NDArray[np.int64]:
        counts.append(int(moment.going.sum()))
        return np.zeros(len(moment.going), np.int64)

    play_episodes(GAME, WORKLOADS, count)
    log = read_actions(good)
    assert log.lengths.shape == (1, 100)
    assert sum(counts) < len(counts) * GATEWAYS * 100  # most have none at most steps
    tasks = sum(workload.num_tasks for workload in WORKLOADS)
    assert 0.9 * tasks < len(log.actions) <= tasks
    chain = read_chain(good).runs[0]
    assert [len(marks) for marks in chain.marks] == log.lengths[0].tolist()
    assert chain.gateways is not None
    assert {len(ends) for ends in chain.gateways} == {8 * GATEWAYS}


def test_a_log_of_gateways_that_sleep_replays() -> None:
    """It has a decision where a gateway is awake and has a task, and gives the same chains."""
    game = GAME.with_sleep(20_000.0, 20_000.0)
    workloads = [draw_workload(game, k, split="test") for k in range(10)]
    agent = make("random", game)
    assert isinstance(agent, Agent)
    first = play_episodes(game, workloads, chooser_of(agent, game, workloads, 7))
    logs = [iter(episode.actions.tolist()) for episode in first]

    def logged(moment: Moment) -> npt.NDArray[np.int64]:
        chosen = np.zeros(len(moment.going), np.int64)
        for row in np.flatnonzero(moment.going):
            chosen[row] = next(logs[row // GATEWAYS])
        return chosen

    again = play_episodes(game, workloads, logged)
    assert [episode.head for episode in again] == [episode.head for episode in first]
    assert all(next(log, None) is None for log in logs)
    tasks = sum(workload.num_tasks for workload in workloads)
    assert 0 < sum(len(episode.actions) for episode in first) < tasks  # some slept to the end


def test_a_gateways_chain_is_of_what_it_alone_saw_did_and_got() -> None:
    """Another choice of gateway 2 at its last decision changes its chain and no other's."""

    def play(last: int) -> Episode:
        steps: list[tuple[int, bool]] = []

        def choose(moment: Moment) -> npt.NDArray[np.int64]:
            steps.append((moment.number, bool(moment.going[2])))
            action = np.zeros(GATEWAYS, np.int64)
            action[2] = last if moment.number == at else 0
            return action

        episode = play_episodes(GAME, WORKLOADS[:1], choose)[0]
        found.extend(steps)
        return episode

    found: list[tuple[int, bool]] = []
    at = -1
    one = play(0)
    at = max(number for number, going in found if going)
    last = max(number for number, _ in found)
    other = play(GAME.num_actions)  # dropped: nobody sees anything of it
    assert one.gateways is not None
    assert other.gateways is not None
    ends = [(one.gateways[8 * g : 8 * g + 8], other.gateways[8 * g : 8 * g + 8]) for g in range(3)]
    assert ends[2][0] != ends[2][1]
    if at == last:  # after it no gateway decides, so none can have seen what came of it
        assert ends[0][0] == ends[0][1]
        assert ends[1][0] == ends[1][1]
    assert one.head != other.head


def other_gateways_end(facts: Any) -> None:
    ends = facts["runs"][0]["gateways"]
    ends[4] = ends[4][8:16] + ends[4][:8] + ends[4][16:]


def set_game(**values: Any) -> Callable[[Any], None]:
    return lambda facts: facts["game"].update(values)


@pytest.mark.parametrize(
    ("change", "name", "says"),
    [
        (lambda f: f.pop("game"), "submission.json", "submission.json: game is missing"),
        (set_game(execution="alone"), "submission.json", "game.execution: Input should be"),
        (set_game(execution="central"), "submission.json", "game.execution: expected decentral"),
        (set_game(sharing="none"), "submission.json", "game.sharing: expected all, found none"),
        (set_game(information="own"), "submission.json", "information: expected none, found own"),
        (set_game(parameters=7), "submission.json", "game.parameters: expected 0, found 7"),
        (lambda f: f["runs"][0].pop("gateways"), "chain.json", "run 0: gateways is missing"),
        (other_gateways_end, "chain.json", "workload 4, gateway 0: end of its chain: expected"),
    ],
)
def test_a_bad_claim_is_found(
    change: Callable[[Any], None], name: str, says: str, folder: Path
) -> None:
    forging.edit(folder, change, name)
    assert says in failure(verify(folder, "replayed"))


def test_a_reference_is_re_executed_as_a_whole(tmp_path: Path) -> None:
    folder = forging.good_game(tmp_path, "in-turn:prophet")
    assert folder.name == "2026-11-25-in-turn.prophet"
    verdict = verify(folder, "re-executed")
    assert verdict.failure is None
    assert verdict.level == "re-executed"
    found = dict(verdict.passed)
    assert found["game"].startswith("central; ")
    assert "alone" not in found["re-execution"]
    assert "decisions in 200 twin episodes are the same" in found["twins"]


def test_only_games_have_gateways(tmp_path: Path) -> None:
    folder = forging.copy_of_good(tmp_path)
    game = {"execution": "central", "sharing": "all", "information": "none", "parameters": 0}
    forging.edit(folder, lambda facts: facts.update(game=game))
    assert "game: 'smoke' is no game of gateways" in failure(verify(folder, "claimed"))


def test_a_decision_of_another_gateway_is_found(folder: Path) -> None:
    """Two decisions of a step change places: each is then another gateway's."""

    def swap(arrays: dict[str, Any]) -> None:
        actions = arrays["actions"]
        at = int(np.flatnonzero(actions[:-1] != actions[1:])[0])
        actions[[at, at + 1]] = actions[[at + 1, at]]

    forging.edit_actions(folder, swap)
    assert "mark of the chain" in failure(verify(folder, "replayed"))


@pytest.mark.parametrize("change", ["drop", "add"])
def test_a_log_of_another_length_is_found(change: str, folder: Path) -> None:
    def edit(arrays: dict[str, Any]) -> None:
        end = int(arrays["lengths"][0, 0])
        put = np.insert(arrays["actions"], end, 0)
        arrays["actions"] = put if change == "add" else np.delete(arrays["actions"], end - 1)
        arrays["lengths"][0, 0] += 1 if change == "add" else -1

    forging.edit_actions(folder, edit)
    says = "expected the end of the episode" if change == "add" else "the episode goes on"
    assert says in failure(verify(folder, "replayed"))


def test_a_seed_is_a_gateways_own() -> None:
    seeds = {gateway_seed(seed, gateway) for seed in range(10) for gateway in range(500)}
    assert len(seeds) == 5000
    assert gateway_seed(0, 0) == 0x3FBA4F47


def test_lots_of_a_gateway_are_the_same_alone() -> None:
    agent = make("random", GAME)
    assert isinstance(agent, Agent)
    whole = Gateways(agent, GAME)
    whole.reset(3)
    seen: list[Moment] = []
    chosen: list[npt.NDArray[np.int64]] = []

    def choose(moment: Moment) -> npt.NDArray[np.int64]:
        seen.append(moment)
        chosen.append(whole.act(moment.observation, moment.info, moment.going))
        return chosen[-1]

    play_episodes(GAME, WORKLOADS[:5], choose)
    for gateway in range(GATEWAYS):
        agent.reset(gateway_seed(3, gateway))
        for moment, action in zip(seen, chosen, strict=True):
            own = moment.of(gateway)
            assert own.agent_index.tolist() == [gateway] * 5
            np.testing.assert_array_equal(
                agent.act(own.observation, own.info), action[gateway::GATEWAYS]
            )


def test_no_mutation_is_let_through(good: Path) -> None:
    through, caught = survivors(40, seed=2, good=good)
    assert not through
    assert {"replay", "schema"} <= caught.keys()


def test_files_of_the_single_environment_know_no_games() -> None:
    for name in ("submission.json", "chain.json"):
        facts = json.loads((forging.GOOD / name).read_text())
        assert "game" not in facts
        assert "gateways" not in json.dumps(facts)


def test_an_agent_that_cannot_be_copied_is_told_what_to_do() -> None:
    agent = make("random", GAME)
    assert isinstance(agent, Agent)
    agent.__dict__["numbers"] = (number for number in range(3))  # nothing copies a generator
    with pytest.raises(AgentError, match=r"cannot be copied, .* deterministic"):
        Gateways(agent, GAME)
