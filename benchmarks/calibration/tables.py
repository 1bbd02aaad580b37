"""What was found as tables: for the terminal, and for the page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np

from edge_marl.benchmarks.calibration.compare import METRICS, Error
from edge_marl.benchmarks.calibration.findings import Findings, Variant
from edge_marl.benchmarks.calibration.fit import Parts, fit
from edge_marl.benchmarks.calibration.wishes import SERVICES, Wishes
from edge_marl.benchmarks.speed.tables import Table
from edge_marl.scenario.parts import Concurrency

__all__ = ["kind_of", "notes_of", "tables_of"]

MEASURES = {"mape": "MAPE (%)", "pearson": "Pearson r", "ks": "KS"}

WORLDS: dict[Literal["simulated", "played"], str] = {
    "simulated": "the same decisions simulated",
    "played": "agents deciding in the simulator",
}


def kind_of(line: int) -> str:
    """Return what servers with such a line are called."""
    return f"servers with a line of {line}" if line else "servers without a line, which crash"


def tables_of(findings: Findings) -> Iterator[Table]:
    """Yield all in short, the profile and what was fitted to it, then errors and ranks."""
    if findings.variants:
        yield Table("In short", list(_in_short(findings)), words=2)
    yield Table("Run times", list(_profile(findings)))
    yield Table("Fitted to them: what the scenario files say", list(_fitted(findings)))
    for line in findings.wishes.lines if findings.wishes.runs else ():
        variants = [variant for variant in findings.variants if variant.line == line]
        kind = kind_of(line)
        yield Table(f"Errors of the simulator: {kind}", list(_errors(variants)), words=2)
        for world, told in WORLDS.items():
            rows = list(_ranks(findings, variants, world))
            yield Table(f"Utility per request, {told}: {kind}", rows)


def notes_of(findings: Findings) -> list[str]:
    """Return how it was counted, in lines."""
    wishes = findings.wishes
    restart = float(np.median(findings.profile.restart_s))
    hardware = findings.machine.hardware
    lines = [f"A server that died was back after {restart:.2f} s (median)."]
    if wishes.runs:
        lines += _how_compared(wishes)
    if findings.busy is not None:
        cores = hardware.cores
        lines.append(
            f"{hardware.cpu}, {cores} cores, load average {findings.busy:.1f} at the end"
            + ("; the servers shared its cores." if cores < len(wishes.capacity) + 2 else ".")
        )
    return lines


def _how_compared(wishes: Wishes) -> list[str]:
    at = f", which arrive at {wishes.gateways} gateways" if wishes.gateways > 1 else ""
    return [
        f"{len(wishes.agents)} agents x {wishes.runs} runs of {wishes.requests} requests{at}, at a "
        f"load of {wishes.load:g}: of the time that servers compute, if every request ran alone.",
        "* marks the parts that these servers have: one that computes several tasks at once slows "
        "each down (concurrency), and tasks wait where there is a line (queue). The others show "
        "what leaving a part out, or a part that is not there, costs.",
        "Columns are the simulator with these parts on. Errors are of the same requests with the "
        "same decisions. MAPE is over pairs with a measured value above 0; KS is the largest "
        "distance of the two distributions; '-' is not defined.",
        "A cold start is a restart: Python and both models are loaded again. Its time is that of "
        "all servers together.",
        "Utility is the share of a request's digits that a classifier takes for what was asked "
        "for; 0 if it was lost. Kendall's tau is over the agents' means.",
    ]


def _in_short(findings: Findings) -> Iterator[tuple[str, ...]]:
    """Yield the errors that matter most, and the ranks, of each choice of parts."""
    yield (
        *("servers", "parts that are on", "latency MAPE (%)", "Pearson r", "KS"),
        *("utility MAPE (%)", "tau, same decisions", "tau, own play"),
    )
    for variant in findings.variants:
        latency, utility = _of(variant, "latency"), _of(variant, "utility")
        as_they_are = Parts(queue=variant.line > 0, concurrency=True)
        yield (
            f"line of {variant.line}" if variant.line else "no line",
            f"{variant.parts}{' *' if variant.parts == as_they_are else ''}",
            *(_number(getattr(latency, measure), measure) for measure in MEASURES),
            _number(utility.mape, "mape"),
            *(_number(getattr(variant.rank, world), "tau") for world in WORLDS),
        )


def _profile(findings: Findings) -> Iterator[tuple[str, ...]]:
    demands, profile = findings.wishes.demand, findings.profile
    yield "median time (s)", *SERVICES
    for demand in demands:
        found = [one.seconds for one in profile.alone if one.demand == demand]
        yield f"{demand} steps", *_medians(found)
    for other, count in sorted({(one.other, one.count) for one in profile.beside}):
        own = [one for one in profile.beside if (one.other, one.count) == (other, count)]
        label = f"{demands[1]} steps, beside {count - 1} of {SERVICES[other]}"
        yield label, *_medians([one.seconds for one in own])


def _fitted(findings: Findings) -> Iterator[tuple[str, ...]]:
    """Yield the numbers of the first server; all of a calibration have the same models."""
    scenario = fit(findings.wishes, findings.profile, 0)
    servers, growth = scenario.servers.model_dump(), scenario.concurrency
    _, per_step, fixed = (60 * part for part in scenario.tasks.run_time_minutes)
    slowdown = servers["slowdown"][0]
    yield "", *SERVICES
    yield "time of a step (s)", *(f"{per_step * factor:.5f}" for factor in slowdown)
    yield "time besides (s)", *(f"{fixed * factor:.4f}" for factor in slowdown)
    assert isinstance(growth, Concurrency)
    yield "longer with each task beside it (%)", *(f"{100 * one:.0f}" for one in growth.growth)
    yield "quality, mean of all digits", *(f"{np.mean(row):.3f}" for row in servers["baseline"][0])


def _medians(rows: Sequence[tuple[float, ...]]) -> list[str]:
    return [f"{np.median(seconds):.3f}" for seconds in rows]


def _errors(variants: list[Variant]) -> Iterator[tuple[str, ...]]:
    yield "metric", "error", "n", *(f"{variant.parts}" for variant in variants)
    for metric, told in METRICS.items():
        found = [_of(variant, metric) for variant in variants]
        for at, (measure, name) in enumerate(MEASURES.items()):
            cells = [_number(getattr(error, measure), measure) for error in found]
            yield "" if at else told, name, "" if at else f"{found[0].count}", *cells


def _of(variant: Variant, metric: str) -> Error:
    return next(error for error in variant.errors if error.metric == metric)


def _number(value: float | None, measure: str) -> str:
    if value is None:
        return "-"
    return f"{100 * value:.1f}" if measure == "mape" else f"{value:.2f}"


def _ranks(
    findings: Findings, variants: list[Variant], world: Literal["simulated", "played"]
) -> Iterator[tuple[str, ...]]:
    yield "agent", "measured", *(f"{variant.parts}" for variant in variants)
    for agent in findings.wishes.agents:
        own = [[run for run in variant.runs if run.agent == agent] for variant in variants]
        measured = np.mean([run.measured for run in own[0]])
        other = [np.mean([getattr(run, world) for run in runs]) for runs in own]
        yield agent, *(f"{value:.3f}" for value in (measured, *other))
    taus = [getattr(variant.rank, world) for variant in variants]
    yield "Kendall's tau", "", *(_number(tau, "tau") for tau in taus)
