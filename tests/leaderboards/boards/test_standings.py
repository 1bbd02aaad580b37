"""What is known of every agent in a world, and which of them a board tells apart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edge_marl.benchmarks.plan.budgets import BudgetClass
from edge_marl.benchmarks.report.intervals import Estimate
from edge_marl.leaderboards.boards.board import Board, BoardRow, Rank, read_boards
from edge_marl.leaderboards.boards.game_table import game_rows, game_told
from edge_marl.leaderboards.boards.separation import Separation, separation, separation_note
from edge_marl.leaderboards.boards.standings import Standing, best_of, compared, standings
from edge_marl.leaderboards.boards.tables import to_page
from tests.worlds import forging

SUBMISSIONS = Path(__file__).parents[3] / "leaderboards" / "submissions"


@pytest.fixture(scope="module")
def boards(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Board]:
    """Those of the repository, of which `agod` has many entries, and an entry on a small game."""
    root = tmp_path_factory.mktemp("submissions")
    forging.good_game(root)
    found = {board.name: board for board in read_boards(root)}
    known = {board.name: board for board in read_boards(SUBMISSIONS) if board.name == "agod-v0"}
    return found | known


def with_scores(row: BoardRow, value: float, arm: float) -> BoardRow:
    found = Estimate(value, value - arm, value + arm)
    return replace(row, estimates=row.estimates | {"normalised_score": found})


def test_a_board_says_whether_it_tells_enough_apart(boards: dict[str, Board]) -> None:
    board = boards["agod-v0"]
    learners = [row for row in board.rows if row.submission.agent.kind == "learner"]
    others = [row for row in board.rows if row.submission.agent.kind != "learner"]
    assert len(learners) >= 3
    assert len(others) >= 3

    def board_of(arm: float) -> Board:
        ranks: dict[BudgetClass, Rank] = {"small": Rank(1, 1, 1, 1)}
        rows = (
            replace(with_scores(row, 0.1 * k, arm), ranks=ranks) for k, row in enumerate(board.rows)
        )
        return replace(board, rows=tuple(rows))

    every = {"learners": len(learners), "heuristics": len(others)}
    pairs = {kind: n * (n - 1) // 2 for kind, n in every.items()}
    apart = board_of(0.04)
    assert separation(apart) == {kind: Separation(n, n) for kind, n in pairs.items()}
    enough = pairs["learners"] >= 3 and pairs["heuristics"] >= 5
    told = "this board has them." if enough else "apart."
    assert separation_note(apart).endswith(told)
    same = board_of(1.0)
    assert separation(same) == {kind: Separation(0, n) for kind, n in pairs.items()}
    assert separation_note(same).endswith(
        "this board does not tell enough learners or heuristics apart."
    )
    assert separation_note(board) in to_page(board)


def test_pairs_are_of_what_is_ranked_together(boards: dict[str, Board]) -> None:
    board = boards["agod-v0"]
    learners = [row for row in board.rows if row.submission.agent.kind == "learner"]
    first, second = (replace(row, ranks={"small": Rank(1, 1, 1, 1)}) for row in learners[:2])
    other = replace(second, ranks={"standard": Rank(1, 1, 1, 1)})
    assert separation(replace(board, rows=(first, second)))["learners"].pairs == 1
    assert separation(replace(board, rows=(first, other)))["learners"].pairs == 0


def test_an_entry_goes_before_evidence(boards: dict[str, Board]) -> None:
    found = standings(boards["smoke-game@1-v0"])
    sources = {one.name: one.source for one in found}
    assert sources["prophet"] == "entry"
    assert sources["staggered"] == sources["central"] == "evidence"
    assert [one.utility.value for one in found] == sorted(
        (one.utility.value for one in found), reverse=True
    )
    prophet = next(one for one in found if one.name == "prophet")
    known = best_of(standings(boards["campus-game@1-v0"]), "heuristic")
    assert known is not None
    assert known.source == "evidence"
    assert prophet.figures.keys() == known.figures.keys()
    assert standings(replace(boards["smoke-game@1-v0"], scenario=boards["agod-v0"].scenario))


def test_a_game_has_a_table_of_all_that_is_known(boards: dict[str, Board]) -> None:
    board = boards["smoke-game@1-v0"]
    head, *rows = game_rows(board)
    assert head[:5] == ("agent", "what", "from", "utility per request", "score")
    assert {row[1] for row in rows} == {"heuristic", "reference"}
    prophet = next(row for row in rows if row[0] == "prophet")
    assert prophet[2] == "entry"
    assert all(cell.count("[") == 1 for cell in prophet[3:])
    page = to_page(board)
    assert "The coordination gap is" in page
    assert "No learner has an entry yet." in game_told(board)
    assert "| in-turn\\:" in page
    empty = to_page(boards["metro-game@1-v0"])
    assert "No submissions yet." in empty
    assert "| central | reference | evidence |" in empty


def test_the_learner_of_a_game_is_set_against_heuristics_and_the_gap(
    boards: dict[str, Board], monkeypatch: pytest.MonkeyPatch
) -> None:
    board = boards["paper-game@1-v0"]
    known = standings(board)
    best = best_of(known, "heuristic")
    assert best is not None

    def with_learner(more: float) -> str:
        value = best.utility.value + more
        found = {"utility_per_task": Estimate(value, value - 0.001, value + 0.001)}
        learner = Standing("ippo", "learner", "standard", 5, None, found)
        monkeypatch.setattr(
            "edge_marl.leaderboards.boards.game_table.standings", lambda board: [learner, *known]
        )
        return game_told(board)

    assert "`ippo`, standard, gets" in with_learner(0.061)
    assert with_learner(0.061).endswith("above every heuristic: 50 % of the gap.")
    assert with_learner(0.0).endswith(f"not told apart from `{best.name}`.")
    assert with_learner(-0.1).endswith(f"below `{best.name}`.")


def test_what_is_above_is_so_by_intervals() -> None:
    def one(low: float, high: float) -> Standing:
        found = {"utility_per_task": Estimate((low + high) / 2, low, high)}
        return Standing("a", "learner", "small", 5, None, found)

    assert compared(one(0.5, 0.6), one(0.3, 0.4)) == "above"
    assert compared(one(0.3, 0.4), one(0.5, 0.6)) == "below"
    assert compared(one(0.3, 0.5), one(0.4, 0.6)) == "not apart"
