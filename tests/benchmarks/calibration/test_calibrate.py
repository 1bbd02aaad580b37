"""`edge-marl calibrate`: real servers are measured; dummies are served, simulated and reported."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pytest

pytest.importorskip("aiohttp", reason="pip install 'edge-marl[serve]'")

from aiohttp import web

from edge_marl.agents import registry
from edge_marl.benchmarks.calibration import observe, profile
from edge_marl.benchmarks.calibration.fit import fit
from edge_marl.benchmarks.calibration.observe import read_observed
from edge_marl.benchmarks.calibration.wishes import Wishes
from edge_marl.benchmarks.measure import latency_residual
from edge_marl.cli import app
from edge_marl.console import run_app
from edge_marl.kernel.world import GATEWAY
from edge_marl.scenario import load_scenario
from edge_marl.serving.config import load_config
from edge_marl.serving.log import read_logs
from edge_marl.serving.servers import topology_of
from tests.benchmarks.calibration.test_fit import profile_of


def test_servers_are_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profile, "REPEATS", 1)
    monkeypatch.setattr(profile, "RESTARTS", 1)
    monkeypatch.setattr(profile, "SHEETS", 1)
    wishes = Wishes(capacity=(40,), demand=(2, 8, 30), tiles=1)
    scenario = fit(wishes, None, 0)
    found = asyncio.run(profile.profile(wishes, scenario, tmp_path))
    assert len(found.alone) == 6
    assert len(found.beside) == 8
    assert all(seconds > 0 for one in found.alone for seconds in one.seconds)
    (restart,) = found.restart_s
    assert 0 < restart < 120
    assert asyncio.run(profile.profile(wishes, scenario, tmp_path)) == found  # it is kept


class Dummies:
    """A testbed that answers at once."""

    asked = 0

    def __init__(self, capacity: tuple[int, ...], line: int, tiles: int) -> None:
        self.addresses = [""] * len(capacity)
        self.deaths: list[Any] = []

    async def __aenter__(self) -> Self:
        self._runner = web.AppRunner(self._app(), access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        self.addresses = [url] * len(self.addresses)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._runner.cleanup()

    async def idle(self) -> None:
        return

    def _app(self) -> web.Application:
        async def task(request: web.Request) -> web.Response:
            Dummies.asked += 1
            large = (await request.json())["model"] == "digits-large"
            return web.json_response({"quality": 0.75 if large else 0.5})

        async def report(request: web.Request) -> web.Response:
            return web.json_response({})

        app = web.Application()
        app.router.add_post("/v1/tasks", task)
        app.router.add_get("/report", report)
        return app


def calibrate(folder: Path, *more: str) -> None:
    told = ("--agents", "random,prophet", "--requests", "12", "--lines", "0", "--out", f"{folder}")
    with pytest.raises(SystemExit) as end:
        run_app(app, ["calibrate", *told, *more])
    assert end.value.code == 0


def test_what_is_served_is_simulated_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(observe, "Testbed", Dummies)
    measured = profile_of(0.002, 0.0001).model_dump_json()
    (tmp_path / "profile.json").write_text(measured, "utf-8")
    calibrate(tmp_path, "--runs", "1")
    assert Dummies.asked == 24
    log = tmp_path / "logs/line-0/0-prophet.jsonl"
    (quality,) = read_observed(log).quality  # type: ignore[union-attr]  # it is there
    assert set(quality.values()) == {0.75}
    log.with_suffix(".json").unlink()  # as if it had been stopped there
    calibrate(tmp_path, "--runs", "2")
    assert Dummies.asked == 24 + 12 + 24
    told = capsys.readouterr().out
    assert "Errors of the simulator: servers without a line, which crash" in told
    assert "queue + concurrency" in told
    found = json.loads((tmp_path / "calibration.json").read_text("utf-8"))
    assert len(found["variants"]) == 4
    assert {
        run["measured"] for run in found["variants"][0]["runs"] if run["agent"] == "prophet"
    } == {0.75}
    assert load_scenario(tmp_path / "line-0.toml").digest == found["scenarios"]["0"]
    config, scenario = load_config(tmp_path / "serve-0.toml")
    assert topology_of(config, scenario).slowdown.tolist() == [[1000, 2500]] * 3  # type: ignore[union-attr]  # it is there
    page = (tmp_path / "calibration.html").read_text("utf-8")
    assert page.count("<svg") == 2
    assert page.count("<table") == 6
    latency_residual.main(tmp_path)
    rows = capsys.readouterr().out.splitlines()
    assert rows[5].split() == ["as", "measured", "0.0", "1.00", rows[5].split()[-1]]
    assert rows[7].startswith("0 others busy")


def test_gateways_decide_alone_and_their_logs_are_one_workload(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observe, "Testbed", Dummies)
    measured = profile_of(0.002, 0.0001).model_dump_json()
    (tmp_path / "profile.json").write_text(measured, "utf-8")
    calibrate(tmp_path, "--runs", "1", "--gateways", "2", "--agents", "round-robin")
    log = tmp_path / "logs/line-0/0-round-robin.jsonl"
    quality = read_observed(log).quality  # type: ignore[union-attr]  # it is there
    assert min(map(len, quality)) > 0
    assert sum(map(len, quality)) == 12
    logs = observe.logs_of(log, 2)
    scenario = load_scenario(tmp_path / "line-0.toml")
    history = read_logs(logs)
    assert scenario.gateways.count == 2
    assert np.bincount(history.workload(scenario).tasks[:, GATEWAY]).tolist() == [
        *map(len, quality)
    ]
    # Each begins its round by itself, whatever the other does.
    fates = [read_logs([path]).fates for path in logs]
    went = [[(one.sent.server, one.sent.service) for one in own if one.sent] for own in fates]
    fewer, more = sorted(went, key=len)
    assert fewer == more[: len(fewer)]


def test_without_runs_there_is_a_scenario_to_train_in(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    measured = profile_of(0.2, 0.01).model_dump_json()
    (tmp_path / "profile.json").write_text(measured, "utf-8")
    calibrate(tmp_path, "--runs", "0")
    shown = capsys.readouterr().out
    assert "Run times" in shown
    assert "Errors of the simulator" not in shown
    scenario = load_scenario(tmp_path / "line-0.toml")
    told = ("--agent", "ppo", "--scenario", tmp_path / "line-0.toml", "--budget", 2000, "--quiet")
    with pytest.raises(SystemExit) as end:
        run_app(app, list(map(str, ("train", *told, "--out", tmp_path / "own"))))
    assert end.value.code == 0
    assert registry.load(tmp_path / "own/agent", scenario).name == "ppo"


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("--lines", "4,x", "--lines 4,x: must be numbers from 0 to 64, like 0,4"),
        ("--agents", " ,", "--agents ' ,': names none"),
        ("--agents", "ppo", "agent 'ppo' has to learn first"),
    ],
)
def test_what_cannot_be_asked_for_is_told(
    tmp_path: Path, option: str, value: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        run_app(app, ["calibrate", option, value, "--out", f"{tmp_path / 'out'}"])
    assert end.value.code == 2
    assert told in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "out").exists()
