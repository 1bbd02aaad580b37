"""The evidence that a game measures coordination: its agents at once, on the event clock, in turn.

    python -m edge_marl.benchmarks.release.games               # every game
    python -m edge_marl.benchmarks.release.games paper-game --again

A maintainer's tool, run when a game is released (`slots.py` helps to choose its slots): a run of
all heuristics on the test workloads of the game, with all gateways of a slot at once and one after
the other, and on the event clock. What it writes ships with the game beside the evidence of the
tiers. A game is released if

* random < crash-avoid < the best heuristic, by intervals that do not overlap;
* the heuristic that is best on the event clock gets less in the slots, paired by workload: 0 is
  outside of the interval;
* the best in turn is better than every one at once, by intervals that do not overlap: what is
  lost is lost for lack of coordination, and not by the slots themselves;
* every one at once gets less than the best reference, paired by workload: 0 is outside.

The best of the references, `central` and agents in turn, is what the price of decentralisation is
measured against: what it got on each test workload ships as well.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from edge_marl.benchmarks.plan.cells import Plan
from edge_marl.benchmarks.records.provenance import usable_cores
from edge_marl.benchmarks.release.evidence import (
    heuristics,
    requests_of,
    row_of,
    trajectory_hash,
    written,
)
from edge_marl.benchmarks.release.parts import plan_without_anchors, rounded
from edge_marl.benchmarks.release.slots import IN_TURN
from edge_marl.benchmarks.report.intervals import FloatArray
from edge_marl.benchmarks.report.results import Runs, read_runs
from edge_marl.benchmarks.report.stats import estimate, prices
from edge_marl.benchmarks.run.evaluation import draw_test_workloads
from edge_marl.benchmarks.run.executors import Processes
from edge_marl.benchmarks.run.progress import Lines
from edge_marl.benchmarks.run.runner import run_plan
from edge_marl.bound.anchor_pairs import Anchors, anchors, shipped_pairs
from edge_marl.console import FAILED, print_rows, problems, results, run_command
from edge_marl.errors import RecordError
from edge_marl.scenario import Scenario, list_games, load_scenario
from edge_marl.scenario.evidence import by_utility, gap_told, read_evidence, rows_of_game
from edge_marl.workload.parts import PUBLIC_SEEDS

__all__ = ["main", "play_game", "release", "rule"]

Evidence = dict[str, Any]

CENTRAL = "central"
COORDINATION = ("herding", "gateway_fairness", "idle_share")
"""Metrics of the evidence of games besides those of tiers, with intervals."""


def release(
    games: Annotated[
        list[str] | None, typer.Argument(help="Games' names.", show_default="all releases")
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Also where there is evidence of the game as it is.")
    ] = False,
    workloads: Annotated[int, typer.Option(min=2, max=PUBLIC_SEEDS, help="Of the test split.")] = (
        PUBLIC_SEEDS
    ),
    out: Annotated[
        Path | None, typer.Option(help="Folder to write to.", show_default="the package's")
    ] = None,
    keep: Annotated[Path, typer.Option(help="Folder that keeps what was played.")] = Path(
        "build/games"
    ),
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Cells at a time.", show_default="cores")
    ] = None,
) -> None:
    """Play every heuristic in the games; write the evidence and say if it holds."""
    broken = False
    for game in [load_scenario(name) for name in games or list_games()]:
        evidence = None if again else read_evidence(game)
        if evidence is None:
            folder = keep / f"{game.label}-{workloads}"
            evidence = play_game(game, workloads, folder, jobs or usable_cores())
            written(game, evidence, out)
        broken |= not all(evidence["rule"].values())
        _print(game, evidence)
    if broken:
        raise typer.Exit(FAILED)


def play_game(game: Scenario, workloads: int, folder: Path, jobs: int = 1) -> Evidence:
    """Return a game's evidence; where no anchors are shipped (`anchors.py`) without scores.

    Args:
        game: in slots.
        workloads: number of test workloads.
        folder: keeps every cell, so that a run that was stopped goes on.
        jobs: cells at a time.

    Raises:
        RecordError: if a cell fails.
    """
    drawn = draw_test_workloads(game, workloads)
    names = heuristics(game)
    agents = (*names, *(IN_TURN + name for name in names), CENTRAL)
    in_slots = plan_without_anchors(game.label, [game], agents, workloads)
    # On the event clock both APIs give the same, and the single environment has one row for all.
    on_events = plan_without_anchors(f"{game.label}-events", [game.on_events()], names, workloads)
    with Lines(problems()) as display:
        for place, plan in (("slots", in_slots), ("events", on_events)):
            if run_plan(plan, folder / place, Processes(jobs), display):
                raise RecordError(f"{game.label}: a cell has failed, as said above: no evidence")
    ends = anchors(game, drawn) if shipped_pairs(game) else None
    found = _runs(folder / "slots", in_slots)
    events = _runs(folder / "events", on_events)
    best, reference = _best_reference(found)
    rows = {name: _row_in_slots(runs, ends, reference) for name, runs in found.items()}
    alone = {name: rows[name] for name in names}
    in_turn = {name: rows[IN_TURN + name] for name in names}
    before = {name: _before(events[name], found[name]) for name in names}
    requests = sum(map(requests_of, drawn))
    return {
        "scenario": game.digest,
        "workloads": workloads,
        "trajectory": trajectory_hash(game, drawn[0]),
        "requests": requests,
        "bound_per_task": None if ends is None else float(ends.bound.sum()) / requests,
        "agents": alone,
        "in_turn": in_turn,
        "central": rows[CENTRAL],
        "reference": {"agent": best, "utility_per_task": reference.tolist()},
        "events": before,
        "rule": rule(alone, in_turn, before),
    }


def _best_reference(found: dict[str, Runs]) -> tuple[str, FloatArray]:
    """Return the best of central and all in turn, and what it got per task, (workloads,)."""
    utilities = {
        name: runs.metrics["utility_per_task"][0]
        for name, runs in found.items()
        if name == CENTRAL or name.startswith(IN_TURN)
    }
    best = max(utilities, key=lambda name: float(utilities[name].mean()))
    return best, utilities[best]


def _row_in_slots(runs: Runs, ends: Anchors | None, reference: FloatArray) -> Evidence:
    """Return what an agent got in a game, with the metrics of coordination."""
    metrics = runs.metrics
    price = estimate(prices(metrics["utility_per_task"], reference))
    found = {name: rounded(estimate(metrics[name]).within(0.0, 1.0)) for name in COORDINATION}
    return row_of(runs, ends) | {"price": rounded(price)} | found


def rule(
    alone: dict[str, Evidence], in_turn: dict[str, Evidence], events: dict[str, Evidence]
) -> dict[str, bool]:
    """Return which parts of the release rule of games hold.

    Args:
        alone: what agents get with all gateways of a slot at once, by name; random and crash-avoid
            among them.
        in_turn: what they get in turn.
        events: what they get on the event clock, and the `difference` in slots.
    """
    random, avoid = (alone[name]["utility_per_task"] for name in ("random", "crash-avoid"))
    best = alone[by_utility(alone)[0]]["utility_per_task"]
    highest = max(row["utility_per_task"][2] for row in alone.values())
    together = in_turn[by_utility(in_turn)[0]]["utility_per_task"]
    return {
        "random < crash-avoid": random[2] < avoid[1],
        "crash-avoid < best": avoid[2] < best[1],
        "slots < events": events[by_utility(events)[0]]["difference"][2] < 0,
        "best at once < best in turn": highest < together[1],
        "every one pays a price": all(row["price"][1] > 0 for row in alone.values()),
    }


def _runs(folder: Path, plan: Plan) -> dict[str, Runs]:
    (arena,) = plan.arenas
    return {agent.name: read_runs(folder, plan, arena, agent) for agent in plan.agents}


def _before(events: Runs, slots: Runs) -> Evidence:
    """What an agent gets on the event clock, and how much more in slots, paired by workload."""
    utility = events.metrics["utility_per_task"]
    difference = slots.metrics["utility_per_task"] - utility
    return {
        "utility_per_task": rounded(estimate(utility)),
        "difference": rounded(estimate(difference)),
    }


def _print(game: Scenario, evidence: Evidence) -> None:
    """Print what every agent got in a game, the best at once first."""
    missed = [part for part, holds in evidence["rule"].items() if not holds]
    told = f"not: {', '.join(missed)}" if missed else "the release rule holds"
    results().print(f"\n{game.label}: {evidence['workloads']} test workloads, {told}", markup=False)
    print_rows(rows_of_game(evidence))
    results().print(gap_told(evidence), markup=False)


def main() -> None:
    """Run the command on this process's arguments."""
    run_command(release)


if __name__ == "__main__":
    main()
