"""Random episodes of the extended model that provoke every rule.

Every part is on in about half of the scenarios, and often many together. All times are multiples of
one tick, run times are short and there are few servers, so that ends, arrivals, failures, reports
and slots meet each other, deadlines are met to the millisecond, and servers crash for lack of
capacity and of memory.

A seed makes an episode: of such worlds Hypothesis draws the same few again and again, with less in
them. What it would do on a failure, `simplest` does: fewer parts, fewer requests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any
from zlib import crc32

import numpy as np
from hypothesis import strategies as st

from edge_marl.scenario import Scenario
from edge_marl.workload import Workload
from edge_marl.workload.topology import Topology
from tests.worlds.extended_episode import ExtendedEpisode
from tests.worlds.strategies import GRID

PARTS = (
    "cloud",
    "deadlines",
    "devices",
    "energy",
    "failing tasks",
    "neighbourhood",
    "network",
    "outages",
    "refund",
    "residency",
    "restart",
    "stages",
    "telemetry",
    "classes",
    "concurrency",
    "decline",
    "levels",
    "queue",
    "sleep",
)
FOR_MEMORY = ("cloud", "failing tasks", "neighbourhood", "outages", "restart", "stages")
"""Off in episodes about memory: with them, a server is seldom full of idle models."""
FOR_LINES = ("cloud", "decline", "neighbourhood", "restart", "stages")
"""Off in episodes about lines: with them, tasks seldom wait."""
TWO_SECONDS_A_STEP = (0.0, 1 / 30, 0.0)  # minutes: no request is longer
DEMANDS = (1, 2, 3)
SLOWDOWNS = (1000, 2000, 500, 1500, 333, 1001)
US_PER_KB = (1, 333, 500, 1000)
WEIGHTS = (1.0, 0.25, 3.0)
LEVELS = ((0.5, 1.0), (0.34, 0.75, 1.0), (0.001, 1.0))


@dataclass(frozen=True)
class Recipe:
    """What an episode is made from."""

    seed: int
    slotted: bool = False
    rows: int = 1
    """Number of workloads."""
    always: tuple[str, ...] = ()
    """Parts that are on; others are so by chance."""
    never: tuple[str, ...] = ()
    """Parts that are off."""
    most: int = 24
    """Requests that a workload has at most: the first ones."""
    crowded: bool = False
    """Whether requests come thick and fast to one small server, so that they wait."""

    def episode(self) -> ExtendedEpisode:
        """Make it."""
        return Drawing(self).episode()


def episodes(rows: int = 1, **more: Any) -> st.SearchStrategy[ExtendedEpisode]:
    """Episodes on either clock, for Hypothesis."""
    return st.builds(
        lambda seed, slotted: Recipe(seed, slotted, rows, **more).episode(),
        st.integers(0, 2**32 - 1),
        st.booleans(),
    )


def simplest(recipe: Recipe, fails: Callable[[Recipe], bool]) -> Recipe:
    """A recipe that fails too, with as few parts and requests as dropping them one by one finds."""
    for simpler in simpler_ones(recipe):
        if fails(simpler):
            return simplest(simpler, fails)
    return recipe


def simpler_ones(recipe: Recipe) -> Iterator[Recipe]:
    """Recipes of less."""
    yield from (
        replace(recipe, most=most) for most in (1, 2, 3, 5, 8, 12, 16) if most < recipe.most
    )
    for part in sorted(Drawing(recipe).parts - {*recipe.always, *recipe.never}):
        yield replace(recipe, never=(*recipe.never, part))


class Drawing:
    """Draws an episode. Every thing has a generator of its own, so that one shifts no other's."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        dice = self.dice("parts")
        drawn = {part for part in PARTS if dice.random() < 0.5}
        parts = (drawn | set(recipe.always)) - set(recipe.never)
        if "residency" in parts:
            parts.add("devices")  # it is theirs
        if not recipe.slotted:
            parts.discard("sleep")
        self.parts = parts
        dice = self.dice("sizes")
        self.tick = int(dice.choice([1, 1000]))  # ms
        self.edge_servers = 1 if recipe.crowded else int(dice.choice([1, 2, 3]))
        several = "residency" in parts  # else nothing competes for memory
        self.services = int(dice.choice([1, 2, 3, 3, 4]) if not several else dice.choice([2, 3, 4]))
        self.types = int(dice.choice([1, 2]))
        self.gateways = int(dice.choice([1, 2, 3]))
        self.slot = int(dice.choice([1, 2, 3, 5])) if recipe.slotted else 0  # ticks
        self.horizon = int(dice.choice([self.slot + 16, 40, 80, 120, 200]))  # ticks
        self.servers = self.edge_servers + ("cloud" in parts)
        near = int(dice.integers(self.servers)) + 1
        self.neighbours = near if "neighbourhood" in parts else self.servers

    def dice(self, name: str, row: int = 0) -> np.random.Generator:
        """The generator of something."""
        return np.random.default_rng([self.recipe.seed, crc32(name.encode()), row])

    def seconds(self, ticks: Any) -> float:
        """So many ticks."""
        return int(ticks) * self.tick / 1000

    def episode(self) -> ExtendedEpisode:
        """All of it."""
        scenario = self.scenario()
        workloads = [self.workload(scenario, row) for row in range(self.recipe.rows)]
        return ExtendedEpisode(scenario, workloads, self.choices())

    # ------------------------------------------------------------ scenario

    def scenario(self) -> Scenario:
        """The sections; those of parts that are off are left out."""
        dice = self.dice("scenario")
        facts: dict[str, Any] = {
            "name": "random-world",
            "version": 1,
            "summary": "drawn by a test",
            "servers": self.section_servers(),
            "tasks": self.section_tasks(),
            "arrivals": {"rate_per_s": 0.1, "horizon_s": self.seconds(self.horizon)},
            "gateways": {
                "count": self.gateways,
                "neighbourhood": self.neighbours if "neighbourhood" in self.parts else 0,
                "area_km": [(1.0, 1.0), (3.0, 4.0)][dice.integers(2)],
                "sleep": {"awake_s": 20.0, "asleep_s": 5.0} if "sleep" in self.parts else None,
            },
            "overload": self.section_overload(),
            "episode": {"end": self.end},
            "clock": {
                "slot_s": self.seconds(self.slot),
                "hold": bool(self.slot and dice.random() < 0.5),
            },
        }
        optional = {
            "network": self.section_network(),
            "residency": {"load": [{"share": 1.0, "median_s": 1.0, "sd_log": 0.0}]},
            "cloud": self.section_cloud(),
            "outages": {"every_s": 100.0, "repair_s": 1.0},
            "telemetry": {"period_s": self.seconds(dice.choice([1, 2, 3, 5, 50]))},
            "energy": {"weight": float(dice.choice([0.0, 0.001, 0.1, 3.0]))},
            **self.sections_of_terms(),
        }
        facts |= {name: section for name, section in optional.items() if name in self.parts}
        return Scenario.model_validate(facts)

    @property
    def end(self) -> str:
        """How the episode ends."""
        last_task = "stages" not in self.parts and self.dice("end").random() < 0.5
        return "last-task" if last_task else "horizon"

    def section_servers(self) -> dict[str, Any]:
        """Sizes, and the scales of what is seen."""
        dice, s, v = self.dice("servers"), self.edge_servers, self.services
        capacity = [20, *dice.integers(1, 9, s - 1).tolist()]  # the largest that `topology` has
        if "devices" in self.parts:
            slow = dice.choice([1.0, 0.5, 2.5], v + 1).tolist()
            device = {"name": "device", "capacity": capacity, "slowdown": slow[v]}
            models = [{"name": f"model {i}", "slowdown": slow[i]} for i in range(v)]
            return {"law": "devices", "count": s, "devices": [device], "models": models}
        return {
            "law": "given",
            "capacity": capacity,
            "baseline": [[[0.5] * self.types] * v] * s,
            "curve": [[(0.0, 0.0, 2.0, 0.5)] * v] * s,
        }

    def section_tasks(self) -> dict[str, Any]:
        """What they may have."""
        dice = self.dice("tasks")
        facts: dict[str, Any] = {
            "types": self.types,
            "demand": DEMANDS,
            "run_time_minutes": TWO_SECONDS_A_STEP,
            "upload_kb": (0, int(dice.choice([0, 2])) * self.tick),
            "download_kb": (0, int(dice.choice([0, 1])) * self.tick),
        }
        stages, deadline = int(dice.choice([2, 3])), self.seconds(dice.choice([3, 8]))
        if "stages" in self.parts:
            facts["stages"] = [1.0] * stages
        if "deadlines" in self.parts:
            facts["deadline_s"] = [deadline] * self.types
        if "failing tasks" in self.parts:
            facts["fail_share"] = 0.1
        if "classes" in self.parts:
            facts["classes"] = [{"name": f"{w}", "weight": w} for w in WEIGHTS]
        return facts

    def section_overload(self) -> dict[str, Any]:
        """What a crash costs."""
        dice = self.dice("overload")
        restart = self.seconds(dice.choice([1, 2, 5]))
        return {
            "penalty": float(dice.choice([2.0, 2.0, 0.7, 0.0])),
            "loss_sum": str(dice.choice(["by-service", "in-order"])),
            "refund": "refund" in self.parts,
            "restart_s": restart if "restart" in self.parts else 0.0,
        }

    def section_network(self) -> dict[str, Any]:
        """The scale of delays; delays themselves are the topology's."""
        dice = self.dice("network")
        return {
            "latency_ms": int(dice.choice([0, 1, 2])) * self.tick,
            "ms_per_km": float(dice.choice([0.0, 0.3])),
            "bandwidth_mbit": [(8.0, 8.0), (24.0, 100.0)][dice.integers(2)],
        }

    def section_cloud(self) -> dict[str, Any]:
        """Its price, and its part in the scales."""
        dice = self.dice("cloud")
        return {
            "price_per_step": float(dice.choice([0.0, 0.01, 0.3])),
            "slowdown": float(dice.choice([1.0, 0.5, 2.0])),
            "latency_ms": int(dice.choice([0, 3])) * self.tick,
            "bandwidth_mbit": float(dice.choice([4.0, 1000.0])),
        }

    def sections_of_terms(self) -> dict[str, Any]:
        """Lines at servers, what runs beside, levels and saying no."""
        dice = self.dice("terms")
        growth = dice.choice([0.0, 0.1, 0.333, 1.0], self.services if dice.random() < 0.5 else 1)
        return {
            "queue": {"limit": int(dice.choice([1, 2, 3]))},
            "concurrency": {"growth": growth.tolist()},
            "levels": {"shares": LEVELS[dice.integers(len(LEVELS))]},
            "decline": {"price": float(dice.choice([0.0, 0.05, 0.3]))},
        }

    # ------------------------------------------------------------ workload

    def workload(self, scenario: Scenario, row: int) -> Workload:
        """One workload; what the scenario does not have is not in it."""
        tasks, details = self.requests(row)
        outages = self.outages(row) if "outages" in self.parts else None
        topology = self.topology(scenario.extended, row)
        weights = self.weights(details, row) if "classes" in self.parts else None
        details = details if scenario.extended else None
        sleeps = self.sleeps(row) if "sleep" in self.parts else None
        return Workload(topology, tasks, details, outages, weights, sleeps)

    def weights(self, details: Any, row: int) -> Any:
        """Weights of requests, in thousandths."""
        of_request = self.dice("classes", row).choice(WEIGHTS, len(details)) * 1000
        return of_request[np.arange(len(details)) - details[:, 0]].astype(np.int64)

    def requests(self, row: int) -> tuple[Any, Any]:
        """Tasks and details: fewer requests are the first ones of more."""
        dice = self.dice("requests", row)
        count, pace, crowd = (
            int(dice.integers(8, 25)),
            int(dice.choice([1, 3, 5])),
            dice.random() < 0.2,
        )
        fewest = 1 + (self.end == "last-task")
        rows: list[Any] = []
        details: list[Any] = []
        arrival = int(dice.integers(4))
        for number in range(max(fewest, min(count, self.recipe.most))):
            if arrival > self.horizon and number >= fewest and not crowd:
                break
            rows_here, details_here = self.request(dice, min(arrival, self.horizon) * self.tick)
            rows += rows_here
            details += details_here
            gap = int(dice.choice([0, 0, 1, 1, 2, 3, 5]))
            arrival += gap // 2 if self.recipe.crowded else pace * gap
        return np.array(rows), np.array(details)

    def request(self, dice: np.random.Generator, arrival: int) -> tuple[list[Any], list[Any]]:
        """Rows of one request, one per stage."""
        gateway, tick = dice.integers(self.gateways), self.tick
        due = tick * dice.choice([0, 1, 2, 3, 4, 6, 9]) * ("deadlines" in self.parts)
        most = int(self.dice("tasks").choice([2, 3])) if "stages" in self.parts else 1
        stages = int(dice.choice([1, most]))
        rows, details = [], []
        for stage in range(stages):
            run_time = tick * dice.choice([1, 2, 2, 3, 4, 5])
            kind = dice.integers(self.types)
            rows.append((arrival, run_time, dice.choice(DEMANDS), kind, gateway))
            sizes = tick * dice.choice([0, 0, 1, 1, 2, 3], 3)  # load time, upload, download
            fails = dice.random() < 0.15 and "failing tasks" in self.parts
            details.append((stage, stages - 1 - stage, due, *sizes, fails))
        return rows, details

    def outages(self, row: int) -> np.ndarray[Any, Any]:
        """Failures of edge servers, on the ticks; now and then at one time or after the end."""
        dice = self.dice("outages", row)
        count, latest = int(dice.integers(9)), min(60, self.horizon + 1)
        times = np.sort(dice.integers(0, latest + 1, count)) * self.tick
        servers = dice.integers(0, self.edge_servers, count)
        return np.stack([times, servers, dice.integers(0, 6, count) * self.tick], axis=1)

    def sleeps(self, row: int) -> np.ndarray[Any, Any]:
        """Sleeps of gateways, on the ticks; now and then one on the heels of another."""
        dice = self.dice("sleep", row)
        rows: list[Any] = []
        for gateway in range(self.gateways):
            time = int(dice.choice([0, 0, 1, 3, 8]))
            while time < self.horizon and dice.random() < 0.85:
                length = int(dice.choice([1, 1, 2, 4, 9, 30]))
                rows.append((time * self.tick, gateway, length * self.tick))
                time += length + int(dice.choice([0, 1, 2, 5, 20]))
        return np.array(rows, dtype=np.int64).reshape(-1, 3)

    def topology(self, extended: bool, row: int) -> Topology:
        """Servers with whatever arrays of the extended model."""
        dice = self.dice("topology", row)
        s, v = self.servers, self.services
        curve = np.sort(dice.uniform(0, 4, (s, v, 4)).round(dice.integers(4)), axis=-1)
        curve[..., 2] += 0.5
        capacities = [8, 20] if "residency" in self.parts else [3, 4, 6, 8, 20]
        capacities = [3, 4] if self.recipe.crowded else capacities
        arrays: dict[str, Any] = {
            "capacity": dice.choice(capacities, s),
            "baseline": dice.choice(GRID, (s, v, self.types)),
            "curve": curve * [1.0, 0.1, 1.0, 0.1],
        }
        if not extended:
            return Topology(**arrays)
        if dice.random() < 0.5:
            arrays["slowdown"] = dice.choice(SLOWDOWNS, (s, v))
        if dice.random() < 0.5:
            arrays["hosted"] = dice.random((s, v)) < 0.8
            if "cloud" in self.parts:
                arrays["hosted"][-1] = True
        if dice.random() < 0.2 or "energy" in self.parts:
            arrays["energy"] = dice.choice([0, 1, 10, 250, 1000], (s, v))
        # Where a part is off, its arrays count for nothing.
        if dice.random() < 0.2 or "residency" in self.parts:
            arrays["model_memory"] = models = dice.choice([1, 1, 2, 2, 0, 3], v)
            arrays["memory"] = dice.integers(models.max(), max(models.max() + 1, models.sum()), s)
        if dice.random() < 0.2 or self.parts & {"cloud", "neighbourhood", "network"}:
            arrays |= self.links(row)
        return Topology(**arrays)

    def links(self, row: int) -> dict[str, Any]:
        """Neighbours of each gateway, its own server first and the cloud last, and the ways."""
        dice = self.dice("links", row)
        g, n = self.gateways, self.neighbours
        at_edge = n - ("cloud" in self.parts)
        orders = [dice.permutation(self.edge_servers)[:at_edge].tolist() for _ in range(g)]
        cloud = [self.edge_servers] if "cloud" in self.parts else []
        links: dict[str, Any] = {"neighbours": [order + cloud for order in orders]}
        if dice.random() < 0.2 or "network" in self.parts:
            links["propagation"] = dice.choice([0, 0, 1, 2], (g, n)) * self.tick
            links["us_per_kb"] = dice.choice(US_PER_KB, (g, n))
        return links

    def choices(self) -> list[int]:
        """Of all actions and to do nothing, of a few, or of the services of one server."""
        dice = self.dice("choices")
        among = np.arange(self.neighbours * self.services + 1)
        kind = dice.choice(["all", "few", "one server", "one server"])
        if kind == "few":
            among = dice.choice(among, 3)
        elif kind == "one server":
            first = int(dice.integers(self.neighbours)) * self.services
            among = among[first : first + self.services]
        chosen: list[int] = dice.choice(among, 40).tolist()
        return chosen
