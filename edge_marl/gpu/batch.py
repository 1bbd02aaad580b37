"""A batch whose rows live on the device, with the episodes that they play next beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode
from numba import cuda

from edge_marl.draw import draw_workload
from edge_marl.envs.episodes import check_batch, check_single
from edge_marl.errors import ActionError, EpisodeOverError, ScenarioError
from edge_marl.gpu.programs import Marks, can_run, launch, programs
from edge_marl.gpu.rows import DeviceRows, restart, sent
from edge_marl.gpu.stage import Stage
from edge_marl.kernel.world import VIEWER
from edge_marl.scenario import Scenario, load_scenario
from edge_marl.scenario.section import whole_number
from edge_marl.workload import Workload
from edge_marl.workload.parts import check_seed

__all__ = ["CudaBatch", "CudaStep"]

STEP_THREADS = 128

STAGED = 64
"""Rows that are made ready on the host at a time."""


class CudaStep(NamedTuple):
    """What a step gives: arrays on the device, the same ones every time, overwritten by the next.

    `torch.as_tensor(array, device="cuda")` makes a tensor of one without a copy.
    """

    observations: Any
    """(E, D) float32, as `EdgeAIGCVectorEnv`'s."""
    rewards: Any
    """(E,) float64; not a number where the action is outside the action space."""
    done: Any
    """(E,) int8: 0 where the episode goes on, 1 terminated, 2 truncated."""
    action_masks: Any
    """(E, A) int8."""
    agent_index: Any
    """(E,) int64: the gateway of the task, 0 where no task is left."""
    final_observations: Any
    """(E, D) float32: where `done` is set the last observation of the episode that ended."""


class CudaBatch:
    """`num_envs` environments on a GPU; automatic resets happen there. Not run on a GPU.

    Row e plays workloads of seed + e % W. The next episode of each of these W seeds waits on the
    device, and a row that ends starts on it within the step (as `SAME_STEP`). `refill` puts the one
    after it in the place of each that was started on; rows that end before that play the same one.
    With W = E and a `refill` after each step, rows are those of `EdgeAIGCVectorEnv`, bit for bit.

    Nothing waits for the device but `reset`, `refill` and `snapshot`, and nothing looks at actions
    on the host: one outside the action space changes nothing and pays what is not a number.

    Args:
        scenario: a tier's name, the path of a scenario file, or a `Scenario`; none in slots.
        num_envs: number of rows E.
        num_workloads: number of seeds W, from 1 to E; None is E.
        world: another published world of the tier.

    Raises:
        ScenarioError: unknown tier, malformed file or argument, or no GPU.
    """

    def __init__(
        self,
        scenario: str | Path | Scenario = "paper",
        num_envs: int = 1,
        num_workloads: int | None = None,
        world: int | None = None,
    ) -> None:
        self.scenario = check_single(load_scenario(scenario, world))
        self.num_envs, _ = check_batch(
            num_envs, AutoresetMode.SAME_STEP, (AutoresetMode.SAME_STEP,)
        )
        seeds = self.num_envs if num_workloads is None else num_workloads
        self.num_workloads = whole_number("num_workloads", seeds)
        if not 1 <= self.num_workloads <= self.num_envs:
            raise ScenarioError(f"num_workloads = {num_workloads}: must be from 1 to {num_envs}")
        if not can_run():
            raise ScenarioError(
                "CudaBatch needs a GPU and numba-cuda: pip install 'edge-marl[cuda]'"
            )
        self._stage = Stage(self.scenario, min(STAGED, self.num_workloads))
        self._seed = 0
        self._next_episode = np.zeros(self.num_workloads, dtype=np.int64)
        self._pool: DeviceRows | None = None
        self._rows: DeviceRows | None = None
        rows = self.num_envs
        self._marks = Marks(
            rewards=cuda.to_device(np.zeros(rows)),
            done=cuda.to_device(np.zeros(rows, dtype=np.int8)),
            finals=cuda.to_device(np.zeros((rows, self._stage.layout.size), dtype=np.float32)),
            taken=cuda.to_device(np.zeros(self.num_workloads, dtype=np.int8)),
        )
        self._restarts = restart(np.zeros(rows, dtype=np.int64), np.zeros(rows, dtype=np.int64))
        self._turn = 0

    def reset(self, seed: int) -> CudaStep:
        """Start the first episode of its seed in every row.

        Args:
            seed: of row e is seed + e % W.

        Raises:
            WorkloadError: a seed below 0.
        """
        self._seed = check_seed(seed)
        self._next_episode[:] = 0
        every_workload, every_row = np.arange(self.num_workloads), np.arange(self.num_envs)
        self._prepare(every_workload)
        pool, rows = self._started()
        rows.overwrite(pool.parts, restart(every_row, every_row % self.num_workloads))
        self._prepare(every_workload)
        self._marks.taken.copy_to_device(np.zeros(self.num_workloads, dtype=np.int8))
        self._restarts.counts.copy_to_device(np.zeros(2, dtype=np.int64))
        return self._shown(rows)

    def step(self, actions: Any) -> CudaStep:
        """Take one decision in every row; return while the device is still at it.

        Args:
            actions: (E,) int64 on the device: a CUDA tensor of torch, an array of Numba's or of
                CuPy's; what is on the host is sent there.

        Raises:
            ActionError: wrong number or kind of actions.
            EpisodeOverError: before the first reset.
        """
        pool, rows = self._started()
        arguments = (self._on_device(actions), self._marks, self._restarts, self._turn)
        threads = min(STEP_THREADS, self.num_envs)
        blocks = -(-self.num_envs // threads)
        launch(programs().step, blocks, threads, rows.world, *arguments)
        rows.overwrite(pool.parts, self._restarts, self._turn)
        self._turn = 1 - self._turn
        return self._shown(rows)

    def refill(self) -> int:
        """Draw the next episode of each seed whose waiting one was started on; return how many.

        Waits for the steps so far, then draws on the host.

        Raises:
            EpisodeOverError: before the first reset.
        """
        self._started()
        taken = np.flatnonzero(self._marks.taken.copy_to_host())
        if len(taken):
            self._marks.taken.copy_to_device(np.zeros(self.num_workloads, dtype=np.int8))
            self._prepare(taken)
        return len(taken)

    def snapshot(self) -> dict[str, npt.NDArray[Any]]:
        """Return copies on the host of all arrays of `kernel.World` that are in use, by name.

        Raises:
            EpisodeOverError: before the first reset.
        """
        _, rows = self._started()
        return {name: a.copy_to_host() for name, a in rows.world._asdict().items() if a.size}

    @property
    def num_bytes(self) -> int:
        """Memory on the device of all rows and of the workloads that wait.

        Raises:
            EpisodeOverError: before the first reset.
        """
        pool, rows = self._started()
        return pool.num_bytes + rows.num_bytes

    def _prepare(self, seeds: npt.NDArray[np.intp]) -> None:
        """Have the next episodes of some of the W seeds wait on the device."""
        extended = self.scenario.extended
        for first in range(0, len(seeds), STAGED):
            some = seeds[first : first + STAGED]
            world = self._stage.fill([self._draw(int(number)) for number in some])
            if self._pool is None or self._rows is None:
                self._pool = DeviceRows(world, self.num_workloads, extended)
                self._rows = DeviceRows(world, self.num_envs, extended)
            self._pool.fit(world)
            self._rows.fit(world)
            come = sent(world, len(some), extended)
            self._pool.overwrite(come, restart(some, np.arange(len(some))))
        self._next_episode[seeds] += 1

    def _draw(self, number: int) -> Workload:
        episode = int(self._next_episode[number])
        return draw_workload(self.scenario, self._seed + number, episode=episode)

    def _started(self) -> tuple[DeviceRows, DeviceRows]:
        if self._pool is None or self._rows is None:
            raise EpisodeOverError("no episode was started: call reset(seed) first")
        return self._pool, self._rows

    def _on_device(self, actions: Any) -> Any:
        if hasattr(actions, "__cuda_array_interface__"):
            actions = cuda.as_cuda_array(actions)
        elif not hasattr(actions, "__cuda_ndarray__"):
            actions = cuda.to_device(np.asarray(actions))
        if actions.shape != (self.num_envs,) or actions.dtype != np.int64:
            raise ActionError(
                f"actions have shape {tuple(actions.shape)} and type {actions.dtype}: must be "
                f"{self.num_envs} of int64"
            )
        return actions

    def _shown(self, rows: DeviceRows) -> CudaStep:
        marks = self._marks
        seen, masks = rows.world.observations, rows.world.feasible
        viewers = rows.world.episode[:, VIEWER]
        return CudaStep(seen, marks.rewards, marks.done, masks, viewers, marks.finals)
