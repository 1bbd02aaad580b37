"""The transition of the simulator: plain Python over flat arrays.

Every API runs these bodies. They carry no decorator and import nothing, so a test can run them as
they are; `compiled.py` compiles them for one environment and for batches. They hold no randomness
and no arithmetic but + - * / and comparisons on float64 and integers, so every machine gives the
same bits. Times are integer milliseconds.

The rules are those of the published environments as executed (ADSAC: commit ed42116, AGOD: commit
188397a). In short, for the task that is shown at its arrival:

1. it is sent to (server, service); it fits if its demand is at most the server's free capacity;
2. if it fits, it runs at once, and its utility is paid at once;
3. if not, the server crashes: all that runs on it is lost, so is the task, and the reward is minus
   the penalty; the server is empty and usable again at once;
4. the clock goes to the next arrival, and tasks whose run time is over leave.

Arrays (E environments, N task rows, S servers, V services per server, K task types):

============  ================  =======  =====================================================
tasks         (E, N, 9)         int64    the workload's five columns, then PLACE .. END
servers       (E, S, 4)         int32    CAPACITY, USED, NUM_RUNNING, NUM_CRASHES
services      (T, S * V, 4+K)   float64  AX .. SLOPE, then the baseline of each type; T topologies
running       (E, S, R, 2)      int32    TASK, HOLDS of each running task, in order of assignment
ends          (E, S, R)         int64    when it ends
soonest       (E, 2 * P)        int64    tree of the earliest ENDS: node i is the minimum of nodes
                                         2 i and 2 i + 1, node P + s is server s (P = 2^n >= S)
episode       (E, 7)            int64    SHOWN .. ILLEGAL
rewards       (E, N)            float64  reward of each task's dispatch
observations  (E, D)            float32  what is seen now, kept up to date in place
spec          (11,)             int64    sizes and rules of the scenario, NUM_SERVERS ..
============  ================  =======  =====================================================

A step touches few cache lines: with a thousand environments that is what its cost consists of.
"""

# Flat arrays are passed one by one: at a call from Python an array costs about 40 ns, a named tuple
# of eight arrays 1.3 us, more than the transition itself.

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]
    ShortInts = npt.NDArray[np.int32]
    Floats = npt.NDArray[np.float64]
    Observations = npt.NDArray[np.float32]

# Columns of `tasks`. The first five are those of `workload.py`, and a test holds them equal.
ARRIVAL, RUN_TIME, DEMAND, TYPE, GATEWAY = range(5)
PLACE = 5  # action the task was sent by: server * V + service; -1 before
STATUS = 6
START = 7  # when it was sent
END = 8  # when it finishes, or when it was lost
NUM_TASK_COLUMNS = 9

# Values of STATUS.
WAITING = 0  # not yet dispatched
ADMITTED = 1  # dispatched and not lost: it runs until END
CRASHED = 2  # was running when its server crashed
REFUSED = 3  # its own dispatch made the server crash
DROPPED = 4  # its gateway took no legal action for it

# Columns of `servers`.
CAPACITY, USED, NUM_RUNNING, NUM_CRASHES = range(4)
NUM_SERVER_COLUMNS = 4

# Columns of `running`: which task, and how much capacity it holds.
TASK, HOLDS = range(2)
NUM_RUNNING_COLUMNS = 2

# Columns of `services`: of the quality curve its ends ax and bx, its rise by - ay and its slope
# (by - ay) / (bx - ax); the baselines of the task types follow.
AX, BX, RISE, SLOPE, BASELINE = range(5)

# Columns of `episode`.
SHOWN, CLOCK, NUM_TASKS, DONE, CRASHES, TOPOLOGY, ILLEGAL = range(7)
NUM_EPISODE_COLUMNS = 7


# Values of DONE.
GOING_ON, TERMINATED, TRUNCATED = range(3)

# Entries of `spec`.
NUM_SERVERS, NUM_SERVICES, NUM_TYPES, END_AT_LAST_TASK, SUM_BY_SERVICE, HORIZON = range(6)
MAX_DEMAND, MAX_RUN_TIME, NUM_GATEWAYS, SLOT, MAY_HOLD = range(6, 11)
NUM_SPEC_ENTRIES = 11

# In `observations`: features of the task besides its type, and of each server.
TASK_FEATURES = 2
SERVER_FEATURES = 2

LOOK_AHEAD = 4  # environments, in `step_rows`

NOWHERE = -1
NEVER = 2**62


def fetch_line(array: npt.NDArray[Any], index: tuple[int, ...]) -> None:
    """Ask for the memory at an index ahead of its use: nothing here, `compiled.py` has its own."""


def task_utility(topology: int, place: int, kind: int, demand: int, services: Floats) -> float:
    """Quality of a service for a task: baseline of the type plus the curve at its demand.

    ADSAC paper's code: 0 below ax, by - ay above bx, linear in between, on top of the baseline.
    Both ends belong to the line. All three are computed and one is picked: a branch here would be
    mispredicted every third time.
    """
    ax = services[topology, place, AX]
    line = services[topology, place, SLOPE] * (demand - ax)
    capped = services[topology, place, RISE] if demand > services[topology, place, BX] else line
    quality = 0.0 if demand < ax else capped
    return float(services[topology, place, BASELINE + kind] + quality)


def note_soonest(e: int, server: int, end: int, soonest: Ints) -> None:
    """Note when the next task of a server ends (NEVER: none runs), up to the root of the tree."""
    node = (soonest.shape[1] >> 1) + server
    soonest[e, node] = end
    node >>= 1
    while node > 0:
        soonest[e, node] = min(soonest[e, 2 * node], soonest[e, 2 * node + 1])
        node >>= 1


def find_soonest(e: int, soonest: Ints) -> int:
    """Return the server whose task ends first (of equals, the lowest number)."""
    leaves: int = soonest.shape[1] >> 1
    node = 1
    while node < leaves:
        node *= 2
        if soonest[e, node] > soonest[e, node + 1]:
            node += 1
    return node - leaves


def start(
    e: int,
    k: int,
    server: int,
    episode: Ints,
    servers: ShortInts,
    tasks: Ints,
    running: ShortInts,
    ends: Ints,
    soonest: Ints,
) -> None:
    """Task k starts to run: it takes capacity and becomes the last of its server's list."""
    at = servers[e, server, NUM_RUNNING]
    end = episode[e, CLOCK] + tasks[e, k, RUN_TIME]
    demand = tasks[e, k, DEMAND]
    running[e, server, at, TASK] = k
    ends[e, server, at] = end
    running[e, server, at, HOLDS] = demand
    servers[e, server, NUM_RUNNING] = at + 1
    servers[e, server, USED] += demand
    tasks[e, k, STATUS] = ADMITTED
    tasks[e, k, END] = end
    if end < soonest[e, (soonest.shape[1] >> 1) + server]:
        note_soonest(e, server, end, soonest)


def finish_on(
    e: int,
    server: int,
    now: int,
    servers: ShortInts,
    running: ShortInts,
    ends: Ints,
    soonest: Ints,
) -> None:
    """The tasks of a server that have ended by now leave; the others stay in order."""
    kept = 0
    used = 0
    next_end = NEVER
    for at in range(servers[e, server, NUM_RUNNING]):
        end = ends[e, server, at]
        if end > now:
            running[e, server, kept, TASK] = running[e, server, at, TASK]
            ends[e, server, kept] = end
            running[e, server, kept, HOLDS] = running[e, server, at, HOLDS]
            used += running[e, server, at, HOLDS]
            next_end = min(next_end, end)
            kept += 1
    servers[e, server, NUM_RUNNING] = kept
    servers[e, server, USED] = used
    note_soonest(e, server, next_end, soonest)


def crash_cost(
    e: int,
    server: int,
    spec: Ints,
    penalty: float,
    episode: Ints,
    servers: ShortInts,
    tasks: Ints,
    running: ShortInts,
) -> float:
    """Cost of a crash: the penalty, and again for each running task times its part still to run.

    The order of summation decides the last bits, and the two published codes differ in it.
    """
    now = episode[e, CLOCK]
    num_services = spec[NUM_SERVICES]
    by_service = spec[SUM_BY_SERVICE] == 1
    cost = penalty
    for service in range(num_services if by_service else 1):
        part = 0.0 if by_service else cost
        for at in range(servers[e, server, NUM_RUNNING]):
            k = running[e, server, at, TASK]
            if not by_service or tasks[e, k, PLACE] % num_services == service:
                progress = (now - tasks[e, k, START]) / tasks[e, k, RUN_TIME]
                part += (1.0 - progress) * penalty
        cost = cost + part if by_service else part
    return cost


def crash(
    e: int,
    server: int,
    episode: Ints,
    servers: ShortInts,
    tasks: Ints,
    running: ShortInts,
    soonest: Ints,
) -> None:
    """The server loses all that runs on it, and is empty and usable at once."""
    for at in range(servers[e, server, NUM_RUNNING]):
        k = running[e, server, at, TASK]
        tasks[e, k, STATUS] = CRASHED
        tasks[e, k, END] = episode[e, CLOCK]
    servers[e, server, USED] = 0
    servers[e, server, NUM_RUNNING] = 0
    servers[e, server, NUM_CRASHES] += 1
    episode[e, CRASHES] += 1
    note_soonest(e, server, NEVER, soonest)


def dispatch(
    e: int,
    k: int,
    action: int,
    spec: Ints,
    penalty: float,
    episode: Ints,
    servers: ShortInts,
    services: Floats,
    tasks: Ints,
    running: ShortInts,
    ends: Ints,
    soonest: Ints,
) -> float:
    """Send task k to a (server, service); return the reward."""
    server = action // spec[NUM_SERVICES]
    tasks[e, k, PLACE] = action
    tasks[e, k, START] = episode[e, CLOCK]
    if tasks[e, k, DEMAND] > servers[e, server, CAPACITY] - servers[e, server, USED]:
        cost = crash_cost(e, server, spec, penalty, episode, servers, tasks, running)
        crash(e, server, episode, servers, tasks, running, soonest)
        tasks[e, k, STATUS] = REFUSED
        tasks[e, k, END] = episode[e, CLOCK]
        return -cost
    start(e, k, server, episode, servers, tasks, running, ends, soonest)
    topology = episode[e, TOPOLOGY]
    return task_utility(topology, action, tasks[e, k, TYPE], tasks[e, k, DEMAND], services)


def show_next(e: int, spec: Ints, episode: Ints, tasks: Ints) -> None:
    """Show the next task and move the clock to its arrival, or end the episode."""
    shown = episode[e, SHOWN] + 1
    num_tasks = episode[e, NUM_TASKS]
    episode[e, SHOWN] = shown
    if shown < num_tasks:
        episode[e, CLOCK] = tasks[e, shown, ARRIVAL]
        if shown == num_tasks - 1 and spec[END_AT_LAST_TASK] == 1:
            episode[e, DONE] = TERMINATED
    else:
        episode[e, CLOCK] = spec[HORIZON]
        episode[e, DONE] = TRUNCATED


def observe_server(
    e: int, server: int, spec: Ints, servers: ShortInts, observations: Observations
) -> None:
    """Write a server's share of free capacity; `layout.ObservationLayout` says what is where."""
    types = spec[NUM_TYPES] if spec[NUM_TYPES] > 1 else 0
    at = types + TASK_FEATURES + SERVER_FEATURES * server + 1
    capacity = servers[e, server, CAPACITY]
    observations[e, at] = (capacity - servers[e, server, USED]) / capacity


def observe_task(
    e: int, k: int, spec: Ints, episode: Ints, tasks: Ints, observations: Observations, row: int
) -> None:
    """Write the type, demand and run time of task k into a row of observations.

    Zeros where there is no such task: k is NOWHERE, or past the last.
    """
    types = spec[NUM_TYPES] if spec[NUM_TYPES] > 1 else 0
    for at in range(types + TASK_FEATURES):
        observations[row, at] = 0.0
    if 0 <= k < episode[e, NUM_TASKS]:
        if types > 1:
            observations[row, tasks[e, k, TYPE]] = 1.0
        observations[row, types] = tasks[e, k, DEMAND] / spec[MAX_DEMAND]
        observations[row, types + 1] = tasks[e, k, RUN_TIME] / spec[MAX_RUN_TIME]


def finish_due(
    e: int,
    spec: Ints,
    episode: Ints,
    servers: ShortInts,
    running: ShortInts,
    ends: Ints,
    soonest: Ints,
    observations: Observations,
) -> None:
    """Let the tasks leave whose run time is over by now."""
    while soonest[e, 1] <= episode[e, CLOCK]:
        server = find_soonest(e, soonest)
        finish_on(e, server, episode[e, CLOCK], servers, running, ends, soonest)
        observe_server(e, server, spec, servers, observations)


def step(
    spec: Ints,
    penalty: float,
    episode: Ints,
    servers: ShortInts,
    services: Floats,
    tasks: Ints,
    rewards: Floats,
    running: ShortInts,
    ends: Ints,
    soonest: Ints,
    observations: Observations,
    e: int,
    action: int,
) -> float:
    """One decision of environment e, in place; return the reward.

    What changes from call to call comes last, so that the rest can be bound once.
    """
    k = episode[e, SHOWN]
    reward = dispatch(
        e, k, action, spec, penalty, episode, servers, services, tasks, running, ends, soonest
    )
    rewards[e, k] = reward
    observe_server(e, action // spec[NUM_SERVICES], spec, servers, observations)
    show_next(e, spec, episode, tasks)
    finish_due(e, spec, episode, servers, running, ends, soonest, observations)
    observe_task(e, episode[e, SHOWN], spec, episode, tasks, observations, e)
    return reward


def prefetch(
    e: int,
    server: int,
    episode: Ints,
    servers: ShortInts,
    tasks: Ints,
    rewards: Floats,
    running: ShortInts,
    ends: Ints,
    soonest: Ints,
    observations: Observations,
) -> None:
    """Ask for the memory that a step of environment e will touch; changes nothing."""
    k = episode[e, SHOWN]
    fetch_line(tasks, (e, k, 0))
    fetch_line(tasks, (e, k + 1, 0))
    fetch_line(rewards, (e, k))
    fetch_line(servers, (e, 0, 0))
    fetch_line(servers, (e, server, 0))
    fetch_line(running, (e, server, 0, 0))
    fetch_line(ends, (e, server, 0))
    fetch_line(soonest, (e, 0))
    fetch_line(soonest, (e, (soonest.shape[1] >> 1) + server))
    fetch_line(observations, (e, 0))
    fetch_line(observations, (e, SERVER_FEATURES * server))


def step_rows(
    spec: Ints,
    penalty: float,
    episode: Ints,
    servers: ShortInts,
    services: Floats,
    tasks: Ints,
    rewards: Floats,
    running: ShortInts,
    ends: Ints,
    soonest: Ints,
    observations: Observations,
    first: int,
    stop: int,
    actions: Ints,
    step_rewards: Floats,
) -> None:
    """One decision of environments first..stop-1; one that has ended stays as it is and gets 0."""
    for e in range(first, stop):
        ahead = min(e + LOOK_AHEAD, stop - 1)
        prefetch(
            ahead,
            actions[ahead] // spec[NUM_SERVICES],
            episode,
            servers,
            tasks,
            rewards,
            running,
            ends,
            soonest,
            observations,
        )
        step_rewards[e] = 0.0
        if episode[e, DONE] == GOING_ON:
            step_rewards[e] = step(
                spec,
                penalty,
                episode,
                servers,
                services,
                tasks,
                rewards,
                running,
                ends,
                soonest,
                observations,
                e,
                actions[e],
            )
