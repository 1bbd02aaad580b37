"""An environment of one episode at a time: its start, its states, and what can be asked of it."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, Self

from edge_marl.envs.arguments import check_options
from edge_marl.envs.episodes import RowEpisodes, State
from edge_marl.envs.render import Window, draw_frame, scene_of, write_text
from edge_marl.errors import ScenarioError
from edge_marl.kernel.world import GOING_ON
from edge_marl.metrics import episode_metrics
from edge_marl.scenario import Scenario
from edge_marl.simulator import EpisodeLog, Simulator
from edge_marl.workload import Workload

__all__ = ["RENDER_FPS", "RENDER_MODES", "OneEpisode"]

RENDER_MODES = ("human", "rgb_array", "ansi")
RENDER_FPS = 10


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
    _window: Window | None
    _episodes: RowEpisodes

    @abstractmethod
    def step(self, action: Any, /) -> Any:
        """Take one step."""

    @abstractmethod
    def _go_on(self, state: State) -> Any:
        """Show what is seen now, where the episode goes on from a state."""

    def _start(self, seed: int | None, options: dict[str, Any] | None) -> None:
        """Start the seed's episode 0, the next one, or the workload in the options."""
        workload = check_options(options, "workload").get("workload")
        self._episodes.reset(seed, {"workloads": [workload]})

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
        """Return what there is to see as text or as a picture (uint8, H x W x 3), by render mode.

        With "human" it is shown in a window, as by every reset and step, and None is returned.
        """
        self._episodes.check_row(0)
        if self.render_mode == "ansi":
            return write_text(scene_of(self._simulator))
        if self.render_mode == "rgb_array":
            return draw_frame(scene_of(self._simulator))
        if self._window is not None and not self._window.closed:
            self._window.show(draw_frame(scene_of(self._simulator)))
        return None

    def close(self) -> None:
        """Close the window, if there is one."""
        if self._window is not None:
            self._window.close()

    def _set_render_mode(self, mode: str | None) -> None:
        """Take the render mode.

        Raises:
            ScenarioError: if there is no such mode.
        """
        self.render_mode = check_render_mode(mode)
        self._window = None
        if mode == "human":
            self._window = Window(f"edge-marl: {self.scenario.label}", RENDER_FPS)
