"""What a decision of the native batch is made of, and what it cannot be made of less.

The kernel is compiled a second time with the writing of observations left out: the difference is
the observation. What the batch takes on top of the kernel is the API; what steps with resets take
on top of the others, the resets. All of it on one thread.
"""

from __future__ import annotations

import inspect
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from types import FunctionType
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_marl import Simulator, draw_workload
from edge_marl.benchmarks.speed.drives import rows_of
from edge_marl.jit import c_function, part
from edge_marl.kernel import observe
from edge_marl.memory import WORDS
from edge_marl.scenario import Scenario
from edge_marl.simulator import rows
from edge_marl.simulator.compiled import compile_bodies, of_model
from edge_marl.simulator.crew import alone

__all__ = ["Kernel", "KernelSample", "Sizes", "sizes_of"]

Ints = npt.NDArray[np.int64]

WORKLOADS = 16
"""Different ones that the rows of a batch play."""
MOST_STEPS = 400
"""Steps of a measurement of the kernel."""
SHARE = 0.6
"""Of an episode that is played at most, so that no row comes to its end."""


@dataclass(frozen=True)
class KernelSample:
    """What a decision takes in the kernel, in ns."""

    transition_ns: float
    observation_ns: float


@dataclass(frozen=True)
class Sizes:
    """Bytes of an environment, and what writing them takes at least."""

    state: int
    """Of all arrays of an environment."""
    observation: int
    """Of what a decision has to write: the observation, the mask and the reward."""
    floor_ns: float
    """For writing the latter: time of a plain copy of a batch of them, per decision."""


class Kernel:
    """A batch's kernel, with and without observations, on random legal actions.

    Args:
        scenario: what is played.
        quick: whether less is played.
    """

    def __init__(self, scenario: Scenario, quick: bool) -> None:
        self.rows = rows_of(scenario, 1, quick)
        self._simulator = Simulator(scenario, self.rows, num_threads=1)
        self._workloads = [draw_workload(scenario, seed) for seed in range(WORKLOADS)]
        requests = scenario.arrivals.rate_per_s * scenario.arrivals.horizon_s
        self._steps = max(2, min(MOST_STEPS, int(SHARE * requests)))
        self._dice = np.random.default_rng(0)
        self._blind_rows = blind_rows(scenario.model)

    def measure(self) -> KernelSample:
        """Play the same steps twice, and some with observations alone left out."""
        simulator, rewards = self._simulator, np.empty(self.rows)
        actions: list[Ints] = []

        def whole(step: int) -> None:
            simulator.step(actions[step], rewards)

        def blind(step: int) -> None:
            # No public call leaves observations out.
            alone(self._blind_rows, simulator.stepper.job, self.rows, actions[step], rewards)

        whole_ns = self._play(whole, lambda: actions.append(self._choose()))
        blind_ns = self._play(blind)
        return KernelSample(min(blind_ns, whole_ns), max(0.0, whole_ns - blind_ns))

    def _play(
        self, step: Callable[[int], None], before: Callable[[], None] = lambda: None
    ) -> float:
        """Return the time of a decision, by a way to take a step of all rows."""
        for row in range(self.rows):
            self._simulator.load(row, self._workloads[row % WORKLOADS])
        times = np.empty(self._steps)
        for at in range(self._steps):
            before()
            start = time.perf_counter_ns()
            step(at)
            times[at] = time.perf_counter_ns() - start
        return float(times.mean()) / self.rows

    def _choose(self) -> Ints:
        """Return random actions, legal ones but for a few."""
        legal, dice = self._simulator.feasible, self._dice
        actions = dice.integers(legal.shape[1], size=self.rows)
        for _ in range(4):
            allowed = np.take_along_axis(legal, actions[:, None], -1)[:, 0] == 1
            actions = np.where(allowed, actions, dice.integers(legal.shape[1], size=self.rows))
        return actions


@cache
def blind_rows(model: str) -> int:
    """Return the address of a model's steps of rows, with nothing where observations are written.

    It is called as `rows.address_of_rows` says.
    """
    writers = {name for name in vars(observe) if name.startswith("observe")}

    def decorate(body: FunctionType) -> Any:
        if body.__name__ in writers:
            body = _nothing_like(body)
        return part(body)

    blind = of_model(rows._step_rows, model, step_rows=compile_bodies(decorate)["step_rows"])
    # Numba keeps it on disk apart from the whole kernel, by its name.
    blind.__qualname__ = f"blind{blind.__qualname__}"
    address: int = c_function(blind, WORDS, error_model="numpy").address
    return address


def _nothing_like(body: FunctionType) -> FunctionType:
    """Return a function of the same name and arguments that does nothing."""
    scope: dict[str, Any] = {}
    exec(f"def {body.__name__}({', '.join(inspect.signature(body).parameters)}): pass", scope)
    nothing: FunctionType = scope[body.__name__]
    return nothing


def sizes_of(scenario: Scenario, quick: bool) -> Sizes:
    """Return the bytes of an environment, and the time of a copy of what a decision writes."""
    rows = rows_of(scenario, 1, quick)
    simulator = Simulator(scenario, rows, num_threads=1)
    size = 4 * simulator.layout.size + scenario.num_actions + 8
    source, target = (np.ones((rows, size), np.uint8) for _ in range(2))
    times = []
    for _ in range(50):
        start = time.perf_counter_ns()
        np.copyto(target, source)
        times.append(time.perf_counter_ns() - start)
    return Sizes(simulator.num_bytes // rows, size, statistics.median(times) / rows)
