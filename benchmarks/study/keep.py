"""The results that the study keeps: one line of JSON per finished cell, beside this file.

    edge-marl run --suite study-worlds
    python -m edge_marl.benchmarks.study.keep results/study-worlds

The runs are those of the suites `paper` and `study-*`. `runs.jsonl` is what `replication.py` makes
its report from, `search.jsonl` has the trials that settings were chosen by (`search.py`). A line
outlives the sources that it was made with: it states their commit, and stays until a newer result
of the same agent, seed and place is kept. Lines without a commit are older than that.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from edge_marl.agents.training.settings_text import parse_spec
from edge_marl.benchmarks.plan.cells import Cell
from edge_marl.benchmarks.records.records import Record, read_plan, read_record
from edge_marl.console import results, run_command
from edge_marl.errors import RecordError
from edge_marl.files import write_file
from edge_marl.tiers import versions_of

__all__ = ["BUDGETS", "METRICS", "RUNS", "Line", "keep", "line_of", "main", "read_lines", "which"]

RUNS = Path(__file__).with_name("runs.jsonl")
BUDGETS = {"paper": 96_000, "campus@1": 48_000, "metro@1": 48_000, "nation@1": 48_000}
"""Decisions that a learner of the study trains on, by release."""
METRICS = ("utility", "utility_per_task", "server_crash_rate", "lost_fraction")
"""What is kept of every episode, under `test` whatever split it is of."""
WHICH = ("agent", "scenario", "budget", "seed", "variant")

Line = dict[str, Any]


def keep(folder: Path, path: Path = RUNS) -> int:
    """Keep the finished cells of a run, each in place of an older line of the same cell.

    Args:
        folder: of the run.
        path: JSON lines; they are replaced in one step, and those of other cells stay as they are.

    Returns:
        How many cells of the run are not finished.

    Raises:
        RecordError: if the folder holds no run, or damaged records; the lines cannot be read or
            written, or are of other workloads.
    """
    kept = {which(_line(text)): text for text in _texts(path)}
    cells = [job for job in read_plan(folder).jobs() if isinstance(job, Cell)]
    missing = 0
    for cell in cells:
        record = read_record(folder, cell)
        if record is None or record.result is None:
            missing += 1
            continue
        line = line_of(record)
        before = json.loads(kept.get(which(line), "{}"))
        if before.get("started", "") <= line["started"]:
            kept[which(line)] = json.dumps(line)
    if len({len(json.loads(text)["test"]["utility"]) for text in kept.values()}) > 1:
        raise RecordError(
            f"{folder}: has results of {cells[0].episodes} workloads, {path} has lines of others: "
            "give another file with --to"
        )
    write_file(path, "".join(f"{text}\n" for text in kept.values()), RecordError)
    return missing


def read_lines(path: Path = RUNS) -> list[Line]:
    """Return what is kept of all cells.

    Raises:
        RecordError: if a line is not readable.
    """
    return [_line(text) for text in _texts(path)]


NO_PRIOR = {"prior": "none", "prior_temperature": 0.05}
NOT_CENTRED = NO_PRIOR | {"centred": False}
DRAWN = {"temperature": 0.0}
LATER: dict[str, dict[str, Any]] = {
    "a2c": NOT_CENTRED | DRAWN,
    "adsac": NOT_CENTRED | DRAWN,
    "ppo": NOT_CENTRED | DRAWN,
    "reinforce": NO_PRIOR | DRAWN,
    "sac": NOT_CENTRED | DRAWN,
}
"""By agent the settings that older lines do not have, as they were before there were any."""


def _line(text: str) -> Line:
    """Return a line as it would be kept now.

    Older ones name tiers without their version, 1, and no setting that came later.
    """
    line: Line = json.loads(text)
    if "settings_used" in line:
        line["settings_used"] = LATER.get(line["agent"], {}) | line["settings_used"]
    for place in ("scenario", "trained_on"):
        if versions_of(str(line.get(place))):
            line[place] += "@1"
    return line


def line_of(record: Record) -> Line:
    """Return what is kept of a cell's result.

    Raises:
        RecordError: if it is one of the game of gateways.
    """
    cell, result = record.job, record.result
    assert isinstance(cell, Cell)
    assert result is not None
    if cell.api != "single":
        raise RecordError(f"{cell.label}: only results on the single environment are kept")
    agent, settings = parse_spec(cell.agent)
    variant = cell.variant or (cell.agent if settings else "default")
    return {
        "key": cell.key,
        "commit": record.provenance.commit,
        "started": record.provenance.started,
        "agent": agent,
        "scenario": cell.scenario.release,
        "world": cell.scenario.servers.world,
        "budget": cell.budget,
        "seed": cell.seed,
        "variant": variant.removeprefix(f"{agent}, "),
        "settings": settings,
        "trained_on": cell.train_on.release if cell.train_on else None,
        "digest": cell.scenario.digest,
        "split": cell.split,
        "first": cell.first,
        "settings_used": result.settings,
        "curve": [point.model_dump() for point in result.curve],
        "train_s": round(result.train_s, 1),
        "test": {name: _rounded([e.metrics[name] for e in result.episodes]) for name in METRICS},
        "distinct_actions": result.distinct_actions,
    }


def _rounded(values: list[float | None]) -> list[float | None]:
    return [None if value is None else round(value, 6) for value in values]


def which(line: Line) -> tuple[Any, ...]:
    """What tells lines apart: agent and settings, seed, and where it was trained and played."""
    # Older lines have no world where it is the tier's own, which is 0.
    return *(line[name] for name in WHICH), line["world"] or 0, line.get("trained_on")


def _texts(path: Path) -> list[str]:
    """Return the lines of a file, each of which is JSON; none if there is no such file."""
    try:
        texts = path.read_text("utf-8").splitlines()
        for text in texts:
            json.loads(text)
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise RecordError(f"{path}: a line is not readable as JSON ({error})") from None
    return texts


def command(
    folder: Annotated[Path, typer.Argument(help="Of a run.")],
    to: Annotated[Path, typer.Option(help="JSON lines.")] = RUNS,
) -> None:
    """Keep the finished cells of a run, one line each."""
    missing = keep(folder, to)
    told = f"{to}: {len(read_lines(to))} lines"
    told += f"; {missing} cells of the run are not finished" if missing else ""
    results().print(told, markup=False, soft_wrap=True)


def main() -> None:
    """Run the command on this process's arguments."""
    run_command(command)


if __name__ == "__main__":
    main()
