"""The boards as Markdown, CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from typing import Any

from edge_marl.benchmarks.plan.budgets import BUDGETS
from edge_marl.benchmarks.report.columns import COLUMNS, GAME_COLUMNS, PRICE_NOTE, Column, duration
from edge_marl.benchmarks.report.stats import METHOD, coverage_note
from edge_marl.benchmarks.report.tables import FEW_RUNS
from edge_marl.leaderboards.boards.board import Board, BoardRow, rank_columns, six_digits
from edge_marl.leaderboards.boards.game_table import GAME_NOTE, game_rows, game_told
from edge_marl.leaderboards.boards.separation import separation_note
from edge_marl.leaderboards.submission.schema import Execution
from edge_marl.scenario.evidence import reference_of

__all__ = [
    "BASIS_NOTE",
    "BUDGET_NOTE",
    "CLASS_NAMES",
    "CLASS_NOTES",
    "LEVEL_NOTES",
    "RANK_NOTE",
    "SCORE_NOTE",
    "price_note",
    "to_csv",
    "to_json",
    "to_markdown",
    "to_page",
]

SCORE_NOTE = (
    "Score: interquartile mean over runs and the 100 test workloads; 0 is random dispatch, 1 the "
    "hindsight bound. Utility is net of penalties; it and the others are means. Intervals: 95 % "
    f"({METHOD}). " + "".join(coverage_note((3, 5, 10)))
)
RANK_NOTE = (
    "Rank: the places that the intervals allow. Submissions whose intervals overlap cannot be told "
    "apart, and share places. Of entries of the same authors, agent, settings and class the newest "
    "is ranked."
)
BUDGET_NOTE = (
    "Budget: decisions that a training took. Learners are ranked among those of their class, "
    + ", ".join(
        f"{one} (more)" if math.isinf(most) else f"{one} (up to {most:,})"
        for one, most in BUDGETS.items()
    )
    + ", and with what does not learn, which stands in every class. Training: mean time of a run, "
    "by the wall clock and of the processor, on its authors' machine; not ranked."
)
BASIS_NOTE = (
    "Basis: a rank is by what was checked last: what the policy got on held-out workloads, or "
    "playing the test workloads by itself (closed loop), or, where neither was done, what its log "
    "says. The public score is always the log's."
)
LEVEL_NOTES = {
    "claimed": "the files are complete and agree with each other",
    "replayed": "the logged actions, run in the simulator, give the claimed metrics bit for bit",
    "re-executed": "the policy, seeing only observations, takes the logged actions, also where the "
    "future is another",
    "held-out": "re-executed, and run on workloads that did not exist when the policy was frozen",
}
CLASS_NAMES: dict[Execution, str] = {"decentralised": "Decentralised", "central": "Central"}
CLASS_NOTES: dict[Execution, str] = {
    "decentralised": "Each gateway decides on what it itself has seen. From *re-executed* on this "
    "is proven: each was run alone, in a process of its own, and decided as the log says.",
    "central": "Gateways decide on what all of them see: what coordination is worth, and no policy "
    "of gateways. Not ranked with those that decide alone.",
}
GAME_FACTS = ("execution", "sharing", "information", "agent_steps", "parameters")
"""Fields of `GameFacts`; of rows of other boards there are none."""
SPECIAL = "\\`*_{}[]<>()#+!|~$&@:"


def to_markdown(boards: list[Board]) -> str:
    """Return the first page: every board with its leaders."""
    lines = [
        "# Leaderboards",
        "",
        "Made by `edge-marl leaderboard build` from `submissions/`: do not edit. The same command "
        "makes the site (`site/index.html`, opened from the file), `leaderboard.csv`, "
        "`leaderboard.json` and the list of trained agents, `pretrained.json`.",
        "",
        *_overview([b for b in boards if not b.is_game and not b.scenario.superseded]),
    ]
    if games := [b for b in boards if b.is_game and not b.scenario.superseded]:
        lines += ["", "Games of gateways:", "", *_overview(games)]
    if earlier := [board for board in boards if board.scenario.superseded]:
        lines += ["", "Earlier versions of tiers:", "", *_overview(earlier)]
    lines += ["", SCORE_NOTE, "", RANK_NOTE, "", BUDGET_NOTE, "", BASIS_NOTE, "", "## Levels", ""]
    lines += [f"* **{level}**: {note}" for level, note in LEVEL_NOTES.items()]
    return "\n".join(lines) + "\n"


def _overview(boards: list[Board]) -> list[str]:
    lines = [
        _line([_linked(board), board.scenario.summary, str(len(board.entries)), _leading(board)])
        for board in boards
        if board.rows
    ]
    if lines:
        head = ["| board | world | submissions | leading |", "| :--- | :--- | ---: | :--- |"]
        lines = [*head, *lines, ""]
    if empty := [_linked(board) for board in boards if not board.rows]:
        return [*lines, f"No submissions yet: {', '.join(empty)}."]
    return lines[:-1]


def _linked(board: Board) -> str:
    return f"[{board.name}]({board.name}.md)"


def to_page(board: Board) -> str:
    """Return a board's page."""
    lines = [f"# {board.name}", "", f"{board.scenario.summary}.", ""]
    lines += [f"Scenario `{board.scenario.digest[:12]}`. [All boards](README.md).", ""]
    if not board.rows:
        lines += ["No submissions yet.", *_game(board)]
        return "\n".join(lines) + "\n"
    for execution, rows in board.classes.items():
        if execution is not None:
            lines += [f"## {CLASS_NAMES[execution]}", "", CLASS_NOTES[execution], ""]
        lines += [*_table(board, rows), ""]
    lines += [separation_note(board), *_game(board)]
    notes = [SCORE_NOTE, RANK_NOTE, BUDGET_NOTE]
    notes += [price_note(board)] if board.is_game else []
    notes += [BASIS_NOTE] if board.has_public_column else []
    notes += [f"† {mark}." for mark in board.marks]
    notes += [FEW_RUNS] if any(row.has_few_runs for row in board.rows) else []
    lines += [text for note in notes for text in ("", note)]
    return "\n".join(lines) + "\n"


def _game(board: Board) -> list[str]:
    """Return a game's heuristics, references and learners side by side; nothing of a tier."""
    if not (rows := game_rows(board) if board.is_game else []):
        return []
    head = [_line(list(rows[0])), _line([":---"] * 3 + ["---:"] * (len(rows[0]) - 3))]
    cells = [_line([_escape(row[0]), *row[1:]]) for row in rows[1:]]
    return ["", "## The game", "", game_told(board), "", *head, *cells, "", GAME_NOTE]


def price_note(board: Board) -> str:
    """Return what the columns of a game say besides."""
    known = reference_of(board.scenario)
    return PRICE_NOTE.format(reference=f"`{known[0]}`" if known else "the best reference")


def _table(board: Board, rows: Sequence[BoardRow]) -> list[str]:
    ranks = rank_columns(rows)
    headings = [*ranks.values(), "agent", "level"]
    left = len(headings)
    headings += [f"{c.short.lower()} ({c.note})" for c in board.columns]
    headings += ["public score", "basis"] if board.has_public_column else []
    headings += ["sharing", "trained on", "parameters"] if board.is_game else []
    headings += ["budget", "training", "processor", "runs", "date"]
    lines = [_line(headings), _line([":---"] * left + ["---:"] * (len(headings) - left))]
    for row in rows:
        own = [row.ranks[one].text if one in row.ranks else "" for one in ranks]
        lines.append(_line(own + _cells(board, row)))
    return lines


def to_csv(boards: list[Board]) -> str:
    """Return all rows in base units."""
    out = io.StringIO()
    has_games = any(board.is_game and board.rows for board in boards)
    of_games = (*_estimate_names(GAME_COLUMNS), *GAME_FACTS) if has_games else ()
    writer = csv.DictWriter(out, [*_facts_names(), *of_games], lineterminator="\n")
    writer.writeheader()
    for facts in _all_facts(boards):
        cells = facts | {"authors": "; ".join(facts["authors"])}
        writer.writerow({name: _safe_cell(value) for name, value in cells.items()})
    return out.getvalue()


def to_json(boards: list[Board]) -> str:
    """Return the same as JSON: a list of rows."""
    return json.dumps(_all_facts(boards), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _facts_names() -> list[str]:
    names = ["board", "scenario_digest", *_rank_names(), "agent", "settings", "kind", "authors"]
    names += [
        "date",
        "superseded_by",
        "level",
        "basis",
        "runs",
        "mark",
        "too_few_runs",
        "training_budget",
    ]
    names += ["budget_class", "train_s", "train_cpu_s"]
    names += ["public_score", "public_score_low", "public_score_high"]
    return [*names, *_estimate_names(COLUMNS), "submission", "seal"]


def _rank_names() -> list[str]:
    return [f"rank_{one}{end}" for one in BUDGETS for end in ("_low", "_high")]


def _estimate_names(columns: Sequence[Column]) -> list[str]:
    return [f"{column.name}{end}" for column in columns for end in ("", "_low", "_high")]


def _all_facts(boards: list[Board]) -> list[dict[str, Any]]:
    return [_facts(board, row, newest) for board in boards for row, newest in board.entries]


def _facts(board: Board, row: BoardRow, newest: BoardRow) -> dict[str, Any]:
    sub = row.submission
    facts: dict[str, Any] = {
        "board": board.name,
        "scenario_digest": board.scenario.digest,
        **dict.fromkeys(_rank_names()),
        **{f"rank_{one}_low": rank.best for one, rank in row.ranks.items()},
        **{f"rank_{one}_high": rank.worst for one, rank in row.ranks.items()},
        "agent": sub.agent.name,
        "settings": sub.agent.chosen_text or None,
        "kind": sub.agent.kind,
        "authors": list(sub.about.authors),
        "date": sub.date.isoformat(),
        "superseded_by": None if newest is row else newest.entry.name,
        "level": row.level,
        "basis": row.basis,
        "runs": len(sub.runs),
        "mark": f"† {sub.mark}" if sub.mark else None,
        "too_few_runs": row.has_few_runs,
        "training_budget": sub.about.training.budget,
        "budget_class": sub.budget_class,
        "train_s": _rounded(row.train_s),
        "train_cpu_s": _rounded(row.train_cpu_s),
        "public_score": row.public.value,
        "public_score_low": row.public.low,
        "public_score_high": row.public.high,
    }
    columns = COLUMNS + GAME_COLUMNS if board.is_game else COLUMNS
    for name in (column.name for column in columns):
        estimate = row.estimates.get(name)
        facts[name] = estimate.value if estimate else None
        facts[f"{name}_low"] = estimate.low if estimate else None
        facts[f"{name}_high"] = estimate.high if estimate else None
    if sub.game is not None:
        facts |= {name: getattr(sub.game, name) for name in GAME_FACTS}
    return facts | {"submission": row.entry.name, "seal": sub.seal}


def _cells(board: Board, row: BoardRow) -> list[str]:
    sub = row.submission
    name = [f"**{_escape(sub.agent.name)}**", _escape(sub.agent.chosen_text)]
    name += ["†"] if row.is_marked else []
    cells = [" ".join(part for part in name if part), row.level]
    for column in board.columns:
        estimate = row.estimates.get(column.name)
        cells.append("-" if estimate is None else column.interval(estimate))
    if board.has_public_column:
        cells += [board.ranked_by.interval(row.public), row.basis]
    if sub.game is not None:
        cells += [sub.game.sharing, sub.game.information, f"{sub.game.parameters:,}"]
    budget = "-" if sub.budget_class is None else f"{sub.about.training.budget:,}"
    cells += [budget, *("-" if s is None else duration(s) for s in (row.train_s, row.train_cpu_s))]
    return [*cells, str(len(sub.runs)), _dates(board, row)]


def _dates(board: Board, row: BoardRow) -> str:
    """Return a row's date, and of each that it supersedes date and result."""
    column, told = board.ranked_by, row.submission.date.isoformat()
    for one in row.earlier:
        shown = column.interval(one.estimates[column.name])
        told += f"<br>before: {one.submission.date.isoformat()}, {shown}"
    return told


def _rounded(value: float | None) -> float | None:
    return None if value is None else six_digits(value)


def _leading(board: Board) -> str:
    told = {one: _leader(board, rows) for one, rows in board.leaders.items()}
    if len(told) == 1:
        return next(iter(told.values()))
    return "; ".join(f"{one}: {text}" for one, text in told.items())


def _leader(board: Board, leaders: Sequence[BoardRow]) -> str:
    first, column = leaders[0], board.ranked_by
    value = column.text(first.estimates[column.name].value)
    text = f"{_escape(first.submission.agent.full_name)} {value}"
    others = len(leaders) - 1
    return text + (f" and {others} not told apart from it" if others else "")


def _line(texts: list[str]) -> str:
    return "| " + " | ".join(texts) + " |"


def _escape(text: str) -> str:
    """Text of others, so that it is nothing but text."""
    return "".join(f"\\{c}" if c in SPECIAL else c for c in text.replace("\n", " "))


def _safe_cell(value: object) -> object:
    """A cell that a spreadsheet takes for text, not for a formula."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"'{value}" if isinstance(value, str) and value[:1] in "=+-@\t\r" else value
