"""The command `edge-marl scenarios`: the tiers, what they measure, and files of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_marl.console import print_rows, results
from edge_marl.errors import ScenarioError

if TYPE_CHECKING:
    from edge_marl.scenario import Scenario

__all__ = ["app"]

app = typer.Typer(help="The tiers, and files of one's own.", no_args_is_help=True)

Name = Annotated[
    str, typer.Argument(help="A tier, such as campus or campus@1, or the path of a .toml file.")
]
World = Annotated[int | None, typer.Option(min=0, help="World; 0 is the published one.")]

ENDS = {"last-task": "terminates at the last task", "horizon": "truncates at the horizon"}


@app.command("list")
def list_scenarios() -> None:
    """List the tiers: the newest version of each, then the earlier ones."""
    from edge_marl.scenario import list_tiers, load_scenario

    found = [load_scenario(name) for name in list_tiers()]
    found.sort(key=lambda scenario: (scenario.extended, scenario.num_servers))
    newest = [(one.label, one.summary) for one in found if not one.superseded]
    earlier = [(one.label, one.summary) for one in found if one.superseded]
    print_rows(newest)
    if earlier:
        results().print("\nEarlier versions:", highlight=False)
        print_rows(earlier)


@app.command("show")
def show(name: Name, world: World = None) -> None:
    """Show a scenario's sizes, parts, load and digest, and what heuristics reach on it."""
    from edge_marl.scenario import load_scenario

    found = load_scenario(name, world=world)
    print_rows(_facts(found))
    _show_evidence(found)


@app.command("validate")
def validate(
    files: Annotated[list[Path], typer.Argument(help="Scenario files (.toml).")],
) -> None:
    """Check scenario files: say what is wrong, or the digest of each."""
    from edge_marl.draw import draw_workload
    from edge_marl.scenario import load_scenario

    for file in files:
        found = load_scenario(str(file))
        if found.replay is None or found.replay.csv:  # a data set may not be on this machine
            draw_workload(found, 0, split="validation").check_fits(found)
        typer.echo(f"{file}: valid, digest {found.digest}")


@app.command("export")
def export(
    name: Annotated[str, typer.Argument(help="A tier, such as campus or campus@1.")],
    out: Annotated[Path, typer.Argument(help="File to write, such as my_world.toml.")],
) -> None:
    """Write a tier's file, with its sources, as a start for a scenario of your own."""
    from edge_marl.scenario import read_tier

    text = read_tier(name)
    try:
        with out.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise ScenarioError(f"{out}: is there already; give another name") from None
    except OSError as error:
        raise ScenarioError(f"{out}: cannot be written ({error.strerror})") from None
    typer.echo(f"{out}: change its name before you publish results")


def _facts(found: Scenario) -> list[tuple[str, str]]:
    from edge_marl.scenario import load_scenario
    from edge_marl.workload.topology import offered_load

    tasks = found.arrivals.rate_per_s * found.arrivals.horizon_s
    gateways = f"{found.gateways.count}"
    if found.gateways.neighbourhood:
        gateways += f", of {found.num_neighbours} neighbours each"
    newer = f"; there is a newer one, {load_scenario(found.name).label}" if found.superseded else ""
    rows = [
        ("scenario", f"{found.label}, version {found.version}{newer}"),
        ("summary", found.summary),
        ("servers", f"{found.num_servers}, of {found.num_services} services each"),
        ("actions", f"{found.num_actions}"),
        ("task types", f"{found.num_types}"),
        ("gateways", gateways),
        ("requests", f"{tasks:,.0f} per episode, in {found.arrivals.horizon_s:,.0f} s"),
        ("episode", ENDS[found.episode.end]),
        ("utilisation", f"{offered_load(found):.2f} of capacity, if no task were lost"),
    ]
    if found.extended:
        rows.append(("parts", ", ".join(_parts(found))))
    return [*rows, ("digest", found.digest)]


def _parts(found: Scenario) -> list[str]:
    """Parts of the extended model that are on."""
    tasks, arrivals, overload = found.tasks, found.arrivals, found.overload
    parts = {
        "neighbourhoods": found.gateways.neighbourhood,
        "network": found.network,
        "model residency": found.residency,
        "cloud": found.cloud,
        "deadlines": tasks.deadline_s,
        f"restart of {overload.restart_s:g} s": overload.restart_ms,
        "refunds": overload.refund,
        "bursts": arrivals.bursts,
        "daily curve": arrivals.daily,
        "hot spots": arrivals.hot_spots,
        f"telemetry every {found.telemetry.period_s:g} s": found.telemetry.period_ms,
        "outages": found.outages,
        f"{tasks.fail_share:.2%} of tasks fail": tasks.fail_share,
        f"up to {len(tasks.stages)} stages": len(tasks.stages) > 1,
        "priced energy": found.energy.weight,
        "lines at servers": found.queue,
        "run times that grow with what runs beside": found.concurrency,
        f"{found.num_levels} levels": found.levels,
        "declining": found.decline,
        f"{len(tasks.classes)} classes of service": tasks.classes,
    }
    return [name for name, on in parts.items() if on]


def _show_evidence(found: Scenario) -> None:
    from edge_marl.scenario.evidence import read_evidence

    evidence = read_evidence(found)
    if evidence is None:
        return
    per_task = evidence["bound_per_task"]
    bound = "" if per_task is None else f"; bound {per_task:.3f}"
    title = f"On its {evidence['workloads']} test workloads, with 95 % intervals{bound}:"
    results().print(f"\n{title}", highlight=False)
    rows = [("agent", "utility per request", "score", "lost", "crashes", "on time")]
    ranked = sorted(evidence["agents"].items(), key=lambda item: -item[1]["utility_per_task"][0])
    for name, row in ranked:
        shares = (row["lost_fraction"], row["server_crash_rate"], row["on_time_rate"])
        figures = (_with_interval(row["utility_per_task"]), _with_interval(row["score"]))
        rows.append((name, *figures, *(f"{share:.3f}" for share in shares)))
    print_rows(rows)


def _with_interval(figures: Any) -> str:
    if figures is None:
        return "-"
    value, low, high = figures
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"
