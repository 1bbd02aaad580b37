"""A gateway on loopback with dummy backends, for tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
from aiohttp import web

from edge_marl.scenario import load_scenario
from edge_marl.serving.config import Config
from edge_marl.serving.front import Front
from edge_marl.serving.gateway import Gateway
from edge_marl.serving.log import EventLog
from edge_marl.serving.policy import Act, Policy
from edge_marl.serving.servers import topology_of
from edge_marl.serving.world import LiveWorld

SMOKE = load_scenario("smoke")
TASK = {"demand": 100, "type": 1}

Answer = Callable[["Dummy", web.Request], Awaitable[web.StreamResponse]]


async def echo(dummy: Dummy, request: web.Request) -> web.StreamResponse:
    return web.json_response({"by": dummy.name, "got": await request.json()})


@dataclass
class Dummy:
    """A backend that answers as it is told."""

    name: str
    answer: Answer = echo
    up: bool = True
    health: str = "/healthz"
    ids: list[str] = field(default_factory=list)
    address: str = ""
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    let_go: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when who asked has gone before there was an answer."""

    async def request(self, request: web.Request) -> web.StreamResponse:
        self.ids.append(request.headers["X-Request-Id"])
        self.asked.set()
        try:
            return await self.answer(self, request)
        except asyncio.CancelledError:
            self.left.set()
            raise

    async def state(self, request: web.Request) -> web.Response:
        return web.Response(status=200 if self.up else 503)


@asynccontextmanager
async def listening(*dummies: Dummy) -> AsyncIterator[None]:
    """Have backends listen on free ports."""
    runners = []
    for dummy in dummies:
        app = web.Application()
        app.router.add_post("/{path:.*}", dummy.request)
        app.router.add_get("/healthz", dummy.state)
        runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True
        )
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        dummy.address = f"http://127.0.0.1:{runner.addresses[0][1]}"
        runners.append(runner)
    try:
        yield
    finally:
        for runner in runners:
            await runner.cleanup()


@dataclass
class Live:
    """A gateway that listens, and a client of it."""

    gateway: Gateway
    front: Front
    session: aiohttp.ClientSession
    url: str

    async def post(self, body: Any, path: str = "/v1/tasks") -> tuple[int, Any]:
        async with self.session.post(self.url + path, json=body) as answer:
            return answer.status, await answer.json()


async def send_many(live: Live, dummies: list[Dummy]) -> None:
    """Send 1,000 requests, 32 at once: each is answered, and has been sent to one backend once."""
    at_once = asyncio.Semaphore(32)

    async def one(k: int) -> tuple[int, Any]:
        async with at_once:
            return await live.post(TASK | {"input": k})

    answers = await asyncio.gather(*(one(k) for k in range(1000)))
    assert [status for status, _ in answers] == [200] * 1000
    assert [answer["got"]["input"] for _, answer in answers] == list(range(1000))
    assert answers[0][1]["got"].keys() == {"type", "input", "model", "steps"}
    ids = [one for dummy in dummies for one in dummy.ids]
    assert len(ids) == len(set(ids)) == 1000


class InTurn:
    """A policy that sends to the servers in turn."""

    def __init__(self) -> None:
        self.asked = 0

    def act(self, observation: Any, info: Any) -> Any:
        self.asked += 1
        return np.array([2 * (self.asked % 3)])


def first(observation: Any, info: Any) -> Any:
    """The policy that takes the first action."""
    return np.zeros(len(observation), dtype=np.int64)


def config_of(dummies: list[Dummy], **limits: Any) -> Config:
    """Return the file of a gateway with these backends, two models each."""
    backends = [
        {"name": one.name, "address": one.address, "models": ["a", "b"], "health": one.health}
        for one in dummies
    ]
    facts = {"scenario": "smoke", "port": 0, "backends": backends, "limits": limits}
    return Config.model_validate(facts)


@asynccontextmanager
async def serving(
    dummies: list[Dummy], log: Path, act: Act = first, **limits: Any
) -> AsyncIterator[Live]:
    """Have a gateway listen, in front of backends that do, or whose address is stated."""
    async with listening(*(dummy for dummy in dummies if not dummy.address)):
        config = config_of(dummies, **{"decide_s": 5.0, "probe_s": 0.05, "stop_s": 5.0} | limits)
        topology = topology_of(config, SMOKE)
        world = LiveWorld(SMOKE, topology, 0, config.limits.in_flight)
        events = EventLog(log, SMOKE, topology, 0, [dummy.name for dummy in dummies])
        policy = Policy(act, config.limits.decide_s)
        gateway = Gateway(config, SMOKE, world, policy, events)
        async with Front(gateway) as front, aiohttp.ClientSession() as session:
            yield Live(gateway, front, session, f"http://127.0.0.1:{front.port}")
