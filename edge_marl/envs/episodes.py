"""Episodes: which one each row plays next, and what can be asked of the one that is played."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode

from edge_marl.envs.arguments import check_options
from edge_marl.envs.futures import go_on_with
from edge_marl.errors import EpisodeOverError, ScenarioError, StateError, WorkloadError, show
from edge_marl.kernel.world import GOING_ON
from edge_marl.metrics import episode_metrics
from edge_marl.render import draw_frame, write_text
from edge_marl.scenario import Scenario
from edge_marl.scenario.section import whole_number
from edge_marl.simulator import EpisodeLog, Simulator
from edge_marl.workload import Workload
from edge_marl.workload.parts import check_seed

__all__ = [
    "RENDER_MODES",
    "STATE_FORMAT",
    "OneEpisode",
    "RowEpisodes",
    "State",
    "check_batch",
    "check_render_mode",
]

RENDER_MODES = ("ansi", "rgb_array")

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


class OneEpisode(ABC):
    """What environments of one episode at a time share: its start, and what can be asked of it."""

    scenario: Scenario
    render_mode: str | None
    _simulator: Simulator
    _episodes: RowEpisodes

    @abstractmethod
    def step(self, action: Any, /) -> Any:
        """Take one step."""

    @abstractmethod
    def _go_on(self, state: State) -> Any:
        """Show what is seen now, where the episode goes on from a state."""

    def _start(self, seed: int | None, options: dict[str, Any] | None) -> None:
        """Start the seed's episode 0, the next one, or the workload in the options."""
        self._episodes.reset(seed, {"workloads": [check_options(options).get("workload")]})

    def save_state(self) -> State:
        """Return where the episode stands, for `restore_state`: opaque, picklable, not used here.

        It holds the true future. What plays from it knows no more than what it sees, but who
        chooses by how that went does; `simulate` is for those.

        Raises:
            EpisodeOverError: before the first reset.
        """
        return self._episodes.state()

    def restore_state(self, state: State, *, workload: Workload | None = None) -> Any:
        """Go on from a state, bit for bit; the episodes after this one are those of its seed.

        Args:
            state: of `save_state`, of any environment of the scenario, or of one row of a batch.
            workload: what is to come in place of what was to (`simulate`).

        Returns:
            What is seen there, as `reset` returns it.

        Raises:
            StateError: it is no state, or one of another scenario or kind of environment.
            WorkloadError: the workload does not fit, or cannot go on from there.
            EpisodeOverError: another future for an episode that is over.
        """
        self._episodes.restore(state, workloads=None if workload is None else [workload])
        return self._go_on(state)

    def clone(self, *, workload: Workload | None = None) -> Self:
        """Return an environment that stands where this one does and shares nothing that changes.

        Args:
            workload: what is to come there in place of what is to come here (`simulate`).
        """
        twin = copy.deepcopy(self, {id(self.scenario): self.scenario})
        if workload is not None:
            twin.restore_state(twin.save_state(), workload=workload)
        return twin

    def simulate(self, actions: Iterable[Any], *, workload: Workload) -> list[Any]:
        """Return what steps from here would return if what is to come were that of a workload.

        The present stays as it is; requests, failures and sleeps that begin after now are the
        workload's, on the same clock, and so is what is not known yet of requests that are here:
        whether they fail, and what their later stages ask for. Nothing of the true future is used.
        Here nothing changes.

        Args:
            actions: what `step` takes, one after the other, as long as the episode goes on.
            workload: drawn from a law that whoever looks ahead believes in.

        Raises:
            ActionError: an action is outside of the action space.
            EpisodeOverError: no episode is going on.
            WorkloadError: the workload does not fit, or cannot go on from here.
        """
        ahead = self.clone(workload=workload)
        steps = []
        for action in actions:
            steps.append(ahead.step(action))
            if ahead._simulator.done[0] != GOING_ON:
                break
        return steps

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
