"""Robustness sheets: who plays what, what is kept, and what is left out and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from edge_marl.agents import Agent, make
from edge_marl.agents.play import play
from edge_marl.benchmarks.robustness import sheets
from edge_marl.benchmarks.robustness.crowd import nested, play_crowd
from edge_marl.benchmarks.robustness.findings import Findings, read, write
from edge_marl.benchmarks.robustness.players import Player, held_out
from edge_marl.benchmarks.robustness.sheets import Wishes, asleep_for, measure, replaced_counts
from edge_marl.benchmarks.robustness.tables import markdown, notes_of, tables_of
from edge_marl.cli import app
from edge_marl.console import run_app
from edge_marl.draw import draw_workload
from edge_marl.errors import AgentError, RecordError, ScenarioError
from edge_marl.scenario import load_scenario

GAME = load_scenario("smoke-game")
WORKLOADS = [draw_workload(GAME, k, split="test") for k in range(4)]
EVERYONE = np.ones((4, 3), dtype=np.bool_)
NOBODY = ~EVERYONE


class OfThisSize(Agent):
    """Sends to the first server, and fits games of as many servers as `smoke` has."""

    deterministic = True

    def reset(self, seed: int) -> None:
        """Nothing is kept."""

    def act(
        self, observation: npt.NDArray[np.float32], info: Mapping[str, Any]
    ) -> npt.NDArray[np.int64]:
        """Return action 0."""
        if self.scenario.num_servers != GAME.num_servers:
            raise ValueError("weights of another size")
        return np.zeros(len(observation), dtype=np.int64)


FITTED = f"{__name__}:OfThisSize"


def made(name: str) -> Agent:
    agent = make(name, GAME)
    assert isinstance(agent, Agent)
    return agent


def wishes_of(*agents: str, **changes: Any) -> Wishes:
    wishes = Wishes(
        game=GAME,
        players=tuple(map(Player, agents)),
        against="nearest",
        sheets=("cross-play", "dropout", "scaling"),
        workloads=4,
        seed=0,
        shares=(0.5,),
        asleep_s=9000.0,
        sizes=(3, 6),
    )
    return replace(wishes, **changes)


def found_of(wishes: Wishes, before: Findings | None = None) -> Findings:
    return measure(wishes, before, lambda text: None, lambda now: None)


def test_which_gateways_are_replaced() -> None:
    assert replaced_counts(20) == (0, 1, 5, 10, 19)
    assert replaced_counts(3) == (0, 1, 2)
    assert replaced_counts(1) == (0,)
    few, more = nested(50, 10, 2, seed=1), nested(50, 10, 5, seed=1)
    assert (few.sum(axis=1) == 2).all()
    assert (more.sum(axis=1) == 5).all()
    assert (few <= more).all()
    assert few.any(axis=0).all()  # not the same two in every episode
    assert not np.array_equal(few, nested(50, 10, 2, seed=2))


@pytest.mark.parametrize("name", ["prophet", "random", "round-robin"])
def test_where_nobody_is_replaced_it_is_the_agents_own_game(name: str) -> None:
    """So it is where everybody is, with the two exchanged."""
    alone = play(made(name), GAME, WORKLOADS, 5, api="parallel")
    expected = [episode["utility"] for episode in alone.metrics]
    requests = [episode["requests"] for episode in alone.metrics]
    for replaced, pair in ((NOBODY, (name, "nearest")), (EVERYONE, ("nearest", name))):
        crowd = play_crowd(made(pair[0]), made(pair[1]), replaced, GAME, WORKLOADS, 5)
        np.testing.assert_allclose(crowd.utility.sum(axis=1), expected, rtol=1e-12)
        assert crowd.requests.sum(axis=1).tolist() == requests
        assert np.isnan(crowd.per_request(~EVERYONE)).all()


def test_each_gateway_plays_its_own_policy() -> None:
    """Replaced by one that does as it does, all is as it was; by another, it is not."""
    replaced = nested(4, 3, 1, seed=0)
    same = play_crowd(made("nearest"), made("nearest"), replaced, GAME, WORKLOADS, 0)
    alone = play_crowd(made("nearest"), made("random"), NOBODY, GAME, WORKLOADS, 0)
    np.testing.assert_array_equal(same.utility, alone.utility)
    other = play_crowd(made("nearest"), made("random"), replaced, GAME, WORKLOADS, 0)
    assert (other.requests == alone.requests).all()
    assert not np.array_equal(other.utility, alone.utility)
    whole = other.per_request(EVERYONE) * other.requests.sum(axis=1)
    parts = [
        other.per_request(own) * np.where(own, other.requests, 0).sum(axis=1)
        for own in (replaced, ~replaced)
    ]
    np.testing.assert_allclose(sum(parts), whole, rtol=1e-12)


def test_the_sheets_say_what_was_played() -> None:
    found = found_of(wishes_of("prophet"))
    cross, drop, scale = (found.of(sheet) for sheet in ("cross-play", "dropout", "scaling"))
    assert [point.at for point in cross] == [0, 1, 2]
    assert [point.at for point in drop] == [0, 0.5]
    assert [(point.at, point.servers) for point in scale] == [(3, 3), (6, 6)]
    alone = [
        e["utility_per_task"]
        for e in play(made("prophet"), GAME, WORKLOADS, 0, api="parallel").metrics
    ]
    for values in (
        cross[0].values["others"],
        cross[0].values["all"],
        drop[0].values["utility_per_task"],
        drop[1].values["before"],
    ):
        np.testing.assert_allclose(np.array(values, dtype=float), alone, rtol=1e-12)
    same = np.array(scale[0].values["utility_per_task"], dtype=float)
    np.testing.assert_allclose(same, alone, rtol=1e-12)
    assert cross[0].values["replaced"] == (None,) * 4
    asleep, awake = drop[1].estimate("utility_per_task"), drop[0].estimate("utility_per_task")
    assert asleep is not None
    assert awake is not None
    assert asleep.value < awake.value
    change = drop[1].estimate("utility_per_task", "before")
    assert change is not None
    assert change.value == pytest.approx(asleep.value - awake.value)
    assert cross[0].estimate("replaced") is None
    assert len(list(tables_of(found))) == 3


def test_what_was_played_is_not_played_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that was stopped goes on, and other wishes play only what is new."""
    kept: list[Findings] = []

    def stop(now: Findings) -> None:
        kept.append(now)
        if len(kept) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure(wishes_of("prophet"), None, lambda text: None, stop)
    write(kept[-1], tmp_path / "r.json")
    before = read(tmp_path / "r.json")
    assert before is not None
    assert {point.sheet for point in before.points} == {"cross-play", "dropout"}
    said: list[str] = []
    whole = measure(wishes_of("prophet"), before, said.append, lambda now: None)
    assert said == ["scaling: prophet"] * 2
    assert whole.points == found_of(wishes_of("prophet")).points
    monkeypatch.setattr(sheets, "play_crowd", None)
    said.clear()
    measure(wishes_of("prophet", sizes=(3, 6, 9)), whole, said.append, lambda now: None)
    assert said == ["scaling: prophet"]
    for change in ({"workloads": 3}, {"seed": 1}, {"against": "random"}):
        with pytest.raises(TypeError):  # it plays, and cannot
            measure(wishes_of("prophet", **change), whole, said.append, lambda now: None)


def test_who_cannot_play_a_sheet_is_left_out_and_told_why() -> None:
    found = found_of(wishes_of("in-turn:prophet", FITTED, sizes=(3, 6)))
    left_out = {(p.sheet, p.agent, p.at): p.left_out for p in found.points if p.left_out}
    assert left_out.keys() == {
        *(("cross-play", "in-turn:prophet", k) for k in (0.0, 1.0, 2.0)),
        ("scaling", FITTED, 6.0),
    }
    told = notes_of(found)
    assert any("in-turn:prophet" in line and "for all gateways together" in line for line in told)
    assert any("(6 gateways)" in line and "weights of another size" in line for line in told)
    assert "Left out" in markdown(found)
    with pytest.raises(AgentError, match="weights of another size"):  # at home it has to play
        found_of(wishes_of(FITTED, game=load_scenario("campus-game"), sheets=("dropout",)))


def test_a_game_of_written_out_servers_has_one_size() -> None:
    facts = GAME.model_dump()
    facts["servers"] = {
        "law": "given",
        "capacity": [400] * 3,
        "baseline": [[[0.5] * 4] * 2] * 3,
        "curve": [[(0.0, 0.0, 240.0, 0.5)] * 2] * 3,
    }
    game = type(GAME).model_validate(facts)
    found = found_of(wishes_of("nearest", game=game, sheets=("scaling",), sizes=(3,)))
    assert "servers written out" in found.points[0].left_out


def test_shares_of_sleep() -> None:
    game = asleep_for(GAME, 0.2, 9000.0)
    assert game.gateways.sleep is not None
    assert game.gateways.sleep.share == pytest.approx(0.2)
    assert asleep_for(game, 0.0, 9000.0) == GAME
    with pytest.raises(ScenarioError, match="share of time asleep 1: must be from 0 to below 1"):
        asleep_for(GAME, 1.0, 9000.0)


def test_the_opponent_is_the_best_heuristic_that_is_no_agent_here() -> None:
    paper = load_scenario("paper-game")
    assert held_out(paper, []) == "staggered"
    assert held_out(paper, [Player("staggered")]) == "hashed"
    own = paper.with_gateways(4)  # nobody has measured that one
    assert held_out(own, []) == "prophet"
    assert held_out(own, [Player("prophet")]) == "power-of-two"


def command(*args: str) -> int:
    with pytest.raises(SystemExit) as done:
        run_app(app, ["robustness", *args])
    return int(done.value.code or 0)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "sheets"
    args = ("smoke-game", "--agent", "prophet", "--workloads", "2", "--sizes", "3,4")
    assert command(*args, "--out", str(out)) == 0
    said = capsys.readouterr().out
    for text in (
        "Cross-play: k of 3 gateways play",
        "Dropout: gateways sleep, for 36000 s",
        "Scaling",
    ):
        assert text in said
    names = {"robustness.json", "robustness.md", "robustness.png", "robustness.svg"}
    assert {path.name for path in out.iterdir()} == names
    before = read(out / "robustness.json")
    assert before is not None
    assert markdown(before) in (out / "robustness.md").read_text("utf-8")
    assert command(*args, "--out", str(out)) == 0
    again = read(out / "robustness.json")
    assert again is not None
    assert again.points == before.points


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("smoke", "--agent", "prophet"), "is on the event clock"),
        (("smoke-game", "--agent", "ippo"), "has to learn first"),
        (("smoke-game", "--agent", "prohpet"), "did you mean 'prophet'"),
        (
            ("smoke-game", "--agent", "prophet", "--against", "central"),
            "decides for a gateway alone",
        ),
        (("smoke-game", "--agent", "prophet", "--sheets", "scalin"), "did you mean 'scaling'"),
        (("smoke-game", "--agent", "prophet", "--sizes", "0"), "--sizes 0: must be numbers from 1"),
        (
            ("smoke-game", "--agent", "prophet", "--shares", "1"),
            "--shares 1: must be numbers from 0",
        ),
    ],
)
def test_wrong_wishes_are_explained(
    args: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(*args) == 2
    assert message in " ".join(capsys.readouterr().err.split())


def test_a_file_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "robustness.json").write_text("{}")
    with pytest.raises(RecordError, match="not what `edge-marl robustness` writes"):
        read(tmp_path / "robustness.json")
