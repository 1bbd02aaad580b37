"""The board of a game has a table per class, and never ranks the two together."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from edge_marl import draw_workload, load_scenario
from edge_marl.leaderboards.boards.board import Board, read_boards
from edge_marl.leaderboards.boards.build import build
from edge_marl.leaderboards.boards.tables import to_csv, to_page
from edge_marl.scenario.evidence import read_evidence
from tests.worlds import forging

CENTRAL = {"execution": "central", "sharing": "none", "information": "state", "parameters": 1234}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two entries with the same log, one of each class."""
    root = tmp_path_factory.mktemp("boards") / "submissions"
    folder = forging.good_game(root)
    other = shutil.copytree(folder, folder.with_name("2026-11-26-own"))

    def change(facts: Any) -> None:
        facts |= {"date": "2026-11-26", "game": CENTRAL}
        facts["agent"] |= {"name": "own", "registered": False}

    forging.edit(Path(other), change)
    return root


@pytest.fixture(scope="module")
def board(root: Path) -> Board:
    return next(board for board in read_boards(root) if board.rows)


def test_each_class_has_ranks_of_its_own(board: Board) -> None:
    assert board.is_game
    assert list(board.classes) == ["decentralised", "central"]
    assert [row.ranks["small"].text for row in board.rows] == ["1", "1"]
    [leaders] = board.leaders.values()
    assert [row.submission.agent.name for row in leaders] == ["prophet"]


def test_pages_have_a_table_per_class(root: Path, board: Board, tmp_path: Path) -> None:
    build(root, tmp_path)
    page = (tmp_path / f"{board.name}.md").read_text("utf-8")
    first, _, second = page.partition("## Central")
    assert "## Decentralised" in first
    assert "| 1 | **prophet** | claimed |" in first
    assert "| 1 | **own** † | claimed |" in second or "| 1 | **own** | claimed |" in second
    assert "| none | state | 1,234 |" in second
    html = (tmp_path / "site" / f"{board.name}.html").read_text("utf-8")
    assert 'id="board-decentralised"' in html
    assert 'data-for="board-central"' in html
    entry = (tmp_path / "site" / board.name / "2026-11-26-own.html").read_text("utf-8")
    assert "central; weights shared by none; 1,234 parameters" in entry
    facts = json.loads((tmp_path / "leaderboard.json").read_text("utf-8"))
    assert [fact["execution"] for fact in facts] == ["decentralised", "central"]
    with (tmp_path / "leaderboard.csv").open(newline="") as file:
        assert [row["parameters"] for row in csv.DictReader(file)] == ["0", "1234"]


def test_a_game_has_herding_and_the_price_of_decentralisation(board: Board, root: Path) -> None:
    evidence = read_evidence(board.scenario)
    assert evidence is not None
    prophet = evidence["agents"]["prophet"]
    row = board.rows[0]
    assert row.submission.agent.name == "prophet"
    for name, metric in (("price_of_decentralisation", "price"), ("herding", "herding")):
        found = row.estimates[name]
        assert [found.value, found.low, found.high] == pytest.approx(prophet[metric], abs=1e-4)
    page = to_page(board)
    assert "| herding (% of slots) | price (of decentralisation, %) |" in page
    assert f"than `{evidence['reference']['agent']}`" in page
    assert "herding" not in to_page(next(b for b in read_boards(root) if not b.is_game))
    header = to_csv([board]).splitlines()[0].split(",")
    assert "price_of_decentralisation_low" in header


def test_the_player_shows_what_the_log_says(root: Path, board: Board, tmp_path: Path) -> None:
    build(root, tmp_path)
    entry = (tmp_path / "site" / board.name / "2026-11-25-prophet.html").read_text("utf-8")
    text = entry.partition('id="episodes">')[2].partition("</script>")[0]
    scenario = load_scenario("smoke-game")
    for episode in json.loads(text):
        tasks = draw_workload(scenario, episode["workload"], split="test").num_tasks
        assert 0.9 * tasks < len(episode["demand"]) <= tasks
