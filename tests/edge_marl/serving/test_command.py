"""`edge-marl serve` as a process: killed, started again on the same log, stopped by a signal."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Semaphore, Thread
from urllib.error import HTTPError, URLError

import numpy as np
import pytest

from edge_marl.errors import ServingError
from edge_marl.scenario import load_scenario
from edge_marl.serving.log import EventLog, read_logs
from edge_marl.workload import load_workload
from edge_marl.workload.topology import draw_topology

pytest.importorskip("aiohttp", reason="pip install 'edge-marl[serve]'")


HELD = 120
"""Demand of requests that are not answered before `let_go` is set."""
let_go, held = Event(), Semaphore(0)


class Always(BaseHTTPRequestHandler):
    """A backend that answers everything, if not at once."""

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if body and json.loads(body)["steps"] == HELD:
            held.release()
            let_go.wait(60)
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    do_POST = do_GET

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def config(tmp_path: Path) -> Iterator[Path]:
    let_go.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Always)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    path = tmp_path / "serve.toml"
    path.write_text(
        'scenario = "smoke"\nport = 0\n'
        + "".join(
            f'[[backends]]\nname = "{name}"\naddress = "http://127.0.0.1:{server.server_port}"\n'
            'models = ["x", "y"]\n'
            for name in "abc"
        ),
        "utf-8",
    )
    yield path
    let_go.set()
    server.shutdown()
    thread.join()
    server.server_close()


@contextmanager
def started(config: Path, log: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    code = "from edge_marl.cli import main; main()"
    told = ("serve", config, "--agent", "crash-avoid", "--log", log, "--gateway", 0)
    with subprocess.Popen(
        [sys.executable, "-c", code, *map(str, told)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().split()[-1]
        finally:
            process.kill()


def ask(url: str, demand: int) -> int:
    body = json.dumps({"demand": demand}).encode()
    with urllib.request.urlopen(f"{url}/v1/tasks", body, timeout=30) as answer:
        return int(answer.status)


def is_well(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/healthz", timeout=30) as answer:
            return bool(answer.status == 200)
    except HTTPError:
        return False


def test_what_was_served_survives_a_kill_and_the_log_goes_on(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from edge_marl.cli import app
    from edge_marl.console import run_app

    log = tmp_path / "served.jsonl"
    with started(config, log) as (process, url):
        assert ask(url, 100) == 200
        with ThreadPoolExecutor(1) as pool:
            under_way = pool.submit(ask, url, HELD)
            assert held.acquire(timeout=60)
            process.send_signal(signal.SIGKILL)
            assert isinstance(under_way.exception(60), URLError | OSError | HTTPException)
    killed = read_logs([log])
    assert [asked.demand for _, _, asked in killed.arrived] == [100, HELD]
    assert [fate.sent is not None for fate in killed.fates] == [True, True]
    assert killed.outcomes == {"served": 1}
    let_go.set()
    with log.open("a", encoding="utf-8") as file:
        file.write('{"event": "requ')  # as a kill in the midst of a write leaves it
    with started(config, log) as (process, url):
        assert ask(url, 110) == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    history = read_logs([log])
    assert [asked.demand for _, _, asked in history.arrived] == [100, HELD, 110]
    made = tmp_path / "served.npz"
    told = ("data", "served", log, "--scenario", "smoke", "--workload", made, "--beside")
    with pytest.raises(SystemExit) as end:
        run_app(app, list(map(str, told)))
    assert end.value.code == 0
    shown = capsys.readouterr().out
    assert "3 requests: 2 served" in shown
    assert [line.split() for line in shown.splitlines() if "served (%)" in line] == [
        ["served", "(%)", "66.7", "100.0"]
    ]
    smoke = load_scenario("smoke")
    assert load_workload(made).digest == history.workload(smoke).digest
    assert np.array_equal(load_workload(made).tasks[:, 2], [100, HELD, 110])


def test_a_signal_to_stop_under_load_loses_nothing(config: Path, tmp_path: Path) -> None:
    log = tmp_path / "served.jsonl"
    with started(config, log) as (process, url), ThreadPoolExecutor(8) as pool:
        under_way = [pool.submit(ask, url, HELD) for _ in range(8)]
        for _ in under_way:
            assert held.acquire(timeout=60)
        process.send_signal(signal.SIGTERM)
        while is_well(url):
            pass
        with pytest.raises(HTTPError, match="503"):
            ask(url, 100)
        let_go.set()
        assert [one.result(60) for one in under_way] == [200] * 8
        assert process.wait(60) == 0
    history = read_logs([log])
    assert history.outcomes == {"served": 8}
    assert '"event":"stop"' in log.read_text("utf-8").splitlines()[-1]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{}", "line 1: "),
        ('{"event":"stop","t":1}', "line 1: 'stop' before any 'begin'"),
        ('{"event":"request","t":-1,"id":0,"type":0,"demand":1,"run_time_ms":1}', "request.t: "),
    ],
)
def test_what_is_no_log_is_told(tmp_path: Path, line: str, told: str) -> None:
    path = tmp_path / "log"
    path.write_text(line + "\n", "utf-8")
    with pytest.raises(ServingError) as error:
        read_logs([path])
    assert told in str(error.value)


SERVERS = {
    "capacity": [100] * 2,
    "baseline": [[[0.5]]] * 2,
    "curve": [[[0, 0, 1, 0]]] * 2,
}
BEGIN = {"event": "begin", "scenario": "x", "digest": "", "backends": ["a", "b"]}
ASKED = {"event": "request", "id": 0, "type": 0, "demand": 1, "run_time_ms": 1}


def test_logs_of_several_gateways_are_one_history(tmp_path: Path) -> None:
    noticed = [
        [(5, "down", 0), (30, "up", 0), (50, "down", 1)],
        [(9, "down", 0), (31, "up", 0), (90, "down", 0)],
    ]
    logs = [tmp_path / f"{gateway}.jsonl" for gateway in range(2)]
    for gateway, log in enumerate(logs):
        servers = SERVERS | {"neighbours": [[gateway, 1 - gateway]] * 2}
        began = {"gateway": gateway, "started_ms": 1000 - 10 * gateway, "topology": servers}
        events = [{"event": how, "t": t, "server": one} for t, how, one in noticed[gateway]]
        lines = [BEGIN | began, *events, ASKED | {"t": 20}]
        log.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    history = read_logs(logs)
    assert [(time, gateway) for time, gateway, _ in history.arrived] == [(0, 1), (10, 0)]
    assert history.topology.neighbours is not None
    assert history.topology.neighbours.tolist() == [[0, 1], [1, 0]]
    assert history.downs == 3  # server 0 twice, the first time noticed by both


def test_a_log_is_of_one_gateway(tmp_path: Path) -> None:
    scenario = load_scenario("smoke")
    told = (tmp_path / "log", scenario, draw_topology(scenario), 0, "abc")
    first = EventLog(*told)
    with pytest.raises(ServingError, match="another gateway writes its log there"):
        EventLog(*told)
    first.close(0)
    EventLog(*told).close(0)


def test_a_log_without_requests_is_none(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("", "utf-8")
    with pytest.raises(ServingError, match="holds no request"):
        read_logs([tmp_path / "log", tmp_path / "log"])
