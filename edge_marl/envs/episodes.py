"""Episodes: which one each row plays next, and what can be asked of the one that is played."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode

from edge_marl.envs.arguments import check_options
from edge_marl.errors import EpisodeOverError, ScenarioError, WorkloadError
from edge_marl.metrics import episode_metrics
from edge_marl.render import draw_frame, write_text
from edge_marl.scenario import Scenario
from edge_marl.scenario.section import whole_number
from edge_marl.simulator import EpisodeLog, Simulator
from edge_marl.workload import Workload
from edge_marl.workload.parts import check_seed

__all__ = [
    "RENDER_MODES",
    "OneEpisode",
    "RowEpisodes",
    "check_batch",
    "check_render_mode",
]

RENDER_MODES = ("ansi", "rgb_array")


def check_batch(
    num_envs: int, autoreset_mode: AutoresetMode | str, modes: Sequence[AutoresetMode]
) -> tuple[int, AutoresetMode]:
    """Return the number of rows and the autoreset mode of a batch.

    Args:
        num_envs: how many rows.
        autoreset_mode: the mode, or its value as text.
        modes: those that the batch has.

    Raises:
        ScenarioError: not a whole number above 0, or another mode.
    """
    num_envs = whole_number("num_envs", num_envs)
    if num_envs < 1:
        raise ScenarioError(f"num_envs = {num_envs}: must be at least 1")
    for mode in modes:
        if autoreset_mode in (mode, mode.value):
            return num_envs, mode
    names = " or ".join(mode.name for mode in modes)
    raise ScenarioError(f"autoreset_mode = {autoreset_mode}: must be {names}")


def check_single(scenario: Scenario) -> Scenario:
    """Return a scenario that the single environment plays: one on the event clock.

    Raises:
        ScenarioError: if it is in slots.
    """
    if scenario.clock.slot_ms:
        raise ScenarioError(
            f"scenario '{scenario.label}' is a game in slots of {scenario.clock.slot_s:.12g} s: "
            "this environment has one orchestrator, who decides at each arrival; play the game "
            "with edge_aigc_v0.parallel_env or EdgeAIGCRows (edge-marl run --api parallel), or "
            "here the scenario on its event clock (Scenario.on_events)"
        )
    return scenario


class RowEpisodes:
    """Starts episodes in the rows of a simulator; row i of a batch seeded s is seeded s + i.

    Args:
        simulator: whose rows.
    """

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._scenario = simulator.scenario
        self.num_envs = simulator.num_envs
        self._started = np.zeros(self.num_envs, dtype=np.bool_)
        self._all_started = False
        self._restarts = simulator.restarts
        self._seeded = False

    def reset(
        self, seed: int | Sequence[int | None] | None, options: dict[str, Any] | None
    ) -> None:
        """Start an episode in every row, or in those of a mask.

        Args:
            seed: row i starts over with episode 0 of seed + i (or of seed[i]); None plays each
                row's next episode.
            options: `{"reset_mask": bool (E,)}` resets those rows only; `{"workloads": [...]}`
                plays row i's workload, None its next episode; other keys are passed over.

        Raises:
            WorkloadError: wrong number or kind of workloads, seeds or mask.
        """
        wishes = check_options(options)
        rows = self._rows(wishes.get("reset_mask"))
        seeds = self._checked_seeds(seed)
        workloads = self._checked_workloads(wishes.get("workloads"), rows)
        self._reseed(seeds, rows)
        for row in rows:
            self.start(int(row), workloads[row])
        self._started[rows] = True
        self._all_started = bool(self._started.all())

    def check_started(self) -> None:
        """Raise EpisodeOverError unless every row was reset."""
        if not self._all_started:
            raise EpisodeOverError("step was called before every row was reset: call reset() first")

    def check_row(self, row: int) -> None:
        """Raise EpisodeOverError unless the row was reset."""
        if not self._started[row]:
            raise EpisodeOverError(
                "there is nothing to tell of an episode before the first reset: call reset() first"
            )

    def start(self, row: int, workload: Workload | None = None) -> None:
        """Start a row's given workload, or its next episode."""
        if workload is None:
            self._simulator.start(row)
        else:
            self._simulator.load(row, workload)

    def state(self) -> dict[str, Any]:
        """Return where every row stands: text, numbers and arrays.

        Raises:
            EpisodeOverError: before every row was reset.
            WorkloadError: if a row plays a workload that was given: it cannot be drawn again.
        """
        self.check_started()
        if self._restarts.given.any():
            row = int(np.flatnonzero(self._restarts.given)[0])
            raise WorkloadError(
                f"row {row} plays a workload that was given: only episodes drawn from seeds can be "
                "kept; reset the row without options['workloads']"
            )
        return {
            "seeds": [self._restarts.seed(row) for row in range(self.num_envs)],
            "next_episode": self._restarts.episodes.copy(),
            "arrays": self._simulator.snapshot(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Put every row where it stood: its episode is drawn again, then its arrays put back.

        Args:
            state: of as many rows of the same scenario.
        """
        for row, seed in enumerate(state["seeds"]):
            self._restarts.reseed(row, seed)
            self._restarts.episodes[row] = state["next_episode"][row] - 1
            self.start(row)
        self._simulator.restore(state["arrays"])
        self._started[:] = self._all_started = self._seeded = True

    def _rows(self, mask: Any) -> npt.NDArray[np.int64]:
        if mask is None:
            return np.arange(self.num_envs)
        if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_:
            raise WorkloadError(
                f"options['reset_mask'] is {type(mask).__name__}: must be a NumPy array of bool"
            )
        if mask.shape != (self.num_envs,) or not mask.any():
            raise WorkloadError(
                f"options['reset_mask'] has shape {mask.shape} and {int(mask.sum())} rows set: "
                f"must have shape ({self.num_envs},) and at least one"
            )
        return np.flatnonzero(mask)

    def _checked_workloads(
        self, workloads: Sequence[Any] | None, rows: npt.NDArray[np.int64]
    ) -> Sequence[Workload | None]:
        """Return the workload of every row, None where it plays its next episode."""
        workloads = [None] * self.num_envs if workloads is None else workloads
        if not isinstance(workloads, Sequence):
            raise WorkloadError(
                f"options['workloads'] is a {type(workloads).__name__}: must be a list, one per row"
            )
        if len(workloads) != self.num_envs:
            raise WorkloadError(
                f"options['workloads'] has {len(workloads)} entries: must have {self.num_envs}, "
                "one per row (None for a row's next episode)"
            )
        for row in rows:
            workload = workloads[row]
            if workload is None:
                continue
            if not isinstance(workload, Workload):
                raise WorkloadError(
                    f"the workload given for row {row} is a {type(workload).__name__}: must be a "
                    "Workload (edge_marl.load_workload(path) reads one)"
                )
            workload.check_fits(self._scenario)
            workload.check_observable(self._scenario)
        return workloads

    def _checked_seeds(self, seed: int | Sequence[int | None] | None) -> Sequence[int | None]:
        """Return the seed of every row, None where it goes on with the one that it has."""
        if seed is None:
            return [None] * self.num_envs
        if isinstance(seed, Sequence | np.ndarray) and not isinstance(seed, str):
            if len(seed) != self.num_envs:
                raise WorkloadError(
                    f"seed has {len(seed)} entries: must be one number, or {self.num_envs} of them"
                )
            return [None if one is None else check_seed(one) for one in seed]
        first = check_seed(seed)
        return [first + row for row in range(self.num_envs)]

    def _reseed(self, seeds: Sequence[int | None], rows: npt.NDArray[np.int64]) -> None:
        if not self._seeded:
            unseeded = all(seed is None for seed in seeds)
            first = seeding.np_random()[1] if unseeded else 0
            for row in range(self.num_envs):
                self._restarts.reseed(row, first + row)
            self._seeded = True
        for row in rows:
            if (seed := seeds[row]) is not None:
                self._restarts.reseed(int(row), seed)


def check_render_mode(mode: str | None) -> str | None:
    """Return a render mode.

    Raises:
        ScenarioError: if there is no such mode.
    """
    if mode not in (None, *RENDER_MODES):
        raise ScenarioError(
            f"render_mode = {mode!r}: must be None or one of {', '.join(map(repr, RENDER_MODES))}"
        )
    return mode


class OneEpisode:
    """What environments of one episode at a time share: its start, and what can be asked of it."""

    scenario: Scenario
    render_mode: str | None
    _simulator: Simulator
    _episodes: RowEpisodes

    def _start(self, seed: int | None, options: dict[str, Any] | None) -> None:
        """Start the seed's episode 0, the next one, or the workload in the options."""
        self._episodes.reset(seed, {"workloads": [check_options(options).get("workload")]})

    def log(self) -> EpisodeLog:
        """Return what became of every task of the episode so far.

        Raises:
            EpisodeOverError: before the first reset, like `metrics` and `render`.
        """
        self._episodes.check_row(0)
        return self._simulator.log(0)

    def metrics(self) -> dict[str, float]:
        """Return the metrics of the episode so far (`edge_marl.METRICS`)."""
        return episode_metrics(self.log())

    def render(self) -> Any:
        """Return the servers' load as text or as a picture (uint8, H x W x 3), by render mode."""
        if self.render_mode == "ansi":
            return write_text(self.scenario, self.log())
        if self.render_mode == "rgb_array":
            return draw_frame(self.scenario, self.log())
        return None
