"""A deployment of one replica with an agent as its router, on a cluster that is there: for a test.

Arguments: address of the cluster, folder with `serve.toml` and `own.py`. Writes `found.json` there.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
from pathlib import Path
from typing import Any

import ray
from ray import serve
from ray.serve.config import RequestRouterConfig
from ray.serve.context import _RequestContext, _serve_request_context

from edge_marl.cli.serving.ray_router import AgentRouter, RequestRefusedError

TASK = {"demand": 100, "type": 1}


class Counting(AgentRouter):
    """Counts how often Ray asks; a replica on a busy machine has time to answer."""

    asked = 0
    queue_len_response_deadline_s = 60.0

    async def choose_replicas(self, *args: Any, **more: Any) -> Any:
        """Count, and choose."""
        Counting.asked += 1
        return await super().choose_replicas(*args, **more)


class Model:
    """Gives back what it got."""

    async def __call__(self, body: dict[str, Any]) -> dict[str, Any]:
        await asyncio.sleep(body.get("work_s", 0))
        if body.get("fails"):
            raise ValueError("what a replica may raise")
        return body


class Counted:
    """Tells its name, and how many calls it has had."""

    def __init__(self) -> None:
        self.name, self.had = secrets.token_hex(8), 0

    async def __call__(self, body: dict[str, Any]) -> tuple[int, str, int]:
        self.had += 1
        return body["k"], self.name, self.had


def config_of(folder: Path, logs: str) -> RequestRouterConfig:
    told = {"config": folder / "serve.toml", "logs": folder / logs}
    return RequestRouterConfig(
        request_router_class=Counting,
        request_router_kwargs={name: str(path) for name, path in told.items()}
        | {"agent": f"{folder / 'own.py'}:Always"},
    )


def deployed(model: type, folder: Path, name: str, **of_replicas: int) -> Any:
    """Have replicas of a model run, with an agent as their router; return how they are called."""
    made = serve.deployment(
        ray_actor_options={"num_cpus": 0},
        request_router_config=config_of(folder, name),
        **of_replicas,
    )(model)
    return serve.run(made.bind(), name=name, route_prefix=None)


def refused(handle: Any, body: Any) -> tuple[str, int]:
    try:
        handle.remote(body).result()
    except RequestRefusedError as refusal:
        return str(refusal), refusal.status
    raise AssertionError("it was taken")


def many(folder: Path) -> list[tuple[int, str, int]]:
    """Return what comes of 1,000 calls, 32 at once."""
    handle = deployed(Counted, folder, "many", num_replicas=3, max_ongoing_requests=32)

    async def run() -> list[tuple[int, str, int]]:
        at_once = asyncio.Semaphore(32)

        async def one(k: int) -> Any:
            async with at_once:
                return await handle.remote({"demand": 1, "type": 1, "k": k})

        return list(await asyncio.gather(*(one(k) for k in range(1000))))

    return asyncio.run(run())


def main(address: str, folder: Path) -> None:
    ray.init(address=address, log_to_driver=False)
    serve.start(proxy_location="Disabled")
    handle = deployed(Model, folder, "logs", num_replicas=1, max_ongoing_requests=1)
    alone = [handle.remote(TASK | {"k": k}).result() for k in range(3)]
    wrong = [refused(handle, body) for body in (TASK | {"demand": 1000}, 3)]
    # As the calls that one request of a client makes: Ray gives them one id.
    _serve_request_context.set(_RequestContext(_internal_request_id="of a client"))
    before = Counting.asked
    calls = [handle.remote(TASK | {"k": k, "work_s": 0.1}) for k in range(6)]
    crowd = [call.result() for call in calls]
    asked = Counting.asked - before
    try:
        handle.remote(TASK | {"fails": True}).result()
    except ValueError as error:
        told = str(error)
    found = {"alone": alone, "wrong": wrong, "crowd": crowd, "asked": asked, "told": told}
    found["many"] = many(folder)
    (folder / "found.json").write_text(json.dumps(found), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
