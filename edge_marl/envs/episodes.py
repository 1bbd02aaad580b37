"""Episodes of rows: which one each plays next, and states that they can be saved in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode

from edge_marl.envs.accounts import Accounts
from edge_marl.envs.arguments import check_options
from edge_marl.envs.futures import go_on_with
from edge_marl.errors import EpisodeOverError, ScenarioError, StateError, WorkloadError, show
from edge_marl.scenario import Scenario
from edge_marl.scenario.section import whole_number
from edge_marl.simulator import Simulator
from edge_marl.workload import Workload
from edge_marl.workload.parts import check_seed

__all__ = [
    "STATE_FORMAT",
    "RowEpisodes",
    "State",
    "check_batch",
]

STATE_FORMAT = "edge-marl-state-1"
"""Of saved states: another one where what they hold has changed."""

State = dict[str, Any]
"""A saved state: numbers, text and arrays, in dicts and lists. Only to be kept and restored."""


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
        accounts: of what their steps cost, if anybody asks for it.
    """

    def __init__(self, simulator: Simulator, accounts: Accounts | None = None) -> None:
        self._simulator, self._accounts = simulator, accounts
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
        wishes = check_options(options, "workloads")
        rows = self._rows(wishes.get("reset_mask"))
        seeds = self._checked_seeds(seed)
        workloads = self._checked_workloads(wishes.get("workloads"), rows)
        self._reseed(seeds, rows)
        for row in rows:
            self.start(int(row), workloads[row])
        if self._accounts is not None:
            self._accounts.forget()
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
        if self._accounts is not None:
            self._accounts.begin([row])

    def state(self, rows: Sequence[int] | None = None) -> State:
        """Return where rows (all) stand: text, numbers and arrays, none of which is used here.

        Raises:
            EpisodeOverError: before one of them was reset.
            StateError: there is no such row.
        """
        chosen = self._checked_rows(rows)
        for row in chosen.tolist():
            self.check_row(row)
        return {
            "format": STATE_FORMAT,
            "scenario": self._scenario.digest,
            "label": self._scenario.label,
            "game": self._simulator.in_game,
            "seeds": [self._restarts.seed(row) for row in chosen.tolist()],
            "next_episode": self._restarts.episodes[chosen],
            "arrays": self._simulator.snapshot(chosen),
        }

    def restore(
        self,
        state: State,
        rows: Sequence[int] | None = None,
        workloads: Sequence[Workload | None] | None = None,
    ) -> None:
        """Have rows (all) go on from where those of a state stood.

        Args:
            state: of as many rows as it is restored to, or of one for all of them.
            rows: which rows are to go on from it.
            workloads: one per row, what is to come for it in place of what was (`futures.py`);
                None leaves that.

        Raises:
            StateError: it is no state, one of something else, or of another number of rows.
            WorkloadError: wrong number or kind of workloads, or one that cannot go on from there;
                then the rows stand where those of the state stood.
            EpisodeOverError: another future for an episode that is over; likewise.
        """
        chosen = self._checked_rows(rows)
        self._check_state(state, len(chosen))
        futures = self._checked_futures(workloads, chosen)
        if not self._seeded:  # so are the rows that are not restored
            self._reseed([None] * self.num_envs, chosen)
        for at, row in enumerate(chosen.tolist()):
            of = at % len(state["seeds"])
            self._restarts.reseed(row, state["seeds"][of])
            self._restarts.episodes[row] = state["next_episode"][of]
        self._simulator.restore(state["arrays"], chosen)
        self._started[chosen] = True
        self._all_started = bool(self._started.all())
        for row in chosen.tolist():
            if (future := futures[row]) is not None:
                go_on_with(self._simulator, row, future)
        if self._accounts is not None:
            self._accounts.begin(chosen.tolist())
            self._accounts.forget()

    def _checked_futures(
        self, workloads: Sequence[Workload | None] | None, chosen: npt.NDArray[np.int64]
    ) -> Sequence[Workload | None]:
        """Return what is to come for each of all rows; None where nothing else than what was."""
        if workloads is None:
            return [None] * self.num_envs
        if not isinstance(workloads, Sequence) or len(workloads) != len(chosen):
            raise WorkloadError(
                f"workloads = {show(workloads)}: must be a list of {len(chosen)}, one per row that "
                "is restored (None for the future that it had)"
            )
        futures: list[Workload | None] = [None] * self.num_envs
        for row, workload in zip(chosen.tolist(), workloads, strict=True):
            futures[row] = workload
        return self._checked_workloads(futures, chosen)

    def _checked_rows(self, rows: Sequence[int] | None) -> npt.NDArray[np.int64]:
        if rows is None:
            return np.arange(self.num_envs)
        chosen = np.asarray(rows)
        known = chosen.ndim == 1 and chosen.size > 0 and np.issubdtype(chosen.dtype, np.integer)
        if not known or len(np.unique(chosen)) < len(chosen) or not self._has(chosen):
            raise StateError(
                f"rows = {show(rows)}: must be a list of different whole numbers from 0 to "
                f"{self.num_envs - 1}"
            )
        return chosen.astype(np.int64)

    def _has(self, rows: npt.NDArray[np.integer[Any]]) -> bool:
        return bool((rows >= 0).all() and (rows < self.num_envs).all())

    def _check_state(self, state: Any, count: int) -> None:
        kept = state.get("format") if isinstance(state, dict) else type(state).__name__
        if kept != STATE_FORMAT:
            raise StateError(
                f"the state is {show(kept)}: must be '{STATE_FORMAT}', what `save_state` of this "
                "version of edge-marl returns"
            )
        own, scenario = state["scenario"], self._scenario
        if own != scenario.digest:
            raise StateError(
                f"the state is of scenario '{state['label']}' ({own[:12]}), this environment plays "
                f"'{scenario.label}' ({scenario.digest[:12]}): make it with the scenario that the "
                "state was saved in"
            )
        if state["game"] != self._simulator.in_game:
            kinds = {
                True: "the game of gateways (Parallel, AEC and rows)",
                False: "one orchestrator (EdgeAIGC-v0 and its batch)",
            }
            raise StateError(
                f"the state is of {kinds[state['game']]}, this environment is of "
                f"{kinds[self._simulator.in_game]}: restore it in one of its kind"
            )
        if len(state["seeds"]) not in (1, count):
            raise StateError(
                f"the state is of {len(state['seeds'])} rows, to be restored to {count}: must be "
                "of one row or of as many; `rows` says which"
            )

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
