"""What a gateway adds is timed of as many requests as are asked for."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

pytest.importorskip("aiohttp", reason="pip install 'edge-marl[serve]'")

from aiohttp import web

from edge_marl.benchmarks.measure import serving_overhead
from tests.edge_marl.serving.live import Dummy, serving


class Any(Dummy):
    """A backend that answers everybody."""

    async def request(self, request: web.Request) -> web.StreamResponse:
        self.ids.append(request.headers.get("X-Request-Id", ""))
        return web.json_response({})


def test_direct_calls_and_calls_through_the_gateway_take_turns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving_overhead, "WARM_UP", 1)

    async def run() -> None:
        dummies: list[Dummy] = [Any(name) for name in "abc"]
        async with serving(dummies, tmp_path / "log") as live:
            addresses = [dummy.address for dummy in dummies]
            both = await serving_overhead.measure(addresses, [live.url], 10, at_once=2)
            assert [len(times) for times in both] == [10, 10]
            assert sum(name == "" for dummy in dummies for name in dummy.ids) == 11
            assert live.gateway.counters.of("requests", "served") == 11

    asyncio.run(run())
