"""Run agents on scenarios and make the leaderboard table: `edge-marl run`, from a file.

    python benchmarks/run_benchmark.py --scenario paper --agents random,prophet --seeds 2

Light to import: what a run needs is loaded when one starts, so that `--help` is there at once.
"""

from __future__ import annotations

import inspect
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from edge_marl.benchmarks.console import (
    EXIT_CODES,
    FAILED,
    INTERRUPTED,
    problems,
    run_app,
)

if TYPE_CHECKING:
    from edge_marl.benchmarks.cells import AgentEntry, Plan
    from edge_marl.scenario import Scenario

__all__ = ["DEFAULT_AGENTS", "DEFAULT_BUDGET", "main", "make_plan", "run"]

DEFAULT_BUDGET = 48_000
"""Decisions that a learning agent trains on unless a run states another number: some 32 episodes of
`paper`, and two seeds each of `sac` and `adsac` in under five minutes on two cores."""

DEFAULT_AGENTS = (
    "random",
    "round-robin",
    "crash-avoid",
    "crash-avoid-best",
    "prophet",
    "sac",
    "adsac",
)
"""The published heuristics and what the papers are about; the other agents run where named."""

DEFAULT_SEEDS = 2
DEFAULT_EPISODES = 20


def run(
    scenario: Annotated[
        list[str], typer.Option(help="Tiers or .toml files; repeat it or separate them by commas.")
    ] = ["paper"],  # noqa: B006  typer reads the default, nothing changes it
    world: Annotated[
        int | None, typer.Option(min=0, help="World of the scenarios; 0 is the published one.")
    ] = None,
    agents: Annotated[
        list[str] | None,
        typer.Option(
            help="Names, module:Class or file.py:Class, likewise.",
            show_default="the heuristics, sac and adsac",
        ),
    ] = None,
    seeds: Annotated[
        int, typer.Option(min=1, help="Training runs: seeds 0 to N - 1.")
    ] = DEFAULT_SEEDS,
    episodes: Annotated[
        int, typer.Option(min=1, max=100, help="Test workloads to evaluate on.")
    ] = DEFAULT_EPISODES,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Processes at a time.", show_default="cores")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run.", show_default="results/SCENARIO")
    ] = None,
    budget: Annotated[
        int, typer.Option(min=1, help="Decisions that a learning agent trains on.")
    ] = DEFAULT_BUDGET,
    api: Annotated[
        Literal["single", "parallel"],
        typer.Option(help="Evaluate on the Gymnasium environment, or as policy of all gateways."),
    ] = "single",
    gateways: Annotated[
        str | None,
        typer.Option(
            metavar="N|servers",
            help="With --api parallel: number of gateways, or one at each server.",
            show_default="the scenario's",
        ),
    ] = None,
    slot_s: Annotated[
        float | None,
        typer.Option(
            help="With --api parallel: length of a slot in seconds; 0 is the event clock.",
            show_default="the scenario's",
        ),
    ] = None,
    hold: Annotated[
        bool | None,
        typer.Option(
            "--hold/--no-hold",
            help="With --api parallel: whether a gateway may keep its task for the next slot.",
            show_default="the scenario's",
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Say only what went wrong.")] = False,
) -> None:
    """Run agents on scenarios and make the table.

    Cells that the folder already has are not run again, so the same command goes on with a run
    that was stopped, and tries again what has failed.
    """
    from edge_marl.benchmarks.progress import make_display
    from edge_marl.benchmarks.report import make_report
    from edge_marl.benchmarks.runner import run_plan

    plan = make_plan(
        _split(scenario),
        _split(agents or []),
        world=world,
        seeds=seeds,
        episodes=episodes,
        budget=budget,
        api=api,
        gateways=_count(gateways),
        slot_s=slot_s,
        hold=hold,
    )
    folder = out or Path("results") / plan.folder_name
    try:
        with make_display(problems(), quiet=quiet) as display:
            failed = run_plan(plan, folder, jobs or os.cpu_count() or 1, display)
    except KeyboardInterrupt:
        problems().print("interrupted: what was finished is kept; the same command goes on")
        raise typer.Exit(INTERRUPTED) from None
    make_report(folder, show=not quiet)
    if failed:
        raise typer.Exit(FAILED)


run.__doc__ = f"{inspect.getdoc(run)}\n\n{EXIT_CODES}"


def make_plan(
    scenarios: list[str],
    agents: list[str],
    *,
    world: int | None = None,
    seeds: int = DEFAULT_SEEDS,
    episodes: int = DEFAULT_EPISODES,
    budget: int = DEFAULT_BUDGET,
    api: Literal["single", "parallel"] = "single",
    gateways: int | Literal["servers"] | None = None,
    slot_s: float | None = None,
    hold: bool | None = None,
) -> Plan:
    """Return the plan of a run.

    Args:
        scenarios: tiers' names or paths of TOML files.
        agents: names, `module:Class` or `file.py:Class`; none means the default ones.
        world: replaces the world that the scenarios state.
        seeds: number of training runs, with seeds 0..seeds-1.
        episodes: test workloads 0..episodes-1 are used.
        budget: decisions that a learning agent trains on.
        api: what the agents are evaluated on.
        gateways: replaces the scenarios' number of gateways in the game ("servers": one at each).
        slot_s: replaces their slot in seconds (0: event clock).
        hold: replaces whether gateways may keep a task for the next slot.

    Raises:
        ScenarioError: if a scenario cannot be loaded, or has no such game; if a game is asked for
            and not played.
        AgentError: if an agent is unknown.
    """
    from edge_marl.benchmarks.cells import Plan, code_digest
    from edge_marl.errors import ScenarioError
    from edge_marl.scenario import load_scenario

    if not scenarios:
        raise ScenarioError("no scenario is named: give at least one tier or .toml file")
    named = [load_scenario(name, world) for name in scenarios]
    game = {"gateways": gateways, "slot_s": slot_s, "hold": hold}
    if given := [f"{name} = {value}" for name, value in game.items() if value is not None]:
        if api == "single":
            raise ScenarioError(
                f"{', '.join(given)}: the single environment has one orchestrator and runs on "
                "events; add --api parallel to play the game of gateways, or leave this out"
            )
        from edge_marl.envs.parallel import game_scenario

        named = [game_scenario(scenario, None, gateways, slot_s, hold) for scenario in named]
    loaded = list({scenario.digest: scenario for scenario in named}.values())
    wanted = dict.fromkeys(agents or DEFAULT_AGENTS)
    return Plan(
        scenarios=tuple(loaded),
        agents=tuple(_entry(name, loaded[0]) for name in wanted),
        seeds=seeds,
        episodes=episodes,
        budget=budget,
        code=code_digest(),
        api=api,
    )


def _split(texts: list[str]) -> list[str]:
    return [part.strip() for text in texts for part in text.split(",") if part.strip()]


def _count(gateways: str | None) -> int | Literal["servers"] | None:
    """Read a number of gateways.

    Raises:
        ScenarioError: if it is neither a whole number nor 'servers'.
    """
    from edge_marl.errors import ScenarioError

    if gateways is None:
        return None
    if gateways == "servers":
        return "servers"
    try:
        return int(gateways)
    except ValueError:
        raise ScenarioError(
            f"gateways = {gateways!r}: must be a whole number of at least 1, or 'servers'"
        ) from None


def _entry(name: str, scenario: Scenario) -> AgentEntry:
    from edge_marl.agents import Trainer, make
    from edge_marl.benchmarks.cells import AgentEntry, code_digest

    made = make(name, scenario)
    own = [Path(inspect.getfile(type(made)))] if ":" in name else []
    return AgentEntry(
        name=name,
        learns=isinstance(made, Trainer),
        deterministic=not isinstance(made, Trainer) and made.deterministic,
        code=code_digest(*own),
    )


def main() -> None:
    """Run the command on this process's arguments."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(run)
    run_app(app)


if __name__ == "__main__":
    main()
