"""The live world shows what the simulator shows, of the same history."""

from __future__ import annotations

import heapq
from typing import Any

import numpy as np
import pytest

from edge_marl.draw import draw_workload
from edge_marl.kernel import world as k
from edge_marl.scenario import Scenario, load_scenario
from edge_marl.serving.policy import default_action, instead_of
from edge_marl.serving.world import LiveWorld, Other, Request
from edge_marl.simulator import Simulator
from edge_marl.workload import Workload
from tests.worlds.every_part import FULL

END, FAIL = range(2)


class Side:
    """A simulated episode whose history is told to a live world as it happens."""

    def __init__(self, scenario: Scenario, workload: Workload, gateway: int) -> None:
        self.scenario, self.gateway = scenario, gateway
        self.simulator = Simulator(scenario, num_threads=1)
        self.simulator.load(0, workload)
        self.live = LiveWorld(scenario, workload.topology, gateway, room=512)
        self.numbers: dict[int, int] = {}
        self.events: list[tuple[int, int, int, int]] = []
        outages = workload.outages if workload.outages is not None else ()
        for time, server, duration in outages:
            heapq.heappush(self.events, (int(time), FAIL, int(server), int(time + duration)))

    def tell(self, until: int) -> None:
        """Tell what happened between two decisions."""
        while self.events and self.events[0][0] <= until:
            time, kind, which, end = heapq.heappop(self.events)
            if kind == FAIL:
                self.live.fail(which, time, end)
                self.lose(k.OUTAGE, time)
            elif which in self.numbers:  # else it was lost before
                self.live.leave(self.numbers.pop(which), time)

    def lose(self, status: int, time: int) -> None:
        """Tell which requests were lost, in this way and at this time."""
        tasks = self.simulator.world.tasks[0]
        for row in list(self.numbers):
            if tasks[row, k.STATUS] == status and tasks[row, k.END] == time:
                self.live.leave(self.numbers.pop(row), time)

    def request(self, row: int) -> Request:
        """Return what a task of the workload asks for."""
        w = self.simulator.world
        task = w.tasks[0, row]
        more: dict[str, int] = {}
        if self.scenario.extended:
            details = w.details[0, row]
            more = {
                "deadline_ms": int(details[k.DEADLINE]),
                "load_ms": int(details[k.LOAD_TIME]),
                "upload_kb": int(details[k.UPLOAD]),
                "download_kb": int(details[k.DOWNLOAD]),
            }
        if self.scenario.has_terms:
            more["weight"] = int(w.terms[0, row, k.WEIGHT])
        return Request(int(task[k.TYPE]), int(task[k.DEMAND]), int(task[k.RUN_TIME]), **more)

    def decide(self, rng: np.random.Generator) -> tuple[Any, Any]:
        """Take a decision in both; return what both saw, of a task of the live gateway."""
        simulator, w = self.simulator, self.simulator.world
        row, now = int(simulator.task_shown[0]), int(w.episode[0, k.CLOCK])
        self.tell(now)
        number = self.live.arrive(self.request(row), now)
        self.live.world.tasks[0, number, k.GATEWAY] = w.tasks[0, row, k.GATEWAY]
        theirs = simulator.observations[0].copy(), simulator.feasible[0].copy()
        ours = self.live.look(number, now)
        action = int(rng.choice(np.flatnonzero(theirs[1])))
        expected = self.live.is_closed(number, action), simulator.step_row(0, action)
        self.follow(row, number, action, now, *expected)
        return theirs, ours

    def follow(
        self, row: int, number: int, action: int, now: int, closed: bool, reward: float
    ) -> None:
        """Tell the live world what came of a decision."""
        w = self.simulator.world
        status = w.tasks[0, row, k.STATUS]
        assert closed == (status == k.DENIED)
        if status in (k.ADMITTED, k.CRASHED, k.OUTAGE, k.FAILED):
            assert self.live.chosen(number, action).steps <= w.tasks[0, row, k.DEMAND]
            self.live.send(number, action, now)
            self.numbers[row] = number
            heapq.heappush(self.events, (int(self.live.world.tasks[0, number, k.END]), END, row, 0))
            return
        if status == k.REFUSED:
            server = int(w.tasks[0, row, k.PLACE]) // self.scenario.num_services
            self.live.fail(server, now, now + self.scenario.overload.restart_ms)
            self.lose(k.CRASHED, now)
        self.live.leave(number, now)


def parts(**changes: Any) -> Scenario:
    facts = {**FULL, **changes}
    facts["tasks"] = {**facts["tasks"], "stages": [1]}
    return Scenario.model_validate(facts)


WORLDS = {
    "smoke": load_scenario("smoke"),
    "campus": load_scenario("campus@2"),
    "every part": parts(queue={"limit": 3}, concurrency={"growth": [0.5]}, decline={"price": 0.1}),
    "no lines": parts(),
}


@pytest.mark.parametrize("name", WORLDS)
def test_one_history_shows_the_same_to_both(name: str) -> None:
    scenario = WORLDS[name]
    side = Side(scenario, draw_workload(scenario, 3), gateway=0)
    rng = np.random.default_rng(5)
    for _ in range(400):
        if side.simulator.done[0] != k.GOING_ON:
            break
        (seen, mask), (ours, our_mask) = side.decide(rng)
        np.testing.assert_array_equal(seen, ours)
        np.testing.assert_array_equal(mask, our_mask)
    assert side.simulator.crashes[0] > 0 or scenario.queue


def small(scenario: Scenario = WORLDS["campus"]) -> LiveWorld:
    return LiveWorld(scenario, draw_workload(scenario, 0).topology, room=8)


def shown(world: LiveWorld, name: str, now: int) -> list[float]:
    number = world.arrive(Request(0, 30, 8160), now)
    seen, _ = world.look(number, now)
    world.leave(number, now)
    told: list[float] = world.layout.feature(name, seen).tolist()
    return told


def test_a_task_that_is_late_holds_its_capacity_until_it_is_answered() -> None:
    world = small(WORLDS["smoke"])
    free = shown(world, "server free share", 0)
    number = world.arrive(Request(0, 240, 1000), 0)
    world.send(number, 2, 0)
    held = shown(world, "server free share", 1)
    assert held[1] < free[1]
    assert shown(world, "server free share", 10**6) == held
    world.leave(number, 10**6)
    assert shown(world, "server free share", 10**6) == free


def test_more_than_there_is_room_for_is_shown_as_full() -> None:
    world = small(WORLDS["smoke"])
    numbers = [world.arrive(Request(0, 240, 1000), 0) for _ in range(8)]
    for number in numbers:
        world.send(number, 0, 0)
    assert shown(world, "server free share", 1)[0] == 0
    for number in numbers:
        world.leave(number, 2)
    assert shown(world, "server free share", 2)[0] == 1


def test_the_default_action_goes_where_there_is_room_or_nowhere() -> None:
    world = small(WORLDS["smoke"])
    for server, count in ((0, 5), (1, 2), (2, 2)):  # of 1300, 700 and 600 steps
        for _ in range(count):
            number = world.arrive(Request(0, 240, 1000), 0)
            world.send(number, 2 * server, 0)
            last = number
    number = world.arrive(Request(0, 200, 1000), 1)
    assert default_action(world, number, world.look(number, 1)[0], tried=[2]) == 2
    world.send(number, 2, 1)
    number = world.arrive(Request(0, 200, 1000), 2)
    assert default_action(world, number, world.look(number, 2)[0]) is None
    world.leave(last, 3)
    assert default_action(world, number, world.look(number, 3)[0]) == 4


def test_a_server_that_is_out_of_the_question_is_masked_and_stands_in_for_none() -> None:
    world = small(WORLDS["every part"])
    number = world.arrive(Request(0, 20, 1000), 0)
    observation, mask = world.look(number, 0)
    servers = {
        int(action): world.chosen(number, int(action)).server
        for action in np.flatnonzero(mask)
        if not world.declines(int(action))
    }
    first = min(servers)
    barred = {servers[first]}
    left = set(np.flatnonzero(world.without(mask, barred)).tolist())
    assert left == {a for a in np.flatnonzero(mask).tolist() if servers.get(a) not in barred}
    others = instead_of(world, number, observation, first, barred)
    assert others
    same = world.chosen(number, first)
    for other in others:
        choice = world.chosen(number, other)
        assert (choice.service, choice.steps) == (same.service, same.steps)
        assert choice.server not in barred
    every = set(servers.values())
    assert instead_of(world, number, observation, first, every) == []


def test_a_server_that_is_only_slow_has_what_was_sent_there() -> None:
    for world in (small(WORLDS["smoke"]), small(WORLDS["no lines"])):
        number = world.arrive(Request(0, 20, 10_000), 0)
        _, mask = world.look(number, 0)
        action = int(np.flatnonzero(mask)[0])
        world.send(number, action, 0)
        server = world.chosen(number, action).server
        used = world.world.servers[0, server, k.USED]
        world.fail(server, 1)
        world.recover(server, 2)
        assert world.world.servers[0, server, k.USED] == used > 0
        world.leave(number, 3)
        assert world.world.servers[0, server, k.USED] == 0


def test_a_base_server_that_is_down_is_shown_as_full_and_takes_nothing() -> None:
    world = small(WORLDS["smoke"])
    world.fail(1, 5)
    assert shown(world, "server free share", 6)[1] == 0
    number = world.arrive(Request(0, 100, 1000), 6)
    world.look(number, 6)
    assert [world.is_closed(number, action) for action in range(6)] == [0, 0, 1, 1, 0, 0]
    world.recover(1, 7)
    assert not world.is_closed(number, 2)
    assert shown(world, "server free share", 7)[1] == 1


def test_what_a_server_reports_of_others_is_seen_until_it_reports_again() -> None:
    world = small()
    server = int(world.world.links[0, 0, 0, k.SERVER])
    capacity = int(world.world.servers[0, server, k.CAPACITY])
    others = [Other(0, capacity // 2, 60_000, False), Other(1, capacity, 50_000, True)]
    world.hear(server, [1], others, 10)
    assert shown(world, "server free share", 11)[0] == 1 - (capacity // 2) / capacity
    assert shown(world, "server waiting", 11)[0] > 0
    assert shown(world, "server backlog", 11)[0] > 0
    assert world.world.sites[0, server, k.RESIDENT] == 0b10
    world.hear(server, None, [], 20)
    assert shown(world, "server free share", 21)[0] == 1
    assert shown(world, "server waiting", 21)[0] == 0
    assert len(world._free) == 17


def test_a_place_in_a_line_is_taken_as_soon_as_there_is_room() -> None:
    world = small()
    server = int(world.world.links[0, 0, 0, k.SERVER])
    capacity = int(world.world.servers[0, server, k.CAPACITY])
    hosted = int(np.flatnonzero(world.world.slowdowns[0].reshape(-1, 4)[server])[0])
    action = hosted * 3 + 2
    first, second = (world.arrive(Request(0, capacity, 60_000), 0) for _ in range(2))
    world.send(first, action, 0)
    world.send(second, action, 0)
    assert shown(world, "server waiting", 1)[0] > 0
    world.leave(first, 2)  # long before it was expected
    assert shown(world, "server waiting", 3)[0] == 0
    assert shown(world, "server free share", 3)[0] == 0
    world.leave(second, 4)
    assert shown(world, "server free share", 4)[0] == 1
