"""An agent as a router of Ray Serve, with Ray's own routing and made-up replicas.

A whole cluster with one is in `tests/benchmarks/run/test_ray.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray.serve", reason="pip install 'edge-marl[ray]'", exc_type=ImportError)

from ray.exceptions import ActorDiedError
from ray.serve._private.common import (
    DeploymentHandleSource,
    DeploymentID,
    RequestMetadata,
)
from ray.serve.request_router import PendingRequest, ReplicaID

from edge_marl.cli.serving.ray_router import AgentRouter, RequestRefusedError
from edge_marl.serving.log import read_logs
from tests.edge_marl.serving.routed import write_routed

pytestmark = pytest.mark.filterwarnings("default")  # Ray's own

DEPLOYMENT = DeploymentID("model", "app")


class Replica:
    """A replica that takes one call at a time."""

    max_ongoing_requests = 1

    def __init__(self, name: str) -> None:
        self.replica_id = ReplicaID(name, DEPLOYMENT)
        self.has = 0

    async def get_queue_len(self, *, deadline_s: float) -> int:
        return self.has


class Result:
    """What Ray has of a call that a replica took."""

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        self.end = callback


def router_of(folder: Path, **kwargs: Any) -> AgentRouter:
    write_routed(folder)
    router = AgentRouter(DEPLOYMENT, DeploymentHandleSource.REPLICA)
    told: dict[str, Any] = {
        "config": str(folder / "serve.toml"),
        "agent": f"{folder / 'own.py'}:Always",
    }
    router.initialize_state(logs=str(folder / "logs"), **told | kwargs)
    return router


def call_of(body: Any) -> PendingRequest:
    return PendingRequest([body], {}, RequestMetadata("of a client", "of a client"))


async def take(router: AgentRouter, replica: Replica, model: str = "y") -> Result:
    """Have a call taken by the replica that it must go to."""
    call = call_of({"demand": 100, "type": 1})
    assert await router._choose_replica_for_request(call) is replica
    assert call.args == [{"type": 1, "model": model, "steps": 100}]
    replica.has, result = 1, Result()
    router.on_request_routed(call, replica.replica_id, result)
    return result


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.001)


def test_calls_go_where_the_agent_says_or_to_who_stands_in(tmp_path: Path) -> None:
    async def run() -> None:
        router, (a, b) = router_of(tmp_path), (Replica("a"), Replica("b"))
        router.update_replicas([b, a])
        by = router._gateway.counters.of
        first, second = await take(router, a), await take(router, b)
        assert by("failures", "a", "passed over") == 1
        waiting = asyncio.create_task(take(router, a))
        leaving = asyncio.create_task(take(router, a))  # and Ray gives all of them one id
        await until(lambda: by("sent", "a") == 4)
        leaving.cancel()
        await until(lambda: by("failures", "a", "cancelled") == 1)
        assert not waiting.done()
        a.has = 0
        first.end("an answer")
        third = await waiting
        third.end(ActorDiedError())
        router.on_replica_actor_died(a.replica_id)
        b.has = 0
        second.end("an answer")
        await until(lambda: by("requests", "served") == 2)
        (await take(router, b, model="x")).end("an answer")  # the default action's
        await until(lambda: by("requests", "served") == 3)
        router._gateway.close()

    asyncio.run(run())
    (log,) = (tmp_path / "logs").iterdir()
    assert read_logs([log]).outcomes == {"served": 3, "failed": 2}


def test_a_call_that_nobody_takes_raises_why(tmp_path: Path) -> None:
    async def told(router: AgentRouter, body: Any) -> tuple[str, int]:
        with pytest.raises(RequestRefusedError) as error:
            await router._choose_replica_for_request(call_of(body))
        return str(error.value), error.value.status

    async def run() -> None:
        router, broken = router_of(tmp_path), router_of(tmp_path, agent="nobody")
        for one in (router, broken):
            one.update_replicas([Replica("a")])
        assert (await told(router, {"demand": 1000}))[1] == 400
        assert (await told(router, 3))[0].startswith("the first argument of the call is no dict")
        message, status = await told(broken, {"demand": 100})
        assert message.startswith("the router cannot serve: ")
        assert "nobody" in message
        assert status == 503
        router._gateway.world.declines = lambda action: True  # type: ignore[method-assign]  # for this test
        assert (await told(router, {"demand": 100}))[1] == 429
        router._gateway.close()

    asyncio.run(run())
