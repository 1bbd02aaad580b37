"""`edge-marl send`: requests of a scenario to a gateway, and what came of them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("aiohttp", reason="pip install 'edge-marl[serve]'")

from edge_marl.cli import app
from edge_marl.console import run_app
from edge_marl.draw import draw_workload
from edge_marl.errors import ServingError
from edge_marl.kernel.world import ARRIVAL
from edge_marl.scenario import load_scenario
from edge_marl.serving.client import Wanted, calling, drawn_requests, wanted_of
from edge_marl.serving.log import read_logs
from tests.edge_marl.serving.live import SMOKE, TASK, Dummy, serving
from tests.worlds.every_part import CLASSES, OFF, world

THREE = Path(__file__).parents[3] / "docs/examples/serving/three.toml"


def send(*told: object) -> int:
    with pytest.raises(SystemExit) as end:
        run_app(app, ["send", *map(str, told)])
    return int(end.value.code or 0)


def test_requests_of_a_scenario_are_sent_and_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "log"

    async def run() -> None:
        async with serving([Dummy(name) for name in "abc"], log) as live:
            told = (live.url, "--scenario", THREE, "--requests", 20, "--seed", 3)
            assert await asyncio.to_thread(send, *told) == 0

    asyncio.run(run())
    wanted = drawn_requests(load_scenario(THREE), 3, 20)
    # The gateway's own scenario has four types of tasks, this one ten.
    taken = [one for one in wanted if one.body["type"] < 4]
    shown = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert shown[0] == ["20", "requests"]
    assert [line[:2] for line in shown if line[0] == "a"] == [["a", f"{len(taken)}"]]
    assert ["not", "served:", "400", "invalid", f"{20 - len(taken)}"] in shown
    arrived = read_logs([log]).arrived  # over connections of their own: in whatever order
    assert sorted(asked.demand for _, _, asked in arrived) == sorted(
        one.body["demand"] for one in taken
    )


def test_each_gateway_gets_its_own_requests(tmp_path: Path) -> None:
    async def run(folder: Path) -> Sequence[int]:
        dummies = [Dummy(name) for name in "abc"]
        async with (
            serving(dummies, folder / "0") as one,
            serving([Dummy(name) for name in "abc"], folder / "1") as two,
            calling([one.url, two.url]) as client,
        ):
            answers = await client.ask_all([Wanted(0.0, k % 2, TASK) for k in range(5)])
            assert all(answer.served for answer in answers)
            return [live.gateway.counters.of("requests", "served") for live in (one, two)]

    assert asyncio.run(run(tmp_path)) == [3, 2]


def test_what_a_request_tells_is_its_task_s() -> None:
    scenario = world(tasks={"classes": CLASSES, "stages": OFF})
    drawn = draw_workload(scenario, 0)
    wanted = list(wanted_of(drawn, scenario))
    assert {one.body["class"] for one in wanted} == {one["name"] for one in CLASSES}
    assert {one.body["deadline_s"] for one in wanted} == {30, 45, 60.5}
    assert np.allclose([one.at_s for one in wanted], drawn.tasks[:, ARRIVAL] / 1000)
    with pytest.raises(ServingError, match="requests of several stages"):
        next(wanted_of(drawn, world()))


def test_more_requests_than_an_episode_has_are_of_the_next() -> None:
    wanted = drawn_requests(SMOKE, 0, 200)
    assert len(wanted) == 200
    times = [one.at_s for one in wanted]
    assert times == sorted(times)
    assert times[-1] > SMOKE.arrivals.horizon_ms / 1000


def test_a_gateway_that_is_not_there_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert send("http://127.0.0.1:9", "--scenario", THREE, "--start-s", 0) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "http://127.0.0.1:9: nothing serves there within 0 s; start `edge-marl serve`" in told


@pytest.mark.parametrize(
    ("urls", "told"),
    [
        (("localhost:8080",), "'localhost:8080': state it as http://HOST:PORT"),
        (("http://a/v1/tasks",), "'http://a/v1/tasks': state it as http://HOST:PORT"),
        (
            ("http://a", "http://b"),
            "2 URLs: scenario 'three' has gateways 0 to 0; give",
        ),
    ],
)
def test_what_is_no_gateway_is_told(
    urls: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert send(*urls, "--scenario", THREE) == 2
    assert told in " ".join(capsys.readouterr().err.split())
