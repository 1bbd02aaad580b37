"""How long the slots of a game should be: what coordination is worth in them, on validation.

    python -m edge_marl.benchmarks.release.slots metro-game --slot 1 --slot 5 --slot 20

A maintainer's tool, run before a game is released: every agent that leads on the event clock plays
the game in slots of each length, its gateways at once and in turn. A slot is chosen where the best
that decide in turn are certainly better than the best that decide at once, at little loss by the
slot itself, which the same agents in turn tell. What was played is kept, and not played again. The
evidence of the game that is released is made by `games.py`, on test workloads.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from edge_marl.agents import Agent, make
from edge_marl.agents.play import play
from edge_marl.benchmarks.plan.cells import label_of
from edge_marl.benchmarks.plan.sources import code_digest
from edge_marl.benchmarks.release.evidence import heuristics
from edge_marl.benchmarks.release.parts import rounded
from edge_marl.benchmarks.report.stats import estimate
from edge_marl.benchmarks.run.evaluation import draw_workloads
from edge_marl.console import print_rows, problems, results, run_command
from edge_marl.errors import RecordError
from edge_marl.files import write_file
from edge_marl.scenario import Scenario, load_scenario
from edge_marl.scenario.evidence import with_interval
from edge_marl.workload.parts import PUBLIC_SEEDS

__all__ = ["IN_TURN", "main"]

IN_TURN = "in-turn:"
"""What the name of an agent whose gateways decide in turn begins with."""

REFERENCES = ("crash-avoid", "random")
"""Play whether they lead or not."""

LEADING = 6
"""Agents that play in slots: the best on the event clock."""


def slots(
    game: Annotated[str, typer.Argument(help="A game, or a tier with its gateways.")],
    slot: Annotated[list[float], typer.Option(help="Length in seconds; repeatable.")],
    workloads: Annotated[int, typer.Option(min=2, max=PUBLIC_SEEDS, help="Of validation.")] = 50,
    leading: Annotated[int, typer.Option(min=1, help="Agents: the best on events.")] = LEADING,
    keep: Annotated[Path, typer.Option(help="Folder that keeps what was played.")] = Path(
        "build/slots"
    ),
) -> None:
    """Play the leading agents of a game in slots of some lengths, at once and in turn."""
    scenario = load_scenario(game)
    kept = _Kept(keep / f"{scenario.release}.json", workloads)
    events = {name: kept.utilities(scenario.on_events(), name) for name in heuristics(scenario)}
    ranked = sorted(events, key=lambda name: -float(events[name].mean()))
    _print("event clock", [(name, _told(events[name])) for name in ranked])
    agents = list(dict.fromkeys([*ranked[:leading], *REFERENCES]))
    for length in slot:
        played = scenario.with_clock(length, scenario.clock.hold)
        rows = [("", "at once", "less than on events by", "in turn")]
        for name in agents:
            alone = kept.utilities(played, name)
            in_turn = kept.utilities(played, IN_TURN + name)
            lost = with_interval(rounded(estimate(alone - events[name])), "+")
            rows.append((name, _told(alone), lost, _told(in_turn)))
        _print(label_of(played, "parallel"), rows)


class _Kept:
    """What agents got, by scenario and agent, in a file.

    Args:
        path: the file.
        count: number of validation workloads.
    """

    def __init__(self, path: Path, count: int) -> None:
        self._path, self._count = path, count
        self._found = json.loads(path.read_text("utf-8")) if path.is_file() else {}
        self._code = code_digest()

    def utilities(self, scenario: Scenario, name: str) -> np.ndarray[tuple[int, ...], np.dtype]:
        """Return utility per task, (1, workloads): kept, or played and kept."""
        key = f"{scenario.digest} {name} {self._count} {self._code}"
        if key not in self._found:
            problems().print(f"{label_of(scenario, 'parallel')}: {name}", markup=False)
            agent = make(name, scenario)
            assert isinstance(agent, Agent)
            drawn = draw_workloads(scenario, "validation", 0, self._count)
            metrics = play(agent, scenario, drawn, seed=0, api="parallel").metrics
            self._found[key] = [each["utility_per_task"] for each in metrics]
            write_file(self._path, json.dumps(self._found, indent=1) + "\n", RecordError)
        return np.array([self._found[key]], dtype=np.float64)


def _told(utilities: np.ndarray[tuple[int, ...], np.dtype]) -> str:
    return with_interval(rounded(estimate(utilities)))


def _print(title: str, rows: Sequence[tuple[str, ...]]) -> None:
    results().print(f"\n{title}:", markup=False)
    print_rows(rows)


def main() -> None:
    """Run the command on this process's arguments."""
    run_command(slots)


if __name__ == "__main__":
    main()
