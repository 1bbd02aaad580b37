"""A gateway in front of the testbed, and a client that asks it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from edge_marl.benchmarks.calibration.testbed import Testbed
from edge_marl.benchmarks.calibration.wishes import SERVICES
from edge_marl.scenario import Scenario
from edge_marl.serving.config import Config
from edge_marl.serving.front import Front
from edge_marl.serving.gateway import Gateway
from edge_marl.serving.log import EventLog
from edge_marl.serving.policy import Act, Policy
from edge_marl.serving.servers import topology_of
from edge_marl.serving.world import LiveWorld

__all__ = ["Answer", "Client", "station"]

LIMITS = {"attempts": 1, "decide_s": 10.0, "probe_s": 0.1, "in_flight": 1024}
"""A request is sent once, as in the simulator, and a restart is soon seen."""


@dataclass(frozen=True)
class Answer:
    """What came of a request."""

    number: int
    """Of the request in the log; -1 if it was not served."""
    quality: float = 0.0
    """Share of its digits that a classifier takes for what was asked for."""


@dataclass(frozen=True)
class Client:
    """Sends requests to a gateway."""

    session: aiohttp.ClientSession
    url: str

    async def ask(self, kind: int, demand: int, seed: int) -> Answer:
        """Send a request, and wait for what comes of it.

        Args:
            kind: digit.
            demand: denoising steps.
            seed: of the picture.
        """
        body = {"type": kind, "demand": demand, "seed": seed}
        try:
            async with self.session.post(f"{self.url}/v1/tasks", json=body) as answer:
                told = await answer.json()
                if answer.status == 200:
                    return Answer(int(answer.headers["X-Edge-Marl-Request"]), told["quality"])
        except (aiohttp.ClientError, TimeoutError):
            pass
        return Answer(-1)


def config_of(bed: Testbed) -> Config:
    """Return the file of a gateway in front of a testbed."""
    backends = [
        {"name": f"server-{k}", "address": address, "models": SERVICES, "report": "/report"}
        for k, address in enumerate(bed.addresses)
    ]
    facts = {"scenario": "calibrated", "port": 0, "limits": LIMITS, "backends": backends}
    return Config.model_validate(facts)


@asynccontextmanager
async def station(bed: Testbed, scenario: Scenario, act: Act, log: Path) -> AsyncIterator[Client]:
    """Have a gateway serve, which keeps its log, and give a client of it.

    Args:
        bed: the servers.
        scenario: that the policy decides in.
        act: the policy.
        log: a new file.
    """
    config = config_of(bed)
    topology = topology_of(config, scenario)
    world = LiveWorld(scenario, topology, 0, config.limits.in_flight)
    names = [backend.name for backend in config.backends]
    events = EventLog(log, scenario, topology, 0, names)
    policy = Policy(act, config.limits.decide_s)
    times = aiohttp.ClientTimeout(total=config.limits.answer_s)
    async with (
        Front(Gateway(config, scenario, world, policy, events)) as front,
        aiohttp.ClientSession(timeout=times, connector=aiohttp.TCPConnector(limit=0)) as session,
    ):
        yield Client(session, f"http://127.0.0.1:{front.port}")
