"""The arrays of the simulator: one table of names, dtypes and axes, and the names of their columns.

The class `World` is that table: what allocates the arrays, hands them to compiled code and takes
them apart reads it (`ARRAYS`). A column, a status or a rule is a whole number with a name.
"""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple, get_args, get_type_hints

import numpy as np
import numpy.typing as npt

# Columns of `tasks`. Of a workload: arrival (ms), run time (ms), demand (denoising steps), type,
# gateway. Of the simulator: where it was sent (server * V + service; -1 before), what became of
# it, when it was sent, and when it finishes or was lost.
ARRIVAL, RUN_TIME, DEMAND, TYPE, GATEWAY = range(5)
NUM_TASK_FIELDS = 5
PLACE, STATUS, START, END = range(5, 9)
NUM_TASK_COLUMNS = 9

# Values of STATUS.
WAITING = 0  # not yet dispatched
ADMITTED = 1  # dispatched and not lost: it runs until END
CRASHED = 2  # was running when its server crashed
REFUSED = 3  # its own dispatch made the server crash
DROPPED = 4  # its gateway took no legal action for it
DENIED = 5  # sent to a server that was down
FAILED = 6  # failed by itself at its end
OUTAGE = 7  # was running when its server failed
DECLINED = 8  # its gateway said no to it

# Columns of `details`. Of a workload: place of the stage in its request, stages after it, deadline
# of the request (ms after its arrival, 0 is none), time to load its model (ms), input (kB), result
# (kB), whether it fails by itself. Of the simulator: the time that its result takes back to the
# gateway, the link it was sent by, and 1 if its model had to be loaded.
STAGE, AFTER, DEADLINE, LOAD_TIME, UPLOAD, DOWNLOAD, FAILS = range(7)
NUM_DETAILS = 7
RETURN, VIA, COLD = range(7, 10)
NUM_DETAIL_COLUMNS = 10

# Columns of `terms`: what the value of the request is multiplied by (thousandths); level that the
# task is done at, and denoising steps of it; when it takes its capacity: before, it waits at its
# server.
WEIGHT, LEVEL, STEPS, TURN = range(4)
NUM_TERMS = 4

# Columns of `lines`: tasks that wait at a server, and when the last of them has its turn; tasks
# that run and wait there, and that turn, as telemetry shows them.
WAIT, LAST_TURN, SEEN_RUNNING, SEEN_WAITING, SEEN_LAST_TURN = range(5)
NUM_LINE_COLUMNS = 5

# Columns of `servers`.
CAPACITY, USED, NUM_RUNNING, NUM_CRASHES = range(4)
NUM_SERVER_COLUMNS = 4

# Columns of `sites`: bits of resident models; end of the down time; 1 if it is among `changed`.
RESIDENT, DOWN_UNTIL, CHANGED = range(3)
NUM_SITE_COLUMNS = 3

# Columns of `telemetry`: capacity as a share of the largest; free share of it, or DOWN; which
# models are warm, as bits, the first HALF of them and the others. All lie in one cache line.
SHARE, FREE, WARM, WARM_TOO = range(4)
NUM_TELEMETRY_COLUMNS = 4
DOWN = -1.0
HALF = 31

# Columns of `models`: when last sent to, when loaded.
LAST_USE, READY = range(2)
NUM_MODEL_COLUMNS = 2

# Columns of `links`.
SERVER, PROPAGATION, US_PER_KB = range(3)
NUM_LINK_COLUMNS = 3

# Columns of `outages`: when (ms), which server, for how long (ms). Those of `sleeps`: of gateways.
TIME, LOCATION, DURATION = range(3)
NUM_OUTAGE_COLUMNS = 3
NUM_SLEEP_COLUMNS = 3

# Columns of `running`: which task, and how much capacity it holds.
TASK, HOLDS = range(2)
NUM_RUNNING_COLUMNS = 2

# Columns of `services`: of the quality curve its ends ax and bx, its rise by - ay and its slope
# (by - ay) / (bx - ax); the baselines of the task types follow.
AX, BX, RISE, SLOPE, BASELINE = range(5)

# Columns of `gateways`: its first task that is not decided on, and the same if it waits there now;
# its first sleep that is not over, and the one after its last.
HEAD, WAITS, SLEEP, SLEEPS_END = range(4)
NUM_GATEWAY_COLUMNS = 4

# Columns of `episode`: of the task that is shown; the clock; tasks and outages of the workload; how
# it ended; crashes; which topology; illegal actions; the next row to arrive; the next outage; the
# agenda's length; the last telemetry tick; whether a service's quality is the same on all servers;
# how many servers are among `changed`; by which gateway's eyes the row sees, and by whose it saw
# when its last episode ended, if the next one has begun in the same step.
SHOWN, CLOCK, NUM_TASKS, DONE, CRASHES, TOPOLOGY, ILLEGAL = range(7)
ARRIVING, NUM_OUTAGES, OUTAGES_PAST, AGENDA, TICK, ALIKE, NUM_CHANGED = range(7, 14)
VIEWER, LAST_VIEWER = range(14, 16)
NUM_EPISODE_COLUMNS = 16

# Values of DONE.
GOING_ON, TERMINATED, TRUNCATED = range(3)

# Entries of `spec`.
NUM_SERVERS, NUM_SERVICES, NUM_TYPES, END_AT_LAST_TASK, SUM_BY_SERVICE, HORIZON = range(6)
MAX_DEMAND, MAX_RUN_TIME, NUM_GATEWAYS, SLOT, MAY_HOLD = range(6, 11)
EXTENDED, NUM_LINKS, RESIDENCY, CLOUD, REFUND, RESTART, PERIOD, MAX_CAPACITY = range(11, 19)
# 1 if there is a network; 1 if servers other than the cloud may have prices; the node of server 0
# in `soonest`.
NETWORK, PRICED, FIRST_LEAF = range(19, 22)
# 1 if there are `terms`; tasks that may wait at a server, 0 where none does; 1 if run times grow
# with what runs beside; levels, 1 if all steps are done; 1 if a gateway may decline; 1 if requests
# have weights.
TERMS, MAX_WAITING, CONCURRENCY, NUM_LEVELS, MAY_DECLINE, WEIGHTED = range(22, 28)
NUM_SPEC_ENTRIES = 28

# Entries of `rates`.
PENALTY, MAX_DEADLINE, MAX_DELAY, MAX_DURATION, ENERGY_WEIGHT, CLOUD_PRICE = range(6)
DECLINE_PRICE, MAX_WEIGHT = range(6, 8)
NUM_RATES = 8

# In `observations`: features of the task besides its type, and of each server.
TASK_FEATURES = 2
SERVER_FEATURES = 2
EXTENDED_TASK_FEATURES = 4
EXTENDED_SERVER_FEATURES = 5
SERVICE_FEATURES = 4
CLASS_FEATURES = 1
QUEUE_FEATURES = 2

NOWHERE = -1
NEVER = 2**62

Ints = npt.NDArray[np.int64]
ShortInts = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]
Observations = npt.NDArray[np.float32]
Masks = npt.NDArray[np.int8]


class World(NamedTuple):
    """All arrays of E environments, each with its axes.

    N task rows, S servers, V services per server (P = S * V places), K task types, G gateways, L
    links (neighbours) each, T topologies, R running tasks per server, F server failures, Z sleeps
    of gateways, D features of an observation, A actions. X is E where the extended model is on, Y
    is E where a part of it is that has terms, and M is E in the game of gateways; they are 0 where
    there is none.
    """

    spec: Annotated[Ints, (NUM_SPEC_ENTRIES,)]
    """Sizes and rules of the scenario, NUM_SERVERS .."""
    rates: Annotated[Floats, (NUM_RATES,)]
    """PENALTY, scales of observations, MAX_DEADLINE .., and prices, ENERGY_WEIGHT .."""
    episode: Annotated[Ints, ("E", NUM_EPISODE_COLUMNS)]
    """SHOWN .. LAST_VIEWER."""
    servers: Annotated[ShortInts, ("E", "S", NUM_SERVER_COLUMNS)]
    """CAPACITY, USED, NUM_RUNNING, NUM_CRASHES."""
    services: Annotated[Floats, ("T", "P", "BASELINE + K")]
    """AX .. SLOPE, then the baseline of each type."""
    tasks: Annotated[Ints, ("E", "N", NUM_TASK_COLUMNS)]
    """The workload's five columns, then PLACE .. END."""
    rewards: Annotated[Floats, ("E", "N")]
    """What each task's dispatch paid, less refunds for it."""
    running: Annotated[ShortInts, ("E", "S", "R", NUM_RUNNING_COLUMNS)]
    """TASK, HOLDS of each running task, in order of assignment."""
    ends: Annotated[Ints, ("E", "S", "R")]
    """When it ends."""
    soonest: Annotated[Ints, ("E", "nodes")]
    """Tree of the earliest ENDS (`agenda.py`); node FIRST_LEAF + s is server s."""
    observations: Annotated[Observations, ("E", "D")]
    """What is seen now. In the base model it is kept up to date in place."""

    details: Annotated[Ints, ("X", "N", NUM_DETAIL_COLUMNS)]
    """The workload's seven columns, then RETURN, VIA, COLD."""
    values: Annotated[Floats, ("X", "N")]
    """What was granted for a task; of a stage with others to follow, the sum of qualities up to
    it."""
    sites: Annotated[Ints, ("X", "S", NUM_SITE_COLUMNS)]
    """RESIDENT .. CHANGED."""
    telemetry: Annotated[Floats, ("X", "S", NUM_TELEMETRY_COLUMNS)]
    """What other gateways see of a server, as of the last tick: SHARE .. WARM_TOO."""
    changed: Annotated[ShortInts, ("X", "S")]
    """The servers that telemetry has to look at when it ticks next."""
    models: Annotated[Ints, ("X", "S", "V", NUM_MODEL_COLUMNS)]
    """LAST_USE, READY."""
    slowdowns: Annotated[ShortInts, ("X", "P")]
    """Run time in thousandths of the reference; 0 where a service is not hosted."""
    needs: Annotated[Ints, ("X", "V")]
    """Memory that a model takes."""
    prices: Annotated[Floats, ("X", "P")]
    """Price of a denoising step; 0 but for the cloud where PRICED is 0."""
    energy: Annotated[Ints, ("X", "P")]
    """Energy of a denoising step in mJ, for logs and prices."""
    memory: Annotated[Ints, ("X", "S")]
    """Memory of each server."""
    links: Annotated[ShortInts, ("X", "G", "L", NUM_LINK_COLUMNS)]
    """SERVER, PROPAGATION, US_PER_KB."""
    outages: Annotated[Ints, ("X", "F", NUM_OUTAGE_COLUMNS)]
    """TIME, LOCATION, DURATION of server failures, in order."""
    agenda: Annotated[Ints, ("X", "N")]
    """Binary heap of what is to come, packed: ends that matter and stages that are ready."""
    owed: Annotated[Floats, ("X", "G + 1")]
    """Refunds of the step, by gateway and in all; never above 0."""
    qualities: Annotated[Floats, ("X", "V")]
    """Scratch: of services for the task that is looked at."""
    levels: Annotated[Ints, ("levels",)]
    """Share of the denoising steps that is done at each level, in thousandths."""
    growth: Annotated[Ints, ("V",)]
    """What each task beside one of a service adds to its run time, in thousandths."""
    terms: Annotated[Ints, ("Y", "N", NUM_TERMS)]
    """WEIGHT .. TURN."""
    turns: Annotated[Ints, ("Y", "S", "R")]
    """When each task of `running` takes its capacity."""
    lines: Annotated[Ints, ("Y", "S", NUM_LINE_COLUMNS)]
    """WAIT .. SEEN_LAST_TURN."""
    judged: Annotated[Floats, ("Y", "V", "levels")]
    """Scratch: as `qualities`, at each level."""
    feasible: Annotated[Masks, ("E", "A")]
    """What the gateway of the shown task may choose."""

    gateways: Annotated[Ints, ("M", "G", NUM_GATEWAY_COLUMNS)]
    """HEAD .. SLEEPS_END."""
    sleeps: Annotated[Ints, ("M", "Z", NUM_SLEEP_COLUMNS)]
    """TIME, LOCATION, DURATION of sleeps, in order of (gateway, time)."""
    followers: Annotated[Ints, ("M", "N")]
    """The next task of the same gateway, or NOWHERE."""
    order: Annotated[Ints, ("M", "G")]
    """Scratch: the gateways that act."""
    seen: Annotated[Observations, ("M * G", "D")]
    """What each gateway sees."""
    masks: Annotated[Masks, ("M * G", "A + 1")]
    """What each gateway may choose."""


class Array(NamedTuple):
    """What `World` says of one array."""

    dtype: Any
    """Scalar type of NumPy's."""
    axes: tuple[str | int, ...]
    """Lengths: a number, or the name of a size."""

    def shape(self, sizes: dict[str, int]) -> tuple[int, ...]:
        """Return the array's shape with these sizes."""
        return tuple(sizes[axis] if isinstance(axis, str) else axis for axis in self.axes)

    @property
    def size(self) -> int:
        """Bytes of an element."""
        return int(np.dtype(self.dtype).itemsize)


def _array(hint: Any) -> Array:
    kind, axes = get_args(hint)
    (dtype,) = get_args(get_args(kind)[1])
    return Array(dtype, axes)


ARRAYS = {name: _array(hint) for name, hint in get_type_hints(World, include_extras=True).items()}
"""The table: every array of `World` by name, in order."""
