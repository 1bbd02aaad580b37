"""A client of gateways: sends requests, each at its time, and tells what came of them."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

import aiohttp
import numpy as np

from edge_marl.draw import draw_workload
from edge_marl.errors import ServingError
from edge_marl.kernel.world import ARRIVAL, DEADLINE, DEMAND, GATEWAY, TYPE
from edge_marl.scenario import Scenario
from edge_marl.serving.asked import OWN_PATH
from edge_marl.tables import Table
from edge_marl.workload import Workload

__all__ = ["Answer", "Client", "Wanted", "calling", "drawn_requests", "table_of", "wanted_of"]

BETWEEN_S = 0.1
"""Between two questions whether a gateway serves."""
SERVED = "served"
ALL = "all that were served"


@dataclass(frozen=True)
class Wanted:
    """A request that is to be sent."""

    at_s: float
    """After the first one."""
    gateway: int
    body: Mapping[str, Any]


@dataclass(frozen=True)
class Answer:
    """What came of a request."""

    outcome: str
    """`served`, or why not: the type of the gateway's error, or that no answer came."""
    seconds: float
    """Until the whole answer was there."""
    gateway: int = 0
    number: int = -1
    """Of the request in the gateway's log; -1 if it was not served."""
    server: str = ""
    """Who served it."""
    quality: float | None = None
    """As its backend says; None: it does not."""

    @property
    def served(self) -> bool:
        """Whether a backend has answered it."""
        return self.outcome == SERVED


class Client:
    """Sends requests to gateways.

    Args:
        session: to send by.
        urls: of the gateways, in the scenario's order; one alone gets every gateway's requests.
    """

    def __init__(self, session: aiohttp.ClientSession, urls: Sequence[str]) -> None:
        self._session, self._urls = session, urls

    async def until_well(self, wait_s: float) -> None:
        """Wait until every gateway serves.

        Raises:
            ServingError: one does not within that time.
        """
        clock = asyncio.get_running_loop().time
        until = clock() + wait_s
        for url in self._urls:
            while not await self._is_well(url):
                if clock() > until:
                    raise ServingError(
                        f"{url}: nothing serves there within {wait_s:g} s; start `edge-marl serve`"
                    )
                await asyncio.sleep(BETWEEN_S)

    async def _is_well(self, url: str) -> bool:
        try:
            async with self._session.get(f"{url}/healthz") as answer:
                return answer.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def ask(self, body: Mapping[str, Any], gateway: int = 0) -> Answer:
        """Send a request, and wait for what comes of it.

        Args:
            body: what is posted to `/v1/tasks`.
            gateway: that it arrives at.
        """
        url = self._urls[gateway if len(self._urls) > 1 else 0]
        began = time.monotonic()
        try:
            async with self._session.post(url + OWN_PATH, json=body) as answer:
                told = await answer.json(content_type=None)
                took = time.monotonic() - began
                if answer.status != 200:
                    return Answer(_why(told, answer.status), took, gateway)
                number = int(answer.headers.get("X-Edge-Marl-Request", -1))
                server = answer.headers.get("X-Edge-Marl-Server", "")
                return Answer(SERVED, took, gateway, number, server, _quality(told))
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            return Answer(f"no answer ({type(error).__name__})", time.monotonic() - began, gateway)

    async def ask_all(
        self, wanted: Sequence[Wanted], done: Callable[[], object] = lambda: None
    ) -> list[Answer]:
        """Send each request at its time, whatever came of those before it.

        Args:
            wanted: the requests.
            done: called after each answer.
        """
        clock = asyncio.get_running_loop().time
        began = clock()

        async def send(one: Wanted) -> Answer:
            await asyncio.sleep(max(0.0, began + one.at_s - clock()))
            answer = await self.ask(one.body, one.gateway)
            done()
            return answer

        return list(await asyncio.gather(*map(send, wanted)))


@asynccontextmanager
async def calling(urls: Sequence[str], answer_s: float = 300.0) -> AsyncIterator[Client]:
    """Give a client of gateways, as many requests at one time as there are.

    Args:
        urls: of the gateways.
        answer_s: time to wait for an answer.
    """
    times, connector = aiohttp.ClientTimeout(total=answer_s), aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(timeout=times, connector=connector) as session:
        yield Client(session, urls)


def drawn_requests(scenario: Scenario, seed: int, requests: int) -> list[Wanted]:
    """Return requests as a scenario's law has them: of as many episodes as it takes.

    Raises:
        ServingError: they have several stages, which gateways do not put together.
    """
    found: list[Wanted] = []
    after_s = 0.0
    for episode in count():
        for one in wanted_of(draw_workload(scenario, seed, episode=episode), scenario):
            if len(found) == requests:
                return found
            found.append(Wanted(after_s + one.at_s, one.gateway, {**one.body, "seed": len(found)}))
        after_s += scenario.arrivals.horizon_ms / 1000
    raise AssertionError


def wanted_of(workload: Workload, scenario: Scenario) -> Iterator[Wanted]:
    """Yield the requests of a workload, the first at its own time.

    Raises:
        ServingError: they have several stages, which gateways do not put together.
    """
    if len(scenario.tasks.stages) > 1:
        raise ServingError(
            f"scenario '{scenario.label}' has requests of several stages, and a gateway serves "
            "requests of one: `edge-marl scenarios export --without stages` makes them such"
        )
    classes = {one.thousandths: one.name for one in scenario.tasks.classes}
    for at, row in enumerate(workload.tasks):
        body: dict[str, Any] = {"type": int(row[TYPE]), "demand": int(row[DEMAND])}
        if workload.details is not None and workload.details[at, DEADLINE]:
            body["deadline_s"] = int(workload.details[at, DEADLINE]) / 1000
        if classes and workload.weights is not None:
            body["class"] = classes[int(workload.weights[at])]
        yield Wanted(int(row[ARRIVAL]) / 1000, int(row[GATEWAY]), body)


def table_of(answers: Sequence[Answer]) -> Table:
    """Return who answered how many requests how fast, and what became of the others."""
    names = sorted({one.server for one in answers if one.served})
    tells = any(one.quality is not None for one in answers)
    head = ("served by", "requests", "latency mean (s)", "p50", "p95", "p99")
    rows: list[tuple[str, ...]] = [head + (("quality",) if tells else ())]
    for name in (*names, ALL):
        own = [one for one in answers if one.served and name in (one.server, ALL)]
        rows.append((name, *_numbers_of(own, tells)))
    blank = ("",) * (len(rows[0]) - 2)
    others = Counter(one.outcome for one in answers if not one.served)
    rows += [(f"not served: {how}", f"{number}", *blank) for how, number in sorted(others.items())]
    return Table(f"{len(answers)} requests", rows, has_names=True)


def _numbers_of(answers: Sequence[Answer], tells: bool) -> Iterator[str]:
    """Yield a row's cells: how many, latencies, and quality if backends tell theirs."""
    yield f"{len(answers)}"
    took = np.array([one.seconds for one in answers])
    if len(took):
        yield from (f"{value:.3f}" for value in (took.mean(), *np.percentile(took, (50, 95, 99))))
    else:
        yield from "----"
    if tells:
        known = [one.quality for one in answers if one.quality is not None]
        yield f"{np.mean(known):.3f}" if known else "-"


def _why(told: Any, status: int) -> str:
    """Return the type of an error that a gateway tells, or else its status."""
    error = told.get("error") if isinstance(told, dict) else None
    kind = error.get("type") if isinstance(error, dict) else None
    return f"{status} {kind}" if isinstance(kind, str) else f"{status}"


def _quality(told: Any) -> float | None:
    found = told.get("quality") if isinstance(told, dict) else None
    return float(found) if isinstance(found, int | float) else None
