"""How often intervals hold the truth: populations of known aggregates, fitted to kept runs.

    nice python -m edge_marl.benchmarks.measure.interval_coverage --out docs/figures

A population is one of training runs and workloads, with the mean and the spreads (between runs,
between workloads, of what is left) that a learner's kept runs on a tier have. Its effects are
normal; or skewed, with a long tail of bad runs and bad workloads; or normal but that one run in ten
fails and gets nothing. Samples of few runs and workloads are drawn from it, and the interval of
each holds the population's aggregate or does not. Beside `stats.estimates` stand the percentiles
of a bootstrap of whole runs and whole workloads, of the same samples.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass, fields
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from edge_marl.benchmarks.report.intervals import LEVEL, Band, FloatArray, Statistic, iqm, mean
from edge_marl.benchmarks.report.stats import estimates
from edge_marl.console import print_rows, problems, results, run_command
from edge_marl.scenario import load_scenario

__all__ = [
    "FAILED",
    "LAWS",
    "NORMAL",
    "RESULT",
    "Cell",
    "Population",
    "fit",
    "measure",
    "percentiles",
]

KEPT_RUNS = Path(__file__).parents[1] / "study" / "runs.jsonl"
RESULT = "coverage.csv"
LEARNERS = ("adsac", "dqn", "ppo")
TIERS = ("paper", "metro@1")
METRIC = "utility_per_task"
RUNS, WORKLOADS = (2, 3, 5, 10), (20, 100)
STATISTICS: dict[str, Statistic] = {"mean": mean, "iqm": iqm}
NORMAL, SKEWED, FAILED = LAWS = ("normal", "skewed", "one run in ten fails")
TAIL = 0.6
"""Sigma of the lognormal law of skewed effects: a skewness of -2.3."""

FAILS = 0.1
RESAMPLES = 200
"""Of the percentile bootstrap: they place its ends to some 5 % of its width."""

TRUTH = 2_000_000
"""Episodes that tell a population's interquartile mean to 0.1 % of its spread."""


@dataclass(frozen=True)
class Population:
    """Training runs and workloads that one could have had."""

    tier: str
    learner: str
    mean: float
    between_runs: float
    """Standard deviations."""
    between_workloads: float
    rest: float

    def draw(self, law: str, shape: tuple[int, int, int], rng: np.random.Generator) -> FloatArray:
        """Return samples (samples, runs, workloads)."""
        samples, runs, workloads = shape
        by_run = self.between_runs * _effects(law, (samples, runs, 1), rng)
        if law == FAILED:
            by_run = by_run - self.mean * (rng.random(by_run.shape) < FAILS)
        by_workload = self.between_workloads * _effects(law, (samples, 1, workloads), rng)
        rest = self.rest * rng.standard_normal(shape)
        return np.asarray(self.mean + by_run + by_workload + rest)

    @lru_cache  # noqa: B019 (a handful of populations, in a script)
    def truth(self, law: str, statistic: str) -> float:
        """Return the statistic of all runs and workloads."""
        if statistic == "mean":
            return self.mean * (1.0 - FAILS * (law == FAILED))
        if law == NORMAL:
            return self.mean  # by symmetry
        rng = np.random.default_rng(0)
        return float(iqm(self.draw(law, (TRUTH, 1, 1), rng).ravel()))


def _effects(law: str, shape: tuple[int, ...], rng: np.random.Generator) -> FloatArray:
    """Effects of mean 0 and variance 1."""
    normal = rng.standard_normal(shape)
    if law != SKEWED:
        return normal
    level = np.exp(TAIL**2 / 2.0)
    return np.asarray((level - np.exp(TAIL * normal)) / (level * np.sqrt(np.expm1(TAIL**2))))


def fitted() -> Iterator[Population]:
    """Fit a population to the kept runs of each learner on each tier, in the tier's own world."""
    lines = [json.loads(text) for text in KEPT_RUNS.read_text("utf-8").splitlines()]
    for tier, learner in product(TIERS, LEARNERS):
        place = {"digest": load_scenario(tier).digest, "trained_on": None}
        wanted = place | {"agent": learner, "variant": "default"}
        values = np.array(
            [
                line["test"][METRIC]
                for line in lines
                if wanted.items() <= ({"trained_on": None} | line).items()
            ]
        )
        yield fit(tier, learner, values)


def fit(tier: str, learner: str, values: FloatArray) -> Population:
    """Return the population whose components of variance are those of values (runs, workloads)."""
    runs, workloads = values.shape
    by_run, by_workload = values.mean(axis=1), values.mean(axis=0)
    rest = values - by_run[:, None] - by_workload + values.mean()
    noise = float((rest**2).sum() / ((runs - 1) * (workloads - 1)))
    return Population(
        tier,
        learner,
        float(values.mean()),
        max(float(by_run.var(ddof=1)) - noise / workloads, 0.0) ** 0.5,
        max(float(by_workload.var(ddof=1)) - noise / runs, 0.0) ** 0.5,
        noise**0.5,
    )


def percentiles(values: FloatArray, statistic: Statistic = mean) -> Band:
    """Return a statistic of each of (samples, runs, workloads), with percentiles of its resamples.

    Whole runs and whole workloads are drawn.
    """
    draws = np.stack([_resampled(one, statistic) for one in values])
    ends = np.quantile(draws, [(1.0 - LEVEL) / 2.0, (1.0 + LEVEL) / 2.0], axis=1)
    return Band(statistic(values.reshape(len(values), -1)), *ends)


def _resampled(values: FloatArray, statistic: Statistic) -> FloatArray:
    n = values.size
    rows, columns = (_drawn(size, axis) for axis, size in enumerate(values.shape))
    if statistic is mean:
        return np.asarray(((rows @ values) * columns).sum(axis=1) / n)
    order = np.argsort(values, axis=None)
    row, column = np.unravel_index(order, values.shape)
    cut, ordered = n // 4, values.ravel()[order]
    upto = (rows.take(row, axis=1) * columns.take(column, axis=1)).cumsum(axis=1)
    # The highest entry, less each step down to the next times how much is kept below it.
    below = upto[:, :-1].clip(cut, n - cut) - cut
    return np.asarray(ordered[-1] - below @ np.diff(ordered).astype(np.float32) / (n - 2 * cut))


@lru_cache
def _drawn(size: int, axis: int) -> NDArray[np.float32]:
    """How often each of a number is drawn in each resample, (resamples, size)."""
    rng = np.random.default_rng([size, axis])
    return rng.multinomial(size, np.full(size, 1.0 / size), RESAMPLES).astype(np.float32)


METHODS: dict[str, Callable[[FloatArray, Statistic], Band]] = {
    "t": estimates,
    "percentile": percentiles,
}


@dataclass(frozen=True)
class Cell:
    """How often a method's intervals held the truth, and how wide they were."""

    tier: str
    learner: str
    law: str
    statistic: str
    runs: int
    workloads: int
    method: str
    held: float
    """Share of the samples."""
    width: float
    """Median, in utility per task."""


def measure(
    population: Population, law: str, shape: tuple[int, int], repetitions: int
) -> Iterator[Cell]:
    """Yield what each method's intervals of each statistic did on samples of a population."""
    where = (population.tier, population.learner, law)
    # Without the version: the published samples were drawn before tiers had any.
    tier = population.tier.partition("@")[0]
    name = "\n".join([tier, *where[1:], *map(str, shape)])
    rng = np.random.default_rng(list(hashlib.sha256(name.encode()).digest()))
    samples = population.draw(law, (repetitions, *shape), rng)
    for name, statistic in STATISTICS.items():
        truth = population.truth(law, name)
        for method, intervals in METHODS.items():
            found = intervals(samples, statistic)
            held = float(((found.low <= truth) & (truth <= found.high)).mean())
            width = float(np.median(found.high - found.low))
            yield Cell(*where, name, *shape, method, held, width)


def coverage(
    out: Annotated[Path, typer.Option(help="Folder for the numbers.")],
    repetitions: Annotated[int, typer.Option(min=1, help="Samples of each kind.")] = 2_000,
) -> None:
    """Draw samples of populations, count which intervals hold the truth, print and keep it."""
    cells: list[Cell] = []
    for population, law, *shape in product(fitted(), LAWS, RUNS, WORKLOADS):
        cells += measure(population, law, (shape[0], shape[1]), repetitions)
        problems().print(*astuple(cells[-1])[:3], *shape, markup=False)
    out.mkdir(parents=True, exist_ok=True)
    with (out / RESULT).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([field.name for field in fields(Cell)])
        writer.writerows((*astuple(c)[:-2], f"{c.held:.4f}", f"{c.width:.4g}") for c in cells)
    print_rows([("", "runs", *METHODS), *_summary(cells)])
    results().print(str(out / RESULT), markup=False)


def _summary(cells: list[Cell]) -> Iterator[tuple[str, ...]]:
    """The lowest and the highest share of each law, number of runs and method."""
    for law, runs in product(LAWS, RUNS):
        told = []
        for method in METHODS:
            held = [c.held for c in cells if (c.law, c.runs, c.method) == (law, runs, method)]
            told.append(f"{100 * min(held):.0f} to {100 * max(held):.0f} %")
        yield law, str(runs), *told


def main() -> None:
    """Run the command on this process's arguments."""
    run_command(coverage)


if __name__ == "__main__":
    main()
