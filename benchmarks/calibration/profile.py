"""The servers are measured: run times alone and beside others, quality, and time to start again."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, ValidationError

from edge_marl.benchmarks.calibration.station import station
from edge_marl.benchmarks.calibration.testbed import Testbed
from edge_marl.benchmarks.calibration.wishes import SERVICES, TYPES, Wishes
from edge_marl.errors import ServingError
from edge_marl.files import write_file
from edge_marl.scenario import Scenario
from edge_marl.serving.client import Answer, Client
from edge_marl.serving.log import read_logs
from edge_marl.serving.replay import as_measured

__all__ = ["Alone", "Beside", "Profile", "profile"]

REPEATS = 7
AT_ONCE = (2, 4)
"""Tasks that are sent together, to see how they hold each other up."""
RESTARTS = 3
SHEETS = 3
"""Of each digit by each model, for its quality."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Alone(_Model):
    """Time of a task that has a server to itself."""

    service: int
    demand: int
    seconds: tuple[float, ...]


class Beside(_Model):
    """Time of a task beside others that came with it."""

    service: int
    other: int
    """Service of the others."""
    count: int
    """Tasks in all."""
    seconds: tuple[float, ...]


class Profile(_Model):
    """What was measured; times are from a request's arrival at the gateway to its end."""

    alone: tuple[Alone, ...]
    beside: tuple[Beside, ...]
    restart_s: tuple[float, ...]
    """From a server's death to its being ready again."""
    quality: tuple[tuple[float, ...], ...]
    """Of each service for each digit."""


def body_of(digit: int, steps: int, seed: int) -> dict[str, int]:
    """Return what is posted for a sheet of a digit."""
    return {"type": digit, "demand": steps, "seed": seed}


class _Told:
    """A policy that does what it is told, one request after the other."""

    def __init__(self) -> None:
        self.next: deque[int] = deque()

    def act(
        self, observation: npt.NDArray[np.float32], info: Mapping[str, Any]
    ) -> npt.NDArray[np.int64]:
        return np.array([self.next.popleft()])


class _Measuring:
    """Sends tasks to server 0, and notes which request of the log each is."""

    def __init__(self, client: Client, told: _Told) -> None:
        self._client, self._told = client, told
        self.numbers: dict[tuple[int, ...], list[int]] = {}

    async def send(self, key: tuple[int, ...], services: list[int], demand: int) -> list[Answer]:
        """Send tasks together; the first is the one that counts."""
        self._told.next += services
        asked = (self._client.ask(body_of(0, demand, seed)) for seed in range(len(services)))
        answers = await asyncio.gather(*asked)
        if not all(answer.served for answer in answers):
            raise ServingError(
                f"a task of {demand} steps on service {services[0]} was not served while the "
                "servers were measured: look at what they say, and start the command again"
            )
        first = min(answer.number for answer in answers)
        self.numbers.setdefault(key, []).append(first)
        return answers

    async def all(self, demands: tuple[int, ...]) -> None:
        """Send what is to be measured, again and again."""
        for _ in range(REPEATS + 1):  # the first time is left out
            for service, demand in _each(len(SERVICES), demands):
                await self.send((service, demand), [service], demand)
            for service, other in _each(len(SERVICES), range(len(SERVICES))):
                for count in AT_ONCE:
                    group = [service] + [other] * (count - 1)
                    await self.send((service, other, count), group, demands[1])


def _each(services: int, others: Any) -> Iterator[tuple[int, int]]:
    return ((service, other) for service in range(services) for other in others)


async def profile(wishes: Wishes, scenario: Scenario, folder: Path) -> Profile:
    """Return what the servers of a testbed are like, measured unless a folder has it.

    Args:
        wishes: of the calibration.
        scenario: of as many servers; its times do not matter.
        folder: that it is kept in.
    """
    path = folder / "profile.json"
    if path.exists():
        try:
            return Profile.model_validate_json(path.read_bytes())
        except (ValidationError, OSError):
            raise ServingError(f"{path}: not what this command writes; remove it") from None
    log = folder / "profile.jsonl"
    log.unlink(missing_ok=True)
    async with Testbed(wishes.capacity, 0, wishes.tiles) as bed:
        told = _Told()
        async with station(bed, scenario, [told.act], [log]) as client:
            measuring = _Measuring(client, told)
            await measuring.all(wishes.demand)
            quality = await _quality(client, told, min(wishes.demand))
            restarts = await _restarts(bed, client, told, max(wishes.demand))
    seconds = as_measured(read_logs([log])).latency_s
    times = {
        key: tuple(float(seconds[number]) for number in numbers[1:])
        for key, numbers in measuring.numbers.items()
    }
    made = Profile(
        alone=tuple(
            Alone(service=s, demand=t, seconds=times[s, t])
            for s, t in _each(len(SERVICES), wishes.demand)
        ),
        beside=tuple(
            Beside(service=s, other=o, count=n, seconds=times[s, o, n])
            for s, o in _each(len(SERVICES), range(len(SERVICES)))
            for n in AT_ONCE
        ),
        restart_s=restarts,
        quality=quality,
    )
    write_file(path, made.model_dump_json(indent=1) + "\n", ServingError)
    return made


async def _quality(client: Client, told: _Told, steps: int) -> tuple[tuple[float, ...], ...]:
    """Return the mean quality of each service for each digit."""
    found = []
    for service in range(len(SERVICES)):
        row = []
        for digit in range(TYPES):
            told.next += [service] * SHEETS
            asked = [body_of(digit, steps, 10**6 + seed) for seed in range(SHEETS)]
            made = [await client.ask(body) for body in asked]
            row.append(sum(answer.quality or 0.0 for answer in made) / SHEETS)
        found.append(tuple(row))
    return tuple(found)


async def _restarts(bed: Testbed, client: Client, told: _Told, steps: int) -> tuple[float, ...]:
    """Return how long a server that ran out of memory was gone, several times."""
    for _ in range(RESTARTS):
        before = len(bed.deaths)
        while len(bed.deaths) == before:
            told.next += [0] * 8
            await asyncio.gather(*(client.ask(body_of(0, steps, seed)) for seed in range(8)))
            told.next.clear()
        await bed.idle()
    return tuple(death.down_s for death in bed.deaths if death.down_s is not None)
