"""What is in the errors of single latencies that `edge-marl calibrate` finds, cause by cause.

    python -m edge_marl.benchmarks.measure.latency_residual results/calibration

Of servers without a line (`line-0`), whose requests run from when they are sent, it explains the
same requests with the same decisions by more and more:

* the simulator, where a run time grows by those that run beside it when it begins;
* run times that are shared as they go: those that come later slow it as well, those that leave do
  no more;
* servers that slow each other down besides: by factors that are measured in the same logs, of
  requests that had their own server to themselves while none, one or more others had work;
* the run times that were measured: what is left is the time until they were sent.

And what machines do by themselves: how far requests that had all of it to themselves are from
their median.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
import typer

from edge_marl.benchmarks.calibration.fit import Parts, with_parts
from edge_marl.benchmarks.calibration.observe import logs_of, place_of, read_observed
from edge_marl.benchmarks.calibration.wishes import Wishes
from edge_marl.console import print_rows, run_command
from edge_marl.errors import ServingError
from edge_marl.scenario import Scenario, load_scenario
from edge_marl.scenario.parts import Concurrency
from edge_marl.scenario.servers import GivenServers
from edge_marl.serving.log import History, read_logs
from edge_marl.serving.replay import as_simulated

__all__ = ["Run", "factors_of", "runs_of", "shared"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Run:
    """Requests that were sent, of one run of one agent; times in ms from the first request."""

    asked: Floats
    """(N,) When each came."""
    sent: Floats
    """(N,) In ascending order."""
    ended: Floats
    """(N,)"""
    served: npt.NDArray[np.bool_]
    """(N,) The others were lost when they ended."""
    server: npt.NDArray[np.int64]
    """(N,)"""
    alone: Floats
    """(N,) Time that it takes with its server to itself."""
    growth: Floats
    """(N,) By which part of that it takes longer with each one beside it."""
    simulated: Floats
    """(N,) Latency in the simulator; NaN: not served there."""

    @property
    def latency(self) -> Floats:
        """(N,) As measured, of those that were served too."""
        return self.ended - self.asked

    def others(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return how many ran beside each for some of its time, and on how many other servers."""
        meets = (self.sent < self.ended[:, None]) & (self.ended > self.sent[:, None])
        same = self.server == self.server[:, None]
        elsewhere = [
            np.unique(self.server[row & ~own]) for row, own in zip(meets, same, strict=True)
        ]
        return (meets & same).sum(axis=1) - 1, np.array([len(found) for found in elsewhere])


def runs_of(folder: Path) -> Iterator[Run]:
    """Yield the finished runs of a calibration in front of servers without a line.

    Raises:
        ServingError: there is none.
    """
    path = folder / "wishes.json"
    if not path.exists():
        raise ServingError(f"{folder}: no calibration; give the --out of `edge-marl calibrate`")
    wishes = Wishes.model_validate_json(path.read_bytes())
    logs = [place_of(folder, 0, n, name) for n in range(wishes.runs) for name in wishes.agents]
    finished = [log for log in logs if read_observed(log)]
    if not finished:
        raise ServingError(f"{folder}: no run of servers without a line; calibrate with --lines 0")
    scenario = with_parts(load_scenario(folder / "line-0.toml"), Parts(False, True), 0)
    for log in finished:
        yield _run(read_logs(logs_of(log, wishes.gateways)), scenario)


def _run(history: History, scenario: Scenario) -> Run:
    growth, servers = scenario.concurrency, scenario.servers
    assert isinstance(growth, Concurrency)
    assert isinstance(servers, GivenServers)
    latency_ms = 1000 * as_simulated(history, scenario).latency_s
    rows = []
    for (at, _, asked), fate, simulated in zip(
        history.arrived, history.fates, latency_ms, strict=True
    ):
        if fate.sent and fate.ended:
            sent, own = fate.sent, at - asked.t  # what the times of its log begin at
            alone = asked.run_time_ms * servers.slowdown[sent.server][sent.service]
            grows = growth.growth[sent.service % len(growth.growth)]
            served = fate.ended.outcome == "served"
            times = (at, sent.t + own, fate.ended.t + own)
            rows.append((*times, served, sent.server, alone, grows, simulated))
    asked, sent, ended, served, server, alone, grows, simulated = np.array(
        sorted(rows, key=lambda row: row[1])
    ).T
    return Run(asked, sent, ended, served > 0, server.astype(np.int64), alone, grows, simulated)


def shared(run: Run, factors: Sequence[float] = (1.0,)) -> Floats:
    """Return latencies (ms), (N,), where run times are shared as they go.

    Args:
        run: which of its requests run where from when on, and those that were lost until when.
        factors: by which all takes longer while no, one, ... other server has work; the last is
            that of more, too.
    """
    now, after, left = run.sent[0], 0, run.alone.copy()
    over = np.full(len(left), np.nan)
    there = np.zeros(0, dtype=np.int64)
    while after < len(left) or len(there):
        servers, counts = np.unique(run.server[there], return_counts=True)
        beside = counts[np.searchsorted(servers, run.server[there])] - 1
        slower = factors[min(len(servers), len(factors)) - 1] if len(there) else 1.0
        takes = (1 + run.growth[there] * beside) * slower
        ends = np.where(run.served[there], now + left[there] * takes, run.ended[there])
        comes = run.sent[after] if after < len(left) else np.inf
        then = max(now, min(comes, ends.min(initial=np.inf)))
        left[there] -= (then - now) / takes
        over[there[ends <= then]] = then
        there = there[ends > then]
        if comes <= then:
            there, after = np.append(there, after), after + 1
        now = then
    return over - run.asked


def factors_of(runs: Sequence[Run]) -> list[Floats]:
    """Return measured over expected run times of requests that had a server to themselves.

    While no, one, ... other server had work.
    """
    found: dict[int, list[float]] = {}
    for run in runs:
        beside, elsewhere = run.others()
        own = run.served & (beside == 0)
        for busy in np.unique(elsewhere[own]):
            at = own & (elsewhere == busy)
            found.setdefault(int(busy), []).extend(((run.ended - run.sent) / run.alone)[at])
    return [np.array(found.get(busy, [1.0])) for busy in range(max(found, default=0) + 1)]


def _off(runs: Sequence[Run], explained: Sequence[Floats]) -> tuple[str, str, str]:
    """Return MAPE, Pearson's r and the mean of latencies, of requests served in both worlds."""
    both = [run.served & np.isfinite(run.simulated) for run in runs]
    measured = np.concatenate([run.latency[k] for run, k in zip(runs, both, strict=True)])
    by = np.concatenate([one[k] for one, k in zip(explained, both, strict=True)])
    mape = 100 * np.mean(np.abs(by - measured) / measured)
    return f"{mape:.1f}", f"{np.corrcoef(by, measured)[0, 1]:.2f}", f"{by.mean():.0f}"


def main(
    folder: Annotated[Path, typer.Argument(help="The --out of `edge-marl calibrate`.")],
) -> None:
    """Print how far single latencies are from what more and more explains."""
    runs = list(runs_of(folder))
    ratios = factors_of(runs)
    factors = [float(np.median(one)) for one in ratios]
    print_rows(
        [
            ("latency of a request", "MAPE (%)", "Pearson r", "mean (ms)"),
            ("as simulated", *_off(runs, [run.simulated for run in runs])),
            ("shared as they go", *_off(runs, [shared(run) for run in runs])),
            ("and slowed by other servers", *_off(runs, [shared(run, factors) for run in runs])),
            ("run times as measured", *_off(runs, [run.ended - run.sent for run in runs])),
            ("as measured", *_off(runs, [run.latency for run in runs])),
        ]
    )
    rows = [("with a server to itself", "requests", "takes times", "from that, MAPE (%)")]
    for busy, (ratio, factor) in enumerate(zip(ratios, factors, strict=True)):
        noise = 100 * np.mean(np.abs(factor - ratio) / ratio)
        rows.append((f"{busy} others busy", f"{len(ratio)}", f"{factor:.2f}", f"{noise:.1f}"))
    print_rows(rows)


if __name__ == "__main__":
    run_command(main)
