"""The transition of the simulator: plain Python over flat arrays.

Every API runs these bodies. They carry no decorator and import nothing of ours, so a test can run
them as they are; `compiled.py` compiles them for one environment and for batches. They hold no
randomness and no arithmetic but + - * / and comparisons on float64 and integers, so every machine
gives the same bits. Times are integer milliseconds.

The base rules are those of the published environments as executed (ADSAC: commit ed42116, AGOD:
commit 188397a). In short, for the task that is shown at its arrival:

1. it is sent to (server, service); it fits if its demand is at most the server's free capacity;
2. if it fits, it runs at once, and its utility is paid at once;
3. if not, the server crashes: all that runs on it is lost, so is the task, and the reward is minus
   the penalty; the server is empty and usable again at once;
4. the clock goes to the next arrival, and tasks whose run time is over leave.

`docs/extended_model.md` has the rules of the extended model. Its parts are switched by the scenario
(`spec`); where a scenario has none of them (EXTENDED is 0), none of their arrays is touched.

A step touches few cache lines: with a thousand environments that is what its cost consists of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]
    ShortInts = npt.NDArray[np.int32]
    Floats = npt.NDArray[np.float64]
    Observations = npt.NDArray[np.float32]
    Masks = npt.NDArray[np.int8]


class World(NamedTuple):
    """All arrays of E environments.

    N task rows, S servers, V services per server, K task types, G gateways, L links (neighbours)
    each, T topologies. Arrays of the extended model and of the game are empty where there is none.
    """

    spec: Ints
    """(19,) sizes and rules of the scenario, NUM_SERVERS .."""
    rates: Floats
    """(4,) PENALTY, and scales of observations, MAX_DEADLINE .."""
    episode: Ints
    """(E, 13) SHOWN .. ALIKE."""
    servers: ShortInts
    """(E, S, 4) CAPACITY, USED, NUM_RUNNING, NUM_CRASHES."""
    services: Floats
    """(T, S * V, 4 + K) AX .. SLOPE, then the baseline of each type."""
    tasks: Ints
    """(E, N, 9) the workload's five columns, then PLACE .. END."""
    rewards: Floats
    """(E, N) what each task's dispatch paid, less refunds for it."""
    running: ShortInts
    """(E, S, R, 2) TASK, HOLDS of each running task, in order of assignment."""
    ends: Ints
    """(E, S, R) when it ends."""
    soonest: Ints
    """(E, 2 * P) tree of the earliest ENDS: node i is the minimum of nodes 2 i and 2 i + 1, node
    P + s is server s (P = 2^n >= S)."""
    observations: Observations
    """(E, D) what is seen now. In the base model it is kept up to date in place."""

    details: Ints
    """(E, N, 10) the workload's seven columns, then RETURN, VIA, COLD."""
    values: Floats
    """(E, N) what was granted for a task; of a stage with others to follow, the sum of qualities up
    to it."""
    sites: Ints
    """(E, S, 6) RESIDENT .. SEEN_DOWN."""
    models: Ints
    """(E, S, V, 2) LAST_USE, READY."""
    offers: ShortInts
    """(T, S * V, 2) SLOWDOWN, NEEDS."""
    prices: Floats
    """(T, S * V) price of a denoising step."""
    memory: Ints
    """(T, S) memory of each server."""
    links: Ints
    """(T, G, L, 3) SERVER, PROPAGATION, US_PER_KB."""
    outages: Ints
    """(E, F, 3) TIME, LOCATION, DURATION of server failures, in order."""
    agenda: Ints
    """(E, N) binary heap of what is to come, packed: ends that matter and stages that are ready."""
    owed: Floats
    """(E, G + 1) refunds of the step, by gateway and in all; never above 0."""
    qualities: Floats
    """(E, V) scratch: of services for the task that is looked at."""
    feasible: Masks
    """(E, L * V) what the gateway of the shown task may choose."""

    gateways: Ints
    """(E, G, 2) HEAD, WAITS."""
    followers: Ints
    """(E, N) the next task of the same gateway, or NOWHERE."""
    order: Ints
    """(E, G) scratch: the gateways that act."""
    seen: Observations
    """(E * G, D) what each gateway sees."""
    masks: Masks
    """(E * G, L * V + 1) what each gateway may choose."""


# Columns of `tasks`. The first five are those of `workload.py`, and a test holds them equal.
ARRIVAL, RUN_TIME, DEMAND, TYPE, GATEWAY = range(5)
PLACE = 5  # where it was sent: server * V + service; -1 before
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
DENIED = 5  # sent to a server that was down
FAILED = 6  # failed by itself at its end
OUTAGE = 7  # was running when its server failed

# Columns of `details`. The first seven are those of `workload.py`.
STAGE, AFTER, DEADLINE, LOAD_TIME, UPLOAD, DOWNLOAD, FAILS = range(7)
RETURN = 7  # time that its result takes back to the gateway
VIA = 8  # the link it was sent by
COLD = 9  # 1 if its model had to be loaded
NUM_DETAIL_COLUMNS = 10

# Columns of `servers`.
CAPACITY, USED, NUM_RUNNING, NUM_CRASHES = range(4)
NUM_SERVER_COLUMNS = 4

# Columns of `sites`: bits of resident models; end of the down time; the tick since which the server
# has changed, and what it was then (`note_change`).
RESIDENT, DOWN_UNTIL, NOTED_AT, SEEN_USED, SEEN_RESIDENT, SEEN_DOWN = range(6)
NUM_SITE_COLUMNS = 6

# Columns of `models`: when last sent to, when loaded.
LAST_USE, READY = range(2)
NUM_MODEL_COLUMNS = 2

# Columns of `offers`: run time in thousandths of the reference (0: not hosted), memory.
SLOWDOWN, NEEDS = range(2)
NUM_OFFER_COLUMNS = 2

# Columns of `links`.
SERVER, PROPAGATION, US_PER_KB = range(3)
NUM_LINK_COLUMNS = 3

# Columns of `outages`. Those of `workload.py`.
TIME, LOCATION, DURATION = range(3)

# Columns of `running`: which task, and how much capacity it holds.
TASK, HOLDS = range(2)
NUM_RUNNING_COLUMNS = 2

# Columns of `services`: of the quality curve its ends ax and bx, its rise by - ay and its slope
# (by - ay) / (bx - ax); the baselines of the task types follow.
AX, BX, RISE, SLOPE, BASELINE = range(5)

# Columns of `episode`: of the task that is shown; the clock; tasks and outages of the workload; how
# it ended; crashes; which topology; illegal actions; the next row to arrive; the next outage; the
# agenda's length; the last telemetry tick; whether a service's quality is the same on all servers.
SHOWN, CLOCK, NUM_TASKS, DONE, CRASHES, TOPOLOGY, ILLEGAL = range(7)
ARRIVING, NUM_OUTAGES, OUTAGES_PAST, AGENDA, TICK, ALIKE = range(7, 13)
NUM_EPISODE_COLUMNS = 13

# Values of DONE.
GOING_ON, TERMINATED, TRUNCATED = range(3)

# Entries of `spec`.
NUM_SERVERS, NUM_SERVICES, NUM_TYPES, END_AT_LAST_TASK, SUM_BY_SERVICE, HORIZON = range(6)
MAX_DEMAND, MAX_RUN_TIME, NUM_GATEWAYS, SLOT, MAY_HOLD = range(6, 11)
EXTENDED, NUM_LINKS, RESIDENCY, CLOUD, REFUND, RESTART, PERIOD, MAX_CAPACITY = range(11, 19)
NUM_SPEC_ENTRIES = 19

# Entries of `rates`.
PENALTY, MAX_DEADLINE, MAX_DELAY, MAX_DURATION = range(4)
NUM_RATES = 4

# In `observations`: features of the task besides its type, and of each server.
TASK_FEATURES = 2
SERVER_FEATURES = 2
EXTENDED_TASK_FEATURES = 4
EXTENDED_SERVER_FEATURES = 5
SERVICE_FEATURES = 4

# Packing of the agenda: time, then whether it is a decision, then the task's row.
ROW_BITS = 20
KIND_BIT = 1 << 20
TIME_SHIFT = 21

LOOK_AHEAD = 4  # environments, in `step_rows`

NOWHERE = -1
NEVER = 2**62
EMPTY = 2**63 - 1  # after every key of the agenda


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


# What runs on a server, and until when.


def note_soonest(w: World, e: int, server: int, end: int) -> None:
    """Note when the next task of a server ends (NEVER: none runs), up to the root of the tree."""
    node = (w.soonest.shape[1] >> 1) + server
    w.soonest[e, node] = end
    node >>= 1
    while node > 0:
        w.soonest[e, node] = min(w.soonest[e, 2 * node], w.soonest[e, 2 * node + 1])
        node >>= 1


def find_soonest(w: World, e: int) -> int:
    """Return the server whose task ends first (of equals, the lowest number)."""
    leaves: int = w.soonest.shape[1] >> 1
    node = 1
    while node < leaves:
        node *= 2
        if w.soonest[e, node] > w.soonest[e, node + 1]:
            node += 1
    return node - leaves


def start(w: World, e: int, k: int, server: int, end: int) -> None:
    """Task k takes capacity until its end and becomes the last of its server's list."""
    at = w.servers[e, server, NUM_RUNNING]
    demand = w.tasks[e, k, DEMAND]
    w.running[e, server, at, TASK] = k
    w.ends[e, server, at] = end
    w.running[e, server, at, HOLDS] = demand
    w.servers[e, server, NUM_RUNNING] = at + 1
    w.servers[e, server, USED] += demand
    if end < w.soonest[e, (w.soonest.shape[1] >> 1) + server]:
        note_soonest(w, e, server, end)


def finish_on(w: World, e: int, server: int, now: int) -> None:
    """The tasks of a server that have ended by now leave; the others stay in order."""
    kept = 0
    used = 0
    next_end = NEVER
    for at in range(w.servers[e, server, NUM_RUNNING]):
        end = w.ends[e, server, at]
        if end > now:
            w.running[e, server, kept, TASK] = w.running[e, server, at, TASK]
            w.ends[e, server, kept] = end
            w.running[e, server, kept, HOLDS] = w.running[e, server, at, HOLDS]
            used += w.running[e, server, at, HOLDS]
            next_end = min(next_end, end)
            kept += 1
    w.servers[e, server, NUM_RUNNING] = kept
    w.servers[e, server, USED] = used
    note_soonest(w, e, server, next_end)


def finish_due(w: World, e: int) -> None:
    """Let the tasks leave whose run time is over by now."""
    while w.soonest[e, 1] <= w.episode[e, CLOCK]:
        server = find_soonest(w, e)
        note_change(w, e, server)
        finish_on(w, e, server, w.episode[e, CLOCK])
        observe_server(w, e, server)


# Losses.


def crash_cost(w: World, e: int, server: int) -> float:
    """Cost of a crash: the penalty, and again for each running task times its part still to run.

    The order of summation decides the last bits, and the two published codes differ in it.
    """
    now = w.episode[e, CLOCK]
    penalty = w.rates[PENALTY]
    num_services = w.spec[NUM_SERVICES]
    by_service = w.spec[SUM_BY_SERVICE] == 1
    cost = penalty
    for service in range(num_services if by_service else 1):
        part = 0.0 if by_service else cost
        for at in range(w.servers[e, server, NUM_RUNNING]):
            k = w.running[e, server, at, TASK]
            if not by_service or w.tasks[e, k, PLACE] % num_services == service:
                sent = w.tasks[e, k, START]
                progress = (now - sent) / (w.tasks[e, k, END] - sent)
                part += (1.0 - progress) * penalty
        cost = cost + part if by_service else part
    return float(cost)


def take_back(w: World, e: int, k: int) -> None:
    """Refund what was granted for a task that is lost, where the scenario refunds."""
    if w.spec[REFUND] == 1 and w.details[e, k, AFTER] == 0:
        w.rewards[e, k] -= w.values[e, k]
        w.owed[e, w.spec[NUM_GATEWAYS]] -= w.values[e, k]
        w.owed[e, w.tasks[e, k, GATEWAY]] -= w.values[e, k]


def lose_all(w: World, e: int, server: int, status: int) -> None:
    """The server loses all that runs on it, its models too, and is empty."""
    for at in range(w.servers[e, server, NUM_RUNNING]):
        k = w.running[e, server, at, TASK]
        w.tasks[e, k, STATUS] = status
        w.tasks[e, k, END] = w.episode[e, CLOCK]
        if w.spec[EXTENDED] == 1:
            take_back(w, e, k)
    w.servers[e, server, USED] = 0
    w.servers[e, server, NUM_RUNNING] = 0
    note_soonest(w, e, server, NEVER)


def crash(w: World, e: int, server: int) -> None:
    """A server goes down by overload; without a restart time it is usable at once."""
    lose_all(w, e, server, CRASHED)
    w.servers[e, server, NUM_CRASHES] += 1
    w.episode[e, CRASHES] += 1
    if w.spec[EXTENDED] == 1:
        w.sites[e, server, RESIDENT] = 0
        w.sites[e, server, DOWN_UNTIL] = w.episode[e, CLOCK] + w.spec[RESTART]


def lose_unsent(w: World, e: int, k: int, status: int) -> float:
    """Task k is lost without having been on a server; return the reward."""
    w.tasks[e, k, STATUS] = status
    w.tasks[e, k, START] = w.episode[e, CLOCK]
    w.tasks[e, k, END] = w.episode[e, CLOCK]
    if status == DROPPED:
        w.episode[e, ILLEGAL] += 1
    return float(-w.rates[PENALTY])


# Parts of the extended model.


def note_change(w: World, e: int, server: int) -> None:
    """Keep what telemetry shows of a server that is about to change: its state at the last tick."""
    if w.spec[PERIOD] > 0 and w.sites[e, server, NOTED_AT] != w.episode[e, TICK]:
        w.sites[e, server, NOTED_AT] = w.episode[e, TICK]
        w.sites[e, server, SEEN_USED] = w.servers[e, server, USED]
        w.sites[e, server, SEEN_RESIDENT] = w.sites[e, server, RESIDENT]
        w.sites[e, server, SEEN_DOWN] = w.sites[e, server, DOWN_UNTIL]


def is_cloud(w: World, server: int) -> bool:
    """Whether a server is the cloud: the last one, where there is one."""
    return bool(w.spec[CLOUD] == 1 and server == w.spec[NUM_SERVERS] - 1)


def place_of(w: World, e: int, k: int, action: int) -> int:
    """Return the place (server * V + service) of an action of the gateway of task k."""
    if w.spec[EXTENDED] == 0:
        return action
    services = w.spec[NUM_SERVICES]
    link = action // services
    w.details[e, k, VIA] = link
    server = w.links[w.episode[e, TOPOLOGY], w.tasks[e, k, GATEWAY], link, SERVER]
    return int(server * services + action % services)


def memory_of(w: World, e: int, server: int, models: int) -> int:
    """Memory that models, given as bits, take on a server."""
    total = 0
    services = w.spec[NUM_SERVICES]
    for service in range(services):
        if models >> service & 1:
            total += w.offers[w.episode[e, TOPOLOGY], server * services + service, NEEDS]
    return total


def busy_models(w: World, e: int, server: int) -> int:
    """Models that a task of a server runs on, as bits."""
    busy = 0
    for at in range(w.servers[e, server, NUM_RUNNING]):
        k = w.running[e, server, at, TASK]
        busy |= 1 << (w.tasks[e, k, PLACE] % w.spec[NUM_SERVICES])
    return busy


def fits(w: World, e: int, k: int, server: int, service: int) -> bool:
    """Whether a server has the capacity, and the memory, that task k needs there."""
    room = w.tasks[e, k, DEMAND] <= w.servers[e, server, CAPACITY] - w.servers[e, server, USED]
    if w.spec[EXTENDED] == 0:
        return bool(room)
    if is_cloud(w, server):
        return True
    if not room or w.spec[RESIDENCY] == 0 or w.sites[e, server, RESIDENT] >> service & 1:
        return bool(room)
    busy = busy_models(w, e, server) | (1 << service)
    return bool(memory_of(w, e, server, busy) <= w.memory[w.episode[e, TOPOLOGY], server])


def make_room(w: World, e: int, server: int, service: int) -> None:
    """Idle models leave, the least recently used first, until there is memory for one more."""
    needs = 1 << service
    busy = busy_models(w, e, server)
    room = w.memory[w.episode[e, TOPOLOGY], server]
    while memory_of(w, e, server, w.sites[e, server, RESIDENT] | needs) > room:
        oldest = NOWHERE
        for model in range(w.spec[NUM_SERVICES]):
            idle = (w.sites[e, server, RESIDENT] & ~busy) >> model & 1
            if idle and (
                oldest == NOWHERE
                or w.models[e, server, model, LAST_USE] < w.models[e, server, oldest, LAST_USE]
            ):
                oldest = model
        w.sites[e, server, RESIDENT] ^= 1 << oldest


def load_model(w: World, e: int, k: int, server: int, service: int) -> int:
    """Have the model of task k in memory; return when it is ready."""
    now = w.episode[e, CLOCK]
    if w.spec[RESIDENCY] == 0 or is_cloud(w, server):
        return int(now)
    if not w.sites[e, server, RESIDENT] >> service & 1:
        make_room(w, e, server, service)
        w.sites[e, server, RESIDENT] |= 1 << service
        w.models[e, server, service, READY] = now + w.details[e, k, LOAD_TIME]
        w.details[e, k, COLD] = 1
    w.models[e, server, service, LAST_USE] = now
    return int(w.models[e, server, service, READY])


def link_time(w: World, e: int, g: int, link: int, size: int) -> int:
    """Time that `size` kB take over a link, in ms."""
    topology = w.episode[e, TOPOLOGY]
    sending = (size * w.links[topology, g, link, US_PER_KB] + 999) // 1000
    return int(w.links[topology, g, link, PROPAGATION] + sending)


def input_time(w: World, e: int, k: int, link: int) -> int:
    """Time until the input of task k is at the server of a link.

    That of a later stage lies at the server of the stage before and goes through the gateway.
    """
    g = w.tasks[e, k, GATEWAY]
    size = w.details[e, k, UPLOAD]
    time = link_time(w, e, g, link, size)
    if w.details[e, k, STAGE] > 0:
        source = w.details[e, k - 1, VIA]
        if source == link:
            return 0
        time += link_time(w, e, g, source, size)
    return time


def return_time(w: World, e: int, k: int, link: int) -> int:
    """Time that the result of task k takes to its gateway; 0 if a stage follows."""
    if w.details[e, k, AFTER] > 0:
        return 0
    return link_time(w, e, w.tasks[e, k, GATEWAY], link, w.details[e, k, DOWNLOAD])


def slowed(run_time: int, slowdown: int) -> int:
    """Run time with a slowdown in thousandths, rounded up."""
    return (run_time * slowdown + 999) // 1000


def schedule(w: World, e: int, k: int, place: int) -> int:
    """Return when task k, admitted now, ends: after its input, its model and its run."""
    services = w.spec[NUM_SERVICES]
    link = w.details[e, k, VIA]
    ready = load_model(w, e, k, place // services, place % services)
    begin = max(w.episode[e, CLOCK] + input_time(w, e, k, link), ready)
    w.details[e, k, RETURN] = return_time(w, e, k, link)
    slowdown = w.offers[w.episode[e, TOPOLOGY], place, SLOWDOWN]
    return int(begin + slowed(w.tasks[e, k, RUN_TIME], slowdown))


def in_time(w: World, e: int, k: int, value: float) -> float:
    """Value of a request whose last stage is task k: past the deadline D it falls to 0 at 2 D."""
    deadline = w.details[e, k, DEADLINE]
    if deadline == 0:
        return value
    arrival = w.tasks[e, k - w.details[e, k, STAGE], ARRIVAL]
    latency = w.tasks[e, k, END] + w.details[e, k, RETURN] - arrival
    if latency <= deadline:
        return value
    if latency >= 2 * deadline:
        return 0.0
    return float(value * ((2 * deadline - latency) / deadline))


def grant(w: World, e: int, k: int, place: int, quality: float) -> float:
    """Grant the value of a request with its last stage; return it less what the stage costs."""
    stage = w.details[e, k, STAGE]
    value = w.values[e, k - 1] + quality if stage > 0 else quality
    granted = 0.0
    if w.details[e, k, AFTER] == 0:
        if stage > 0:
            value = value / (stage + 1)
        value = in_time(w, e, k, value)
        granted = value
    w.values[e, k] = value
    if w.details[e, k, AFTER] > 0 or w.details[e, k, FAILS] == 1:
        note_ahead(w, e, (w.tasks[e, k, END] << TIME_SHIFT) | k)
    return float(granted - w.tasks[e, k, DEMAND] * w.prices[w.episode[e, TOPOLOGY], place])


# The agenda: a binary heap of packed keys, the smallest first.


def note_ahead(w: World, e: int, key: int) -> None:
    """Put a key on the agenda."""
    at = w.episode[e, AGENDA]
    w.episode[e, AGENDA] = at + 1
    while at > 0 and w.agenda[e, (at - 1) >> 1] > key:
        w.agenda[e, at] = w.agenda[e, (at - 1) >> 1]
        at = (at - 1) >> 1
    w.agenda[e, at] = key


def next_on_agenda(w: World, e: int) -> int:
    """Return the first key of the agenda; EMPTY if there is none."""
    return int(w.agenda[e, 0]) if w.episode[e, AGENDA] > 0 else EMPTY


def strike_first(w: World, e: int) -> None:
    """Take the first key off the agenda."""
    count = w.episode[e, AGENDA] - 1
    w.episode[e, AGENDA] = count
    key = w.agenda[e, count]
    at = 0
    child = 1
    while child < count:
        if child + 1 < count and w.agenda[e, child + 1] < w.agenda[e, child]:
            child += 1
        if w.agenda[e, child] >= key:
            break
        w.agenda[e, at] = w.agenda[e, child]
        at = child
        child = 2 * at + 1
    w.agenda[e, at] = key


# One decision.


def admit(w: World, e: int, k: int, place: int) -> float:
    """Task k starts at a place; return the reward."""
    server = place // w.spec[NUM_SERVICES]
    topology = w.episode[e, TOPOLOGY]
    quality = task_utility(topology, place, w.tasks[e, k, TYPE], w.tasks[e, k, DEMAND], w.services)
    extended = w.spec[EXTENDED] == 1
    end = schedule(w, e, k, place) if extended else w.episode[e, CLOCK] + w.tasks[e, k, RUN_TIME]
    w.tasks[e, k, STATUS] = ADMITTED
    w.tasks[e, k, END] = end
    if not (extended and is_cloud(w, server)):
        start(w, e, k, server, end)
    return grant(w, e, k, place, quality) if extended else quality


def dispatch(w: World, e: int, k: int, action: int) -> float:
    """Send task k to a (server, service) of its gateway; return the reward."""
    place = place_of(w, e, k, action)
    server = place // w.spec[NUM_SERVICES]
    if w.spec[EXTENDED] == 1:
        if w.offers[w.episode[e, TOPOLOGY], place, SLOWDOWN] == 0:
            return lose_unsent(w, e, k, DROPPED)
        if w.sites[e, server, DOWN_UNTIL] > w.episode[e, CLOCK]:
            w.tasks[e, k, PLACE] = place
            return lose_unsent(w, e, k, DENIED)
        note_change(w, e, server)
    w.tasks[e, k, PLACE] = place
    w.tasks[e, k, START] = w.episode[e, CLOCK]
    if fits(w, e, k, server, place % w.spec[NUM_SERVICES]):
        reward = admit(w, e, k, place)
    else:
        reward = -crash_cost(w, e, server)
        crash(w, e, server)
        w.tasks[e, k, STATUS] = REFUSED
        w.tasks[e, k, END] = w.episode[e, CLOCK]
    observe_server(w, e, server)
    return reward


# Between two decisions.


def fail_server(w: World, e: int) -> None:
    """The next server failure of the workload happens."""
    at = w.episode[e, OUTAGES_PAST]
    server = w.outages[e, at, LOCATION]
    until = w.outages[e, at, TIME] + w.outages[e, at, DURATION]
    w.episode[e, OUTAGES_PAST] = at + 1
    note_change(w, e, server)
    lose_all(w, e, server, OUTAGE)
    w.sites[e, server, RESIDENT] = 0
    w.sites[e, server, DOWN_UNTIL] = max(w.sites[e, server, DOWN_UNTIL], until)


def settle(w: World, e: int, until: int) -> None:
    """Tasks leave and servers fail, in order of time, up to a time; the clock is there then."""
    at = w.episode[e, OUTAGES_PAST]
    while at < w.episode[e, NUM_OUTAGES] and w.outages[e, at, TIME] <= until:
        w.episode[e, CLOCK] = max(w.episode[e, CLOCK], w.outages[e, at, TIME])
        finish_due(w, e)
        fail_server(w, e)
        at += 1
    w.episode[e, CLOCK] = until
    finish_due(w, e)


def pass_time(w: World, e: int, until: int) -> None:
    """`settle`, with a telemetry tick on the way where one is due."""
    period = w.spec[PERIOD]
    if period > 0 and until // period * period > w.episode[e, TICK]:
        tick = until // period * period
        settle(w, e, tick)
        w.episode[e, TICK] = tick
    settle(w, e, until)


def complete(w: World, e: int, k: int) -> int:
    """Task k has come to its end; return the stage that this makes ready, or NOWHERE.

    Nothing if the task was lost before.
    """
    if w.tasks[e, k, STATUS] != ADMITTED:
        return NOWHERE
    if w.details[e, k, FAILS] == 1:
        w.tasks[e, k, STATUS] = FAILED
        take_back(w, e, k)
        return NOWHERE
    if w.episode[e, CLOCK] >= w.spec[HORIZON]:
        return NOWHERE
    w.tasks[e, k + 1, ARRIVAL] = w.episode[e, CLOCK]
    return k + 1


def next_arrival(w: World, e: int) -> int:
    """Return the key of the next request that arrives; EMPTY if none is left."""
    k = w.episode[e, ARRIVING]
    if k == w.episode[e, NUM_TASKS]:
        return EMPTY
    return int((w.tasks[e, k, ARRIVAL] << TIME_SHIFT) | KIND_BIT | k)


def arrive(w: World, e: int) -> int:
    """The next request arrives; return its first stage."""
    k = w.episode[e, ARRIVING]
    w.episode[e, ARRIVING] = k + 1 + w.details[e, k, AFTER]
    return int(k)


def end_at_horizon(w: World, e: int) -> None:
    """No decision is left: the episode truncates at the horizon."""
    w.episode[e, SHOWN] = w.episode[e, NUM_TASKS]
    w.episode[e, CLOCK] = w.spec[HORIZON]
    w.episode[e, DONE] = TRUNCATED


def show(w: World, e: int, k: int) -> None:
    """Show task k, and end the episode if it is the last one and is not to be decided on."""
    w.episode[e, SHOWN] = k
    if k == w.episode[e, NUM_TASKS] - 1 and w.spec[END_AT_LAST_TASK] == 1:
        w.episode[e, DONE] = TERMINATED


def show_next(w: World, e: int) -> None:
    """Base model: the clock goes to the next arrival, or the episode ends."""
    k = w.episode[e, SHOWN] + 1
    if k < w.episode[e, NUM_TASKS]:
        w.episode[e, CLOCK] = w.tasks[e, k, ARRIVAL]
        show(w, e, k)
    else:
        end_at_horizon(w, e)
    finish_due(w, e)


def live_on(w: World, e: int) -> None:
    """Extended model: the clock goes to the next decision, with all that happens on the way."""
    while True:
        key = next_on_agenda(w, e)
        arrival = next_arrival(w, e)
        time = min(key, arrival) >> TIME_SHIFT
        if arrival == EMPTY and (key == EMPTY or time > w.spec[HORIZON]):
            pass_time(w, e, max(w.episode[e, CLOCK], w.spec[HORIZON]))
            end_at_horizon(w, e)
            return
        pass_time(w, e, time)
        if arrival < key:
            show(w, e, arrive(w, e))
            return
        strike_first(w, e)
        k = key & (KIND_BIT - 1)
        if key & KIND_BIT:
            show(w, e, k)
            return
        ready = complete(w, e, k)
        if ready != NOWHERE:
            note_ahead(w, e, (time << TIME_SHIFT) | KIND_BIT | ready)


# What is seen.


def observe_server(w: World, e: int, server: int) -> None:
    """Base model: write a server's share of free capacity in place; `layout.py` says where."""
    if w.spec[EXTENDED] == 0:
        types = w.spec[NUM_TYPES] if w.spec[NUM_TYPES] > 1 else 0
        at = types + TASK_FEATURES + SERVER_FEATURES * server + 1
        capacity = w.servers[e, server, CAPACITY]
        w.observations[e, at] = (capacity - w.servers[e, server, USED]) / capacity


def observe_task(w: World, e: int, k: int, seen: Observations, row: int) -> None:
    """Write the type, demand and run time of task k into a row of `seen`.

    Zeros where there is no such task: k is NOWHERE, or past the last.
    """
    types = w.spec[NUM_TYPES] if w.spec[NUM_TYPES] > 1 else 0
    for at in range(types + TASK_FEATURES):
        seen[row, at] = 0.0
    if 0 <= k < w.episode[e, NUM_TASKS]:
        if types > 1:
            seen[row, w.tasks[e, k, TYPE]] = 1.0
        seen[row, types] = w.tasks[e, k, DEMAND] / w.spec[MAX_DEMAND]
        seen[row, types + 1] = w.tasks[e, k, RUN_TIME] / w.spec[MAX_RUN_TIME]


def observe_request(w: World, e: int, k: int, seen: Observations, row: int, at: int) -> None:
    """Write the deadline left of the request of task k, and the stages after it."""
    left = 0.0
    stages = 0.0
    if k != NOWHERE:
        deadline = w.details[e, k, DEADLINE]
        if deadline > 0:
            arrival = w.tasks[e, k - w.details[e, k, STAGE], ARRIVAL]
            left = (arrival + deadline - w.episode[e, CLOCK]) / w.rates[MAX_DEADLINE]
        stages = w.details[e, k, AFTER] / 2
    seen[row, at] = min(max(left, 0.0), 1.0)
    seen[row, at + 1] = stages


def observe_site(
    w: World, e: int, g: int, link: int, k: int, seen: Observations, row: int, at: int
) -> int:
    """Write what gateway g sees of the server of a link; return the models it sees resident."""
    server = w.links[w.episode[e, TOPOLOGY], g, link, SERVER]
    used = w.servers[e, server, USED]
    resident = w.sites[e, server, RESIDENT]
    down_until = w.sites[e, server, DOWN_UNTIL]
    as_of = w.episode[e, CLOCK]
    if w.spec[PERIOD] > 0 and link > 0:
        as_of = w.episode[e, TICK]
        if w.sites[e, server, NOTED_AT] == as_of:
            used = w.sites[e, server, SEEN_USED]
            resident = w.sites[e, server, SEEN_RESIDENT]
            down_until = w.sites[e, server, SEEN_DOWN]
    up = down_until <= as_of
    capacity = w.servers[e, server, CAPACITY]
    free = (capacity - used) / capacity
    delay = 0.0
    source = 0.0
    if k != NOWHERE:
        time = input_time(w, e, k, link) + return_time(w, e, k, link)
        delay = min(time / w.rates[MAX_DELAY], 1.0)
        if w.details[e, k, STAGE] > 0 and w.details[e, k - 1, VIA] == link:
            source = 1.0
    if is_cloud(w, server):
        free = 1.0
    seen[row, at] = capacity / w.spec[MAX_CAPACITY]
    seen[row, at + 1] = free if up else 0.0
    seen[row, at + 2] = 1.0 if up else 0.0
    seen[row, at + 3] = delay
    seen[row, at + 4] = source
    if w.spec[RESIDENCY] == 0 or is_cloud(w, server):
        return NOWHERE  # all bits are set
    return int(resident)


def judge_services(w: World, e: int, server: int, k: int) -> None:
    """Note the quality of each service of a server for task k."""
    topology = w.episode[e, TOPOLOGY]
    services = w.spec[NUM_SERVICES]
    kind = w.tasks[e, k, TYPE]
    demand = w.tasks[e, k, DEMAND]
    for service in range(services):
        place = server * services + service
        w.qualities[e, service] = task_utility(topology, place, kind, demand, w.services)


def observe_services(
    w: World, e: int, server: int, k: int, warm: int, seen: Observations, row: int, at: int
) -> None:
    """Write quality, duration and cost of task k on a server's services, and which are warm."""
    topology = w.episode[e, TOPOLOGY]
    first = server * w.spec[NUM_SERVICES]
    if k == NOWHERE:
        for service in range(w.spec[NUM_SERVICES]):
            hosted = w.offers[topology, first + service, SLOWDOWN] > 0
            for feature in range(SERVICE_FEATURES):
                seen[row, at + feature] = 0.0
            seen[row, at + 2] = 1.0 if hosted and warm >> service & 1 else 0.0
            at += SERVICE_FEATURES
        return
    if w.episode[e, ALIKE] == 0:
        judge_services(w, e, server, k)
    # All is computed for every service and picked afterwards: which ones a server hosts cannot be
    # predicted, and a wrong guess costs more. What does not change is read before the loop.
    demand = w.tasks[e, k, DEMAND]
    run_time = w.tasks[e, k, RUN_TIME]
    longest = w.rates[MAX_DURATION]
    for service in range(w.spec[NUM_SERVICES]):
        slowdown = w.offers[topology, first + service, SLOWDOWN]
        hosted = slowdown > 0
        duration = min(slowed(run_time, slowdown) / longest, 1.0)
        cost = min(demand * w.prices[topology, first + service], 1.0)
        seen[row, at] = w.qualities[e, service] / 2 if hosted else 0.0
        seen[row, at + 1] = duration if hosted else 0.0
        seen[row, at + 2] = 1.0 if hosted and warm >> service & 1 else 0.0
        seen[row, at + 3] = cost if hosted else 0.0
        at += SERVICE_FEATURES


def observe_gateway(
    w: World, e: int, g: int, k: int, seen: Observations, masks: Masks, row: int
) -> None:
    """Extended model: write what gateway g, with task k or NOWHERE, sees, and what is hosted."""
    observe_task(w, e, k, seen, row)
    types = w.spec[NUM_TYPES] if w.spec[NUM_TYPES] > 1 else 0
    services = w.spec[NUM_SERVICES]
    observe_request(w, e, k, seen, row, types + TASK_FEATURES)
    site_at = types + EXTENDED_TASK_FEATURES
    service_at = site_at + EXTENDED_SERVER_FEATURES * w.spec[NUM_LINKS]
    topology = w.episode[e, TOPOLOGY]
    if k != NOWHERE and w.episode[e, ALIKE] == 1:
        judge_services(w, e, 0, k)
    for link in range(w.spec[NUM_LINKS]):
        server = w.links[topology, g, link, SERVER]
        warm = observe_site(w, e, g, link, k, seen, row, site_at)
        observe_services(w, e, server, k, warm, seen, row, service_at)
        for service in range(services):
            hosted = w.offers[topology, server * services + service, SLOWDOWN] > 0
            masks[row, link * services + service] = 1 if hosted else 0
        site_at += EXTENDED_SERVER_FEATURES
        service_at += SERVICE_FEATURES * services


def observe(w: World, e: int) -> None:
    """Write what the orchestrator sees: the task that is shown, by its gateway's eyes."""
    k = w.episode[e, SHOWN]
    if w.spec[EXTENDED] == 0:
        observe_task(w, e, k, w.observations, e)
    elif k < w.episode[e, NUM_TASKS]:
        g = w.tasks[e, k, GATEWAY]
        observe_gateway(w, e, g, k, w.observations, w.feasible, e)
    else:
        observe_gateway(w, e, 0, NOWHERE, w.observations, w.feasible, e)


# Steps.


def step(w: World, e: int, action: int) -> float:
    """One decision of environment e, in place; return the reward."""
    total = w.spec[NUM_GATEWAYS]
    extended = w.spec[EXTENDED] == 1
    if extended:
        w.owed[e, total] = 0.0
    k = w.episode[e, SHOWN]
    reward = dispatch(w, e, k, action)
    w.rewards[e, k] = reward
    if extended:
        live_on(w, e)
        reward += w.owed[e, total]
    else:
        show_next(w, e)
    observe(w, e)
    return reward


def prefetch(w: World, e: int, server: int) -> None:
    """Ask for the memory that a step of environment e will touch; changes nothing."""
    k = w.episode[e, SHOWN]
    fetch_line(w.tasks, (e, k, 0))
    fetch_line(w.tasks, (e, k + 1, 0))
    fetch_line(w.rewards, (e, k))
    fetch_line(w.servers, (e, 0, 0))
    fetch_line(w.servers, (e, server, 0))
    fetch_line(w.running, (e, server, 0, 0))
    fetch_line(w.ends, (e, server, 0))
    fetch_line(w.soonest, (e, 0))
    fetch_line(w.soonest, (e, (w.soonest.shape[1] >> 1) + server))
    fetch_line(w.observations, (e, 0))
    fetch_line(w.observations, (e, SERVER_FEATURES * server))


def step_rows(w: World, first: int, stop: int, actions: Ints, step_rewards: Floats) -> None:
    """One decision of environments first..stop-1; one that has ended stays as it is and gets 0."""
    for e in range(first, stop):
        ahead = min(e + LOOK_AHEAD, stop - 1)
        prefetch(w, ahead, actions[ahead] // w.spec[NUM_SERVICES])
        step_rewards[e] = 0.0
        if w.episode[e, DONE] == GOING_ON:
            step_rewards[e] = step(w, e, actions[e])
