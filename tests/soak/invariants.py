"""What must hold of a simulator's arrays at any moment, of all its rows at once.

Written from the rules (`docs/model/base.md`, `docs/model/extended.md`): sums and comparisons that
say nothing of how the kernel gets there.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_marl import Workload
from edge_marl.kernel import world as k
from edge_marl.kernel.agenda import ROOT
from edge_marl.kernel.world import World
from edge_marl.layout import ObservationLayout
from edge_marl.scenario import Scenario
from edge_marl.simulator import EpisodeLog, Simulator
from edge_marl.simulator.utility import task_utilities

__all__ = ["check_masks", "check_rows", "check_values"]

RAN = (k.ADMITTED, k.CRASHED, k.FAILED, k.OUTAGE)
"""Fates of tasks that were on a server."""


def check_rows(
    simulator: Simulator,
    part: slice,
    decided: npt.NDArray[np.int64],
    total: npt.NDArray[np.float64],
) -> None:
    """Check some rows.

    Args:
        simulator: at a decision, or at the end of an episode.
        part: the rows, `first:stop`.
        decided: (E,) decisions of each row's episode so far.
        total: (E,) sum of its rewards so far.

    Raises:
        AssertionError: something does not hold.
    """
    w, scenario = part_of(simulator._world, part), simulator.scenario
    check_servers(w, scenario)
    check_fates(w, scenario, decided[part], simulator.in_game)
    check_rewards(w, total[part])
    check_sight(w, simulator.layout)
    if scenario.residency is not None:
        check_models(w, scenario)


def part_of(w: World, part: slice) -> World:
    """Some rows of all arrays, views of them."""
    gateways = w.gateways.shape[1]
    parts = {axis: part for axis in ("E", "X", "Y", "M")}
    parts["M * G"] = slice(part.start * gateways, part.stop * gateways)
    of_rows = {name: parts.get(str(array.axes[0])) for name, array in k.ARRAYS.items()}
    return w._replace(**{name: getattr(w, name)[at] for name, at in of_rows.items() if at})


def tasks_of(w: World) -> npt.NDArray[np.bool_]:
    """(E, N) rows of `tasks` that are of the episode."""
    exist: npt.NDArray[np.bool_] = np.arange(w.tasks.shape[1]) < w.episode[:, k.NUM_TASKS, None]
    return exist


def edge_of(scenario: Scenario) -> slice:
    """Servers without the cloud, where there is one."""
    return slice(None, -1) if scenario.cloud else slice(None)


def check_servers(w: World, scenario: Scenario) -> None:
    """Capacity in use is what the running tasks need, within the capacity; they run until they end.

    Those that wait for their turn are no more than may. The cloud is never full, and keeps no list.
    """
    servers, clock = w.servers, w.episode[:, k.CLOCK]
    used, count = servers[..., k.USED], servers[..., k.NUM_RUNNING]
    listed = np.arange(w.ends.shape[2]) < count[..., None]
    number = np.where(listed, w.running[..., k.TASK], 0)
    rows = np.arange(len(clock))[:, None, None]
    begun = listed
    if scenario.queue is not None:
        begun = listed & (w.terms[rows, number, k.TURN] <= clock[:, None, None])
        waits = (listed & ~begun).sum(axis=-1)
        assert (waits == w.lines[..., k.WAIT]).all(), "those that wait are not those counted"
        assert (waits <= scenario.queue.limit).all(), "more wait than may"
        turns = np.where(listed, w.turns, 0)
        assert (turns == np.where(listed, w.terms[rows, number, k.TURN], 0)).all(), "another turn"
    steps = w.terms[..., k.STEPS] if scenario.has_terms else w.tasks[..., k.DEMAND]
    held = np.where(begun, steps[rows, number], 0).sum(axis=-1)
    assert (used == held).all(), "capacity in use is not what the running tasks need"
    assert (used <= servers[..., k.CAPACITY]).all(), "more capacity in use than there is"
    ends = np.where(listed, w.ends, k.NEVER)
    assert (ends == np.where(listed, w.tasks[rows, number, k.END], k.NEVER)).all(), "another end"
    assert (ends > clock[:, None, None]).all(), "a task runs that is over"
    leaves = w.spec[k.FIRST_LEAF]
    first = ends.min(axis=-1, initial=k.NEVER)
    assert (w.soonest[:, leaves : leaves + first.shape[1]] == first).all(), "another next end"
    assert (w.soonest[:, ROOT] == first.min(axis=-1)).all(), "another next end of all servers"
    status, place = w.tasks[..., k.STATUS], w.tasks[..., k.PLACE]
    runs = tasks_of(w) & (status == k.ADMITTED) & (w.tasks[..., k.END] > clock[:, None])
    server = np.where(runs, place // scenario.num_services, 0)
    if scenario.cloud:
        runs = runs & (server != scenario.num_servers - 1)
    at = rows[:, :, 0] * scenario.num_servers + server
    on = np.bincount(at[runs], minlength=count.size).reshape(count.shape)
    assert (on == count).all(), "the tasks that run are not those of the lists"


def check_fates(
    w: World, scenario: Scenario, decided: npt.NDArray[np.int64], in_game: bool
) -> None:
    """Every decision gives one task its one fate, in its time and at a place; the others wait."""
    exist, clock = tasks_of(w), w.episode[:, k.CLOCK, None]
    status = np.where(exist, w.tasks[..., k.STATUS], k.WAITING)
    place, start, end = (w.tasks[..., column] for column in (k.PLACE, k.START, k.END))
    sent = status != k.WAITING
    assert np.isin(status, range(k.DECLINED + 1)).all(), "a fate without a name"
    assert scenario.decline or not (status == k.DECLINED).any(), "declined where nobody may"
    assert (sent.sum(axis=1) == decided).all(), "decisions are not the tasks that have a fate"
    ran = np.isin(status, RAN)
    placed = ran | np.isin(status, (k.REFUSED, k.DENIED))
    places = scenario.num_servers * scenario.num_services
    assert ((place >= 0) & (place < places))[placed].all(), "a task was sent nowhere"
    assert (start >= w.tasks[..., k.ARRIVAL])[sent].all(), "sent before it arrived"
    assert (start <= clock)[sent].all(), "sent in the future"
    assert (end >= start)[sent].all(), "ended before it was sent"
    admitted = status == k.ADMITTED
    assert (end > start)[admitted].all(), "took no time"
    assert (end <= clock)[sent & ~admitted].all(), "lost in the future"
    crashes = w.servers[..., k.NUM_CRASHES].sum(axis=1)
    assert (crashes == w.episode[:, k.CRASHES]).all(), "crashes of servers are not those of all"
    assert (crashes == (status == k.REFUSED).sum(axis=1)).all(), "a crash without its task"
    dropped = (status == k.DROPPED).sum(axis=1)
    illegal = w.episode[:, k.ILLEGAL]
    assert (illegal >= dropped if in_game else illegal == dropped).all(), "illegal actions"
    if not scenario.extended:
        assert not np.isin(status, (k.DENIED, k.FAILED, k.OUTAGE)).any(), "a fate that is off"
        return
    check_stages(w, status, clock)


def check_stages(w: World, status: npt.NDArray[np.int64], clock: npt.NDArray[np.int64]) -> None:
    """A stage is ready when the one before it has ended well; tasks fail that are to fail."""
    details = w.details
    fails = details[..., k.FAILS] == 1
    assert fails[status == k.FAILED].all(), "failed without a reason"
    over = (status == k.ADMITTED) & (w.tasks[..., k.END] < clock)
    assert not (fails & over).any(), "did not fail"
    later = (status[:, 1:] != k.WAITING) & (details[:, 1:, k.STAGE] > 0)
    assert (status[:, :-1] == k.ADMITTED)[later].all(), "a stage after one that was lost"
    ready = w.tasks[:, 1:, k.ARRIVAL] == w.tasks[:, :-1, k.END]
    assert ready[later].all(), "a stage that was not ready at the end of the one before"
    assert (w.owed <= 0).all(), "a refund that pays"


def check_rewards(w: World, total: npt.NDArray[np.float64]) -> None:
    """Rewards paid are what the log has of its tasks, less what was taken back."""
    exist = tasks_of(w)
    waits = exist & (w.tasks[..., k.STATUS] == k.WAITING)
    assert (w.rewards[waits] == 0).all(), "paid for a task without a decision"
    logged = np.where(exist, w.rewards, 0.0)
    size = np.abs(logged).sum(axis=1) + np.abs(total) + 1
    assert (np.abs(logged.sum(axis=1) - total) <= 1e-9 * size).all(), "rewards are not the log's"


def check_sight(w: World, layout: ObservationLayout) -> None:
    """Observations lie in [0, 1]; of the first server of each neighbourhood they are the truth."""
    game = w.seen.size > 0
    seen, masks = (w.seen, w.masks) if game else (w.observations, w.feasible)
    assert ((seen >= 0) & (seen <= 1)).all(), "an observation outside of [0, 1]"  # no NaN either
    assert ((masks == 0) | (masks == 1)).all(), "a mask of other numbers"
    if layout.extended:
        return
    _, servers, _ = layout.unflatten(seen.reshape(len(w.episode), -1, layout.size))
    capacity, used = w.servers[:, None, :, k.CAPACITY], w.servers[:, None, :, k.USED]
    free = ((capacity - used) / capacity).astype(np.float32)
    assert (servers[..., 1] == free).all(), "free capacity is not what is seen"


def check_models(w: World, scenario: Scenario) -> None:
    """What is in a server's memory fits there, is hosted there, and has all that runs."""
    services, edge = scenario.num_services, edge_of(scenario)
    slowdowns = w.slowdowns.reshape(len(w.slowdowns), -1, services)[:, edge]
    resident = w.sites[:, edge, k.RESIDENT, None] >> np.arange(services) & 1
    needs = (resident * w.needs[:, None]).sum(axis=-1)
    assert (needs <= w.memory[:, edge]).all(), "more models in memory than fit"
    assert (slowdowns > 0)[resident == 1].all(), "a model that is not hosted"
    listed = np.arange(w.ends.shape[2]) < w.servers[:, edge, k.NUM_RUNNING, None]
    rows = np.arange(len(w.episode))[:, None, None]
    model = w.tasks[rows, np.where(listed, w.running[:, edge, :, k.TASK], 0), k.PLACE] % services
    there = np.take_along_axis(resident, np.where(listed, model, 0), axis=-1) == 1
    assert there[listed].all(), "a task runs whose model is not in memory"


def check_masks(simulator: Simulator, row: int, workload: Workload) -> None:
    """What a row's gateways may do is what the workload's servers host, by its own arrays."""
    w, scenario = simulator._world, simulator.scenario
    topology, going_on = workload.topology, w.episode[row, k.DONE] == k.GOING_ON
    hosted, near = topology.hosted, topology.neighbours
    gateways = scenario.gateways.count
    if hosted is None:
        hosted = np.ones((scenario.num_servers, scenario.num_services), np.bool_)
    if near is None:
        near = np.broadcast_to(np.arange(scenario.num_neighbours), (gateways, len(hosted)))
    legal = np.repeat(hosted[near].reshape(gateways, -1), scenario.num_levels, axis=1)
    if scenario.decline is not None:
        legal = np.concatenate([legal, np.ones((gateways, 1), np.bool_)], axis=1)
    if not simulator.in_game:
        if going_on:
            gateway = workload.tasks[w.episode[row, k.SHOWN], k.GATEWAY]
            assert (w.feasible[row] == legal[gateway]).all(), "a mask that is not what is hosted"
        return
    game: Any = simulator
    waits = game.waiting[row]
    masks = game.masks.reshape(-1, gateways, legal.shape[1] + 1)[row]
    assert (masks[:, :-1] == legal * waits[:, None]).all(), "a mask that is not what is hosted"
    assert (masks[:, -1] == (~waits | scenario.clock.hold)).all(), "whether to do nothing is legal"


def check_values(scenario: Scenario, log: EpisodeLog, workload: Workload) -> None:
    """A request of one stage that is served pays its quality, less lateness and its price."""
    tasks, details = log.tasks, log.details
    steps = tasks[:, k.DEMAND] if log.terms is None else log.terms[:, k.STEPS]
    quality = task_utilities(workload.topology, tasks[:, k.TYPE], steps)
    weights = np.full(len(tasks), 1000) if workload.weights is None else workload.weights
    served = tasks[:, k.STATUS] == k.ADMITTED
    if details is not None:
        served &= (details[:, k.STAGE] == 0) & (details[:, k.AFTER] == 0)
    prices = _prices(scenario, workload)
    for i in np.flatnonzero(served):
        place, paid = tasks[i, k.PLACE], quality[i, tasks[i, k.PLACE]]
        if details is not None:
            due = details[i, k.DEADLINE]
            latency = tasks[i, k.END] + details[i, k.RETURN] - tasks[i, k.ARRIVAL]
            late = (latency - due) / due if due else 0.0
            paid = paid * min(1.0, max(0.0, 1.0 - late)) * (weights[i] / 1000)
            paid -= steps[i] * prices[place]
        close = math.isclose(log.rewards[i], paid, rel_tol=1e-12, abs_tol=1e-12)
        assert close, f"task {i} paid {log.rewards[i]}, not {paid}"


def _prices(scenario: Scenario, workload: Workload) -> npt.NDArray[np.float64]:
    """(S * V,) price of a denoising step."""
    price = np.zeros((scenario.num_servers, scenario.num_services))
    if workload.topology.energy is not None:
        price += scenario.energy.weight * workload.topology.energy / 1000
    if scenario.cloud is not None:
        price[-1] += scenario.cloud.price_per_step
    return price.reshape(-1)
