"""The bench: every API in turn, round after round, and what else is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_marl.benchmarks.records.provenance import Meter, usable_cores
from edge_marl.benchmarks.speed.drives import APIS, NATIVE, Drive, Sample, on_threads
from edge_marl.benchmarks.speed.findings import (
    ApiRow,
    Findings,
    LearnerRow,
    PeerRow,
    Spread,
    StartRow,
    TierRow,
)
from edge_marl.benchmarks.speed.parts import Kernel, KernelSample, sizes_of
from edge_marl.benchmarks.speed.starts import measure_start
from edge_marl.errors import EdgeMarlError
from edge_marl.scenario import Scenario

__all__ = ["Wishes", "bench"]

LEARNING_S = {False: 3.0, True: 0.1}
"""Seconds of a training; whether it is quick."""
PEER_S = {False: 1.0, True: 0.2}
"""Seconds of a round of a peer; whether it is quick."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Wishes:
    """What is to be measured."""

    scenarios: Sequence[Scenario]
    repeat: int
    quick: bool = False
    learners: Sequence[str] = ()
    peers: Path | None = None
    """Folder of the Python environment of peers."""


@dataclass
class _Line:
    """An API on so many threads, with what it found."""

    tier: str
    api: str
    threads: int
    drive: Drive
    samples: list[Sample]

    def row(self) -> ApiRow:
        """Return it over all rounds."""
        without = [1e9 / sample.step_ns for sample in self.samples]
        with_resets = [1e9 / (sample.step_ns + sample.reset_ns) for sample in self.samples]
        return ApiRow(
            tier=self.tier,
            api=self.api,
            threads=self.threads,
            rows=getattr(self.drive, "rows", 1),
            turns=self.samples[0].turns,
            without_resets=Spread.of(without),
            with_resets=Spread.of(with_resets),
        )


def bench(wishes: Wishes, say: Say) -> Findings:
    """Measure what is wished for.

    Args:
        wishes: what that is.
        say: hears what is measured now.

    Raises:
        SuiteError: the environment of peers cannot be made, or a new process fails.
    """
    meter = Meter(usable_cores())
    apis: list[ApiRow] = []
    tiers: list[TierRow] = []
    for scenario in wishes.scenarios:
        rows, parts = _measure_tier(scenario, wishes, say)
        apis += rows
        tiers.append(parts)
    starts: list[StartRow] = []
    for scenario in wishes.scenarios:
        say(f"{scenario.label}: first steps of new processes")
        starts.append(measure_start(scenario, cold=not wishes.quick))
    learners = list(_measure_learners(wishes, say))
    peers = list(_measure_peers(wishes, say))
    return Findings(
        machine=meter.read(),
        repeat=wishes.repeat,
        quick=wishes.quick,
        apis=tuple(apis),
        tiers=tuple(tiers),
        starts=tuple(starts),
        learners=tuple(learners),
        peers=tuple(peers),
    )


def _measure_tier(scenario: Scenario, wishes: Wishes, say: Say) -> tuple[list[ApiRow], TierRow]:
    """Measure all APIs in turn in every round, so that a machine that slows down slows all."""
    cores, lines = usable_cores(), []
    for api in APIS:
        for threads in (1, cores) if api.threaded and cores > 1 else (1,):
            say(f"{scenario.label}: {api.name} on {threads} thread{'s' * (threads > 1)}, made")
            with on_threads(threads):
                drive = api.drive(scenario, wishes.quick)
            lines.append(_Line(scenario.label, api.name, threads, drive, []))
    kernel, of_kernel = Kernel(scenario, wishes.quick), []
    for number in range(1 + wishes.repeat):  # the first compiles, loads, allocates
        for line in lines:
            say(f"{scenario.label}: round {number} of {wishes.repeat}, {line.api}")
            line.samples.append(line.drive.measure())
        of_kernel.append(kernel.measure())
    for line in lines:
        del line.samples[0]
    native = next(line for line in lines if line.api == NATIVE and line.threads == 1)
    return [line.row() for line in lines], _parts(scenario, wishes, native, of_kernel[1:])


def _parts(
    scenario: Scenario, wishes: Wishes, native: _Line, of_kernel: list[KernelSample]
) -> TierRow:
    sizes = sizes_of(scenario, wishes.quick)
    transition, observation = (
        Spread.of([getattr(sample, part) for sample in of_kernel]).median
        for part in ("transition_ns", "observation_ns")
    )
    step = Spread.of([sample.step_ns for sample in native.samples]).median
    return TierRow(
        tier=scenario.label,
        rows=native.row().rows,
        transition_ns=transition,
        observation_ns=observation,
        api_ns=max(0.0, step - transition - observation),
        reset_ns=Spread.of([sample.reset_ns for sample in native.samples]).median,
        floor_ns=sizes.floor_ns,
        state_bytes=sizes.state,
        observation_bytes=sizes.observation,
    )


def _measure_learners(wishes: Wishes, say: Say) -> Iterable[LearnerRow]:
    if not wishes.learners:
        return
    from edge_marl.benchmarks.speed.learners import training_speed

    for scenario in wishes.scenarios:
        for agent in wishes.learners:
            say(f"{scenario.label}: {agent} trains")
            try:
                found = training_speed(agent, scenario, LEARNING_S[wishes.quick])
            except EdgeMarlError as error:  # its library is not here
                yield LearnerRow(
                    tier=scenario.label, agent=agent, decisions_per_s=None, failed=str(error)
                )
            else:
                yield LearnerRow(tier=scenario.label, agent=agent, decisions_per_s=found)


def _measure_peers(wishes: Wishes, say: Say) -> Iterable[PeerRow]:
    if wishes.peers is None:
        return
    from edge_marl.benchmarks.speed import peers

    say(f"peers: installed into {wishes.peers}")
    python = peers.install(wishes.peers)
    for row in peers.measure(python, PEER_S[wishes.quick], wishes.repeat):
        say(f"peers: {row.name}")
        yield row
