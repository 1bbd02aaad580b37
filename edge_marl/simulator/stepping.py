"""Steps of many rows: alone or with threads, whichever is measured to be faster."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from statistics import median
from time import perf_counter_ns
from typing import Any, NamedTuple
from weakref import WeakSet

import numba
import numpy as np
import numpy.typing as npt

from edge_marl.kernel.batch import NOT_BY_ITSELF, SAME_STEP, Outputs, play_rows, step_rows
from edge_marl.kernel.world import ARRAYS, EXTENDED, World
from edge_marl.simulator.crew import Crew, aim, alone
from edge_marl.simulator.restarts import Restarts
from edge_marl.simulator.rows import (
    ENDED,
    HANDED,
    JOB_WORDS,
    LAST_MASKS,
    LAST_SEEN,
    LEFT,
    SOURCE,
    TABLE,
    WHEN,
    address_of_rows,
)

__all__ = ["Pace", "Stepper", "Work"]

ROWS_PER_THREAD = 32
"""Below this many a thread is not even tried."""

ROWS_AT_A_TIME = 16
"""Rows that a thread takes at once: whole cache lines of rewards, and a few us of work."""

TRIALS = 8
"""Steps of each kind that are timed, in turn."""

PERIOD = 2_000
"""Steps from one trial to the next."""

GAIN = 0.95
"""Share of the time alone that a step together must stay below."""

TOO_SLOW = 3.0
"""A step together that takes so many times as long ends the trial: no machine to share on."""

OBSERVATIONS = list(ARRAYS).index("observations")
"""Their row in the table of arrays."""

with_threads: WeakSet[Stepper] = WeakSet()
"""Steppers that have made threads."""


def drop_threads() -> None:
    """Forget all threads: a forked process has none of them, and would wait for them for ever."""
    for stepper in list(with_threads):
        stepper.drop_threads()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=drop_threads)


class Pace:
    """Chooses between two ways to do the same, by their times: tried in turn, now and then."""

    def __init__(self) -> None:
        self.together = False
        """What the last trial found to be faster."""
        self._step = 0
        self._alone: list[int] = []
        self._shared: list[int] = []

    def run(self, alone: Callable[[], None], together: Callable[[], None]) -> None:
        """Do a step one way or the other."""
        step = self._step
        self._step = (step + 1) % PERIOD
        if step >= 2 * TRIALS:
            (together if self.together else alone)()
            return
        shared = step % 2 == 1
        start = perf_counter_ns()
        (together if shared else alone)()
        (self._shared if shared else self._alone).append(perf_counter_ns() - start)
        if shared and self._shared[-1] > TOO_SLOW * median(self._alone):
            self._step = 2 * TRIALS
        if self._step == 2 * TRIALS:
            enough = len(self._shared) == TRIALS
            self.together = enough and median(self._shared) < GAIN * median(self._alone)
            self._alone, self._shared = [], []


class Work(NamedTuple):
    """What a step takes and where it writes: whole arrays, as compiled code wants them."""

    actions: npt.NDArray[np.int64]
    """(E,), or (E, G) in the game."""
    rewards: npt.NDArray[np.float64]
    """Likewise."""
    seen: npt.NDArray[np.float32] | None
    """(E, D), or (E * G, D) in the game: what is seen after the step, if somebody wants it."""
    masks: npt.NDArray[np.int8] | None
    """(E, A), or (E * G, A + 1): what may be chosen then."""


class Stepper:
    """Takes steps in all rows of a simulator.

    Args:
        world: its arrays.
        game: whether gateways play.
        restarts: what next episodes are made of.
        num_threads: at most so many, this one included; None is one per core (or
            `NUMBA_NUM_THREADS` of the environment).
    """

    def __init__(
        self, world: World, game: bool, restarts: Restarts, num_threads: int | None
    ) -> None:
        self._world = world
        self._table = np.zeros((0, 0), dtype=np.int64)
        self._own = self._entry = 0
        """Where the simulator has its observations, and the address of the word of the table that
        says so; that is 0 where no step may change it."""
        self._game, self._restarts = game, restarts
        # The extended model writes all observations anew at each step: at once into what is handed
        # out. The base model keeps them up to date in place, and states of games are made of them.
        self._direct = bool(world.spec[EXTENDED] == 1 and not game)
        self.stale = False
        """Whether the simulator's own observations are of an earlier step than the last one."""
        rows = len(world.episode)
        shown, masks = (world.seen, world.masks) if game else (world.observations, world.feasible)
        self.shapes = shown.shape, masks.shape
        """Of what all rows see and may choose."""
        cores = numba.config.NUMBA_NUM_THREADS
        self._num_threads = min(num_threads or cores, max(1, rows // ROWS_PER_THREAD))
        self.ended = np.zeros(rows, dtype=np.int8)
        """(E,) `kernel.DONE` after the last step, before a next episode began in it."""
        self.left = np.zeros(rows, dtype=np.bool_)
        """(E,) where a next episode should have begun in the last step: the caller has to start
        it."""
        self.last_seen = np.empty((0, shown.shape[1]), dtype=np.float32)
        """What was seen at the end of the episodes that have ended in this step, if the next ones
        have begun in it: other rows are of steps before."""
        self.last_masks = np.empty((0, masks.shape[1]), dtype=np.int8)
        """What could be chosen then."""
        self._by_caller = False
        self.when = NOT_BY_ITSELF
        """When rows whose episode is over start their next one: a rule of `kernel.batch`."""
        self._pace = Pace()
        self._crew: Crew | None = None
        self._begun: Callable[[], None] | None = None
        self._set_job()

    def restart_rows(self, when: int, by_caller: bool = False) -> None:
        """Have rows whose episode is over start their next one.

        Args:
            when: a rule of `kernel.batch`.
            by_caller: whether all of them are `left`, so that the caller sees how they ended.
        """
        self.when, self._by_caller = when, by_caller
        if when == SAME_STEP:
            shown, masks = self.shapes
            self.last_seen = np.zeros(shown, dtype=np.float32)
            self.last_masks = np.zeros(masks, dtype=np.int8)
        self._set_job()

    def bind(self, world: World, table: npt.NDArray[np.int64]) -> None:
        """Work on these arrays, of which there is a table, from now on."""
        # A copy: where it says that observations are, a step may be told to hand them out.
        self._world, self._table, self._own = world, table.copy(), table[OBSERVATIONS, 0]
        self._job[TABLE] = self._table.ctypes.data
        self._entry = self._table[OBSERVATIONS:].ctypes.data if self._direct else 0

    def _set_job(self) -> None:
        """Set the words that stay: who reads them is compiled code (`rows.py`)."""
        job = np.zeros(JOB_WORDS, dtype=np.int64)
        job[TABLE] = self._table.ctypes.data
        job[ENDED], job[LEFT] = self.ended.ctypes.data, self.left.ctypes.data
        if len(self.last_seen):
            job[LAST_SEEN] = self.last_seen.ctypes.data
            job[LAST_MASKS] = self.last_masks.ctypes.data
        job[WHEN] = self.when
        if self.when != NOT_BY_ITSELF and not self._by_caller:
            job[SOURCE] = self._restarts.source(self._num_threads)
        self._job = job
        self.job: int = job.ctypes.data
        """Address of the job (`rows.py`)."""

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is bound to this object's memory, for copies and pickles."""
        bound = ("_job", "job")
        state = {name: value for name, value in self.__dict__.items() if name not in bound}
        return state | {"_crew": None, "_begun": None, "_table": self._table[:0]}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Bind a copy to its own memory; its simulator binds it to the world."""
        self.__dict__.update(state)
        self._set_job()

    def step(self, work: Work) -> None:
        """Take a step in every row, by the way that is faster here."""
        if numba.config.DISABLE_JIT:
            self._step_plainly(work)
            return
        function, job = self._function(), self._prepared(work)
        if self._num_threads == 1:
            alone(function, job, len(self.ended), work.actions, work.rewards)
            return
        crew = self._hire()

        def together() -> None:
            crew.post(function, job, work)
            crew.finish()

        def by_itself() -> None:
            alone(function, job, len(self.ended), work.actions, work.rewards)

        self._pace.run(by_itself, together)

    def begin(self, work: Work) -> None:
        """Start a `step` in other threads, as far as there are any; `finish` has to follow."""
        if numba.config.DISABLE_JIT or self._num_threads == 1:
            self._begun = partial(self.step, work)
            return
        crew = self._hire()
        crew.post(self._function(), self._prepared(work), work)
        self._begun = crew.finish

    def finish(self) -> None:
        """Help with the step that was begun, and return when it is done."""
        begun, self._begun = self._begun, None
        if begun is not None:
            begun()

    def drop_threads(self) -> None:
        """Forget the threads, and a step that they had begun."""
        self._crew = self._begun = None

    def _step_plainly(self, work: Work) -> None:
        """Take a step without a compiler, which has no pointers: next episodes are left."""
        out = Outputs(
            seen=self.last_seen[:0] if work.seen is None else work.seen,
            masks=self.last_masks[:0] if work.masks is None else work.masks,
            last_seen=self.last_seen,
            last_masks=self.last_masks,
            ended=self.ended,
            left=self.left,
            when=self.when,
            source=0,
            table=0,
            thread=0,
        )
        body = play_rows if self._game else step_rows
        body(self._world, 0, len(self.ended), work.actions, work.rewards, out)

    def _function(self) -> int:
        """Return the address of the C function that takes steps in rows."""
        return address_of_rows(self._game, self._restarts.model)

    def _prepared(self, work: Work) -> int:
        """Return the address of the job, which says by now where the step hands out."""
        if work.seen is None or work.masks is None:
            self._job[HANDED] = 0
            self._table[OBSERVATIONS, 0] = self._own
            self.stale = False
        else:
            aim(self.job, self._entry, work.seen, work.masks)
            self.stale = self._direct
        return self.job

    def _hire(self) -> Crew:
        """Return the threads of this process that share the rows."""
        if self._crew is None:
            self._crew = Crew(len(self.ended), self._num_threads, ROWS_AT_A_TIME)
            with_threads.add(self)
        return self._crew
