"""What came out of a calibration, as it is kept; and all steps of one."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from edge_marl.agents.base import Agent
from edge_marl.agents.play import play
from edge_marl.agents.registry import make as make_agent
from edge_marl.benchmarks.calibration.compare import (
    Error,
    Pair,
    Rank,
    Run,
    compare,
    errors_of,
    rank_of,
)
from edge_marl.benchmarks.calibration.fit import Parts, fit, write_files
from edge_marl.benchmarks.calibration.observe import observe_all, requests_of
from edge_marl.benchmarks.calibration.profile import Profile, profile
from edge_marl.benchmarks.calibration.wishes import Wishes, keep_wishes
from edge_marl.benchmarks.records.provenance import Meter
from edge_marl.benchmarks.records.records import Provenance
from edge_marl.errors import AgentError, ServingError
from edge_marl.files import write_file
from edge_marl.scenario import Scenario

__all__ = ["Findings", "Variant", "calibrate"]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Variant(_Model):
    """One kind of servers, and the simulator with some of two parts on."""

    line: int
    """Tasks that may wait at a server; 0: none, and memory decides."""
    queue: bool
    concurrency: bool
    errors: tuple[Error, ...]
    rank: Rank
    runs: tuple[Run, ...]

    @property
    def parts(self) -> Parts:
        """What is on."""
        return Parts(self.queue, self.concurrency)


class Findings(_Model):
    """All that a calibration found."""

    wishes: Wishes
    profile: Profile
    scenarios: dict[int, str]
    """Digest of the scenario that was fitted, by line."""
    busy: float | None
    """Other work of the machine when the calibration ended: its load average over a minute."""
    machine: Provenance
    variants: tuple[Variant, ...]


def calibrate(
    wishes: Wishes, folder: Path, say: Callable[[str], None]
) -> tuple[Findings, dict[tuple[int, Parts], list[Pair]]]:
    """Do all steps that a folder has not the results of yet.

    Args:
        wishes: what is asked for.
        folder: where everything is kept.
        say: told what is done next.

    Returns:
        What was found, and the runs that it was found of.

    Raises:
        AgentError: no such agent, or one that cannot serve.
        ServingError: a server does not start, or the folder holds something else.
    """
    first = fit(wishes, None, 0)
    for agent in wishes.agents:
        _make(agent, first)
    keep_wishes(wishes, folder)
    meter = Meter(threads=1)
    say("measuring the servers")
    measured = asyncio.run(profile(wishes, first, folder))
    pairs: dict[tuple[int, Parts], list[Pair]] = {}
    digests = {}
    for line in wishes.lines:
        scenario = fit(wishes, measured, line)
        digests[line] = scenario.digest
        write_files(scenario, wishes, folder, line)

        if not wishes.runs:
            continue

        def ready(name: str, scenario: Scenario = scenario) -> Agent:
            """Return an agent that has decided before: its first decision may take long."""
            agent = _make(name, scenario)
            play(agent, scenario, [requests_of(wishes, scenario, 0)], wishes.seed)
            return agent

        asyncio.run(observe_all(wishes, scenario, line, ready, folder, say))
        say(f"simulating, a line of {line}")
        for parts, found in compare(wishes, scenario, line, _make, folder):
            pairs[line, parts] = found
    findings = Findings(
        wishes=wishes,
        profile=measured,
        scenarios=digests,
        busy=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        machine=meter.read(),
        variants=tuple(_variant(line, parts, found) for (line, parts), found in pairs.items()),
    )
    text = findings.model_dump_json(indent=1) + "\n"
    write_file(folder / "calibration.json", text, ServingError)
    return findings, pairs


def _make(name: str, scenario: Scenario) -> Agent:
    """Return an agent that can serve.

    Raises:
        AgentError: it cannot.
    """
    made = make_agent(name, scenario)
    if not isinstance(made, Agent) or made.central:
        raise AgentError(
            f"agent '{name}' has to learn first, or decides for all gateways together: give "
            "heuristics, or file.py:Class of an agent that loads what it has learnt"
        )
    return made


def _variant(line: int, parts: Parts, pairs: list[Pair]) -> Variant:
    runs = tuple(pair.as_run() for pair in pairs)
    return Variant(
        line=line,
        queue=parts.queue,
        concurrency=parts.concurrency,
        errors=tuple(errors_of(pairs)),
        rank=rank_of(runs),
        runs=runs,
    )
