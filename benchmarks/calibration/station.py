"""Gateways in front of the testbed, and a client that asks them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from edge_marl.benchmarks.calibration.testbed import Testbed
from edge_marl.benchmarks.calibration.wishes import SERVICES
from edge_marl.scenario import Scenario
from edge_marl.serving.client import Client, calling
from edge_marl.serving.config import Config
from edge_marl.serving.front import Front
from edge_marl.serving.gateway import Gateway
from edge_marl.serving.log import EventLog
from edge_marl.serving.policy import Act, Policy
from edge_marl.serving.servers import topology_of
from edge_marl.serving.world import LiveWorld

__all__ = ["station"]

LIMITS = {"attempts": 1, "decide_s": 10.0, "probe_s": 0.1, "in_flight": 1024}
"""A request is sent once, as in the simulator, and a restart is soon seen."""


def config_of(bed: Testbed, gateway: int) -> Config:
    """Return the file of a gateway in front of a testbed."""
    backends = [
        {"name": f"server-{k}", "address": address, "models": SERVICES, "report": "/report"}
        for k, address in enumerate(bed.addresses)
    ]
    facts = {"scenario": "calibrated", "gateway": gateway, "port": 0, "limits": LIMITS}
    return Config.model_validate(facts | {"backends": backends})


@asynccontextmanager
async def station(
    bed: Testbed, scenario: Scenario, acts: Sequence[Act], logs: Sequence[Path]
) -> AsyncIterator[Client]:
    """Have gateways serve, each of which decides alone and keeps its own log; give their client.

    Args:
        bed: the servers.
        scenario: that the policies decide in.
        acts: the policy of each gateway.
        logs: a new file for each.
    """
    async with AsyncExitStack() as stack:
        urls = []
        for number, (act, log) in enumerate(zip(acts, logs, strict=True)):
            gateway = _gateway(config_of(bed, number), scenario, act, log)
            front = await stack.enter_async_context(Front(gateway))
            urls.append(f"http://127.0.0.1:{front.port}")
        answer_s = gateway.config.limits.answer_s
        yield await stack.enter_async_context(calling(urls, answer_s))


def _gateway(config: Config, scenario: Scenario, act: Act, log: Path) -> Gateway:
    topology = topology_of(config, scenario)
    world = LiveWorld(scenario, topology, config.gateway, config.limits.in_flight)
    names = [backend.name for backend in config.backends]
    events = EventLog(log, scenario, topology, config.gateway, names)
    return Gateway(config, scenario, world, Policy(act, config.limits.decide_s), events)
