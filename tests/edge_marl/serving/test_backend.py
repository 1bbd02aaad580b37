"""The model server of the testbed: real steps, memory that runs out, and a start after that."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from http.client import RemoteDisconnected
from importlib import resources
from typing import Any

import numpy as np
import pytest

pytest.importorskip("aiohttp", reason="pip install 'edge-marl[serve]'")

from edge_marl.serving.backend.denoiser import quality_of
from edge_marl.serving.backend.engine import OUT_OF_MEMORY, Engine, Full, Made, Task
from edge_marl.serving.reports import read_report

LARGE = "digits-large"


def test_the_weights_are_small() -> None:
    weights = resources.files("edge_marl.serving.backend").joinpath("digits.npz")
    assert len(weights.read_bytes()) < 10**6


def test_more_steps_and_the_larger_model_make_better_digits() -> None:
    few, many = quality_of(LARGE, 1, each=16), quality_of(LARGE, 20, each=16)
    assert few < many - 0.05
    assert 0.7 < quality_of("digits-small", 20, each=16) < many


class Tasks:
    """Tasks of an engine, and what came of them."""

    def __init__(self) -> None:
        self.made: dict[str, Made] = {}
        self.changed = threading.Condition()

    def task(self, name: str, steps: int, sheets: int = 1) -> Task:
        def done(made: Made) -> None:
            with self.changed:
                self.made[name] = made
                self.changed.notify()

        return Task(name, LARGE, 3, steps, sheets, np.random.default_rng(0), done)

    def wait_for(self, count: int) -> list[str]:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.made) >= count, timeout=60)
            return list(self.made)


def test_tasks_wait_in_a_line_and_come_out_in_order() -> None:
    engine, tasks = Engine(capacity=20, line=2, step_mib=1, tiles=4), Tasks()
    with engine._changed:  # it takes no step before all are there
        engine.submit(tasks.task("a", 20))
        engine.submit(tasks.task("b", 16, sheets=2))
        for name, steps in (("c", 5), ("too large", 21)):
            with pytest.raises(Full):
                engine.submit(tasks.task(name, steps))
        services, others = read_report(
            engine.report().model_dump_json().encode(), [LARGE, "x"], "r"
        )
    assert services == [0]
    assert [(other.service, other.steps) for other in others] == [(0, 20), (0, 16)]
    assert tasks.wait_for(2) == ["a", "b"]
    assert len(tasks.made["b"].sheets) == 2
    assert tasks.made["a"].sheets[0].shape == (4, 64)
    assert engine.report().tasks == []


def ask(url: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(url, data, timeout=60) as answer:
        return json.loads(answer.read())


def test_one_task_too_many_ends_the_server_and_it_is_started_again() -> None:
    code = "from edge_marl.cli import main; main()"
    told = ("backend", "--port", "0", "--capacity", "100", "--tiles", "256")
    with (
        subprocess.Popen(
            [sys.executable, "-c", code, *told], stdout=subprocess.PIPE, text=True
        ) as process,
        ThreadPoolExecutor() as pool,
    ):
        assert process.stdout is not None
        try:
            url = process.stdout.readline().split()[-1]
            image = ask(f"{url}/v1/images/generations", {"prompt": "a 7", "steps": 3, "n": 2})
            assert (len(image["data"]), image["steps"]) == (2, 6)
            running = pool.submit(ask, f"{url}/v1/tasks", {"type": 3, "steps": 100})
            while not ask(f"{url}/report")["tasks"]:
                pass
            with pytest.raises((urllib.error.URLError, RemoteDisconnected, ConnectionError)):
                ask(f"{url}/v1/tasks", {"type": 1, "steps": 120, "model": "digits-small"})
            assert running.exception() is not None
            assert process.stdout.readline() == f"died with exit code {OUT_OF_MEMORY}\n"
            assert process.stdout.readline().startswith(f"ready on {url}, ")
            assert ask(f"{url}/v1/tasks", {"steps": 2})["steps"] == 2
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        finally:
            process.kill()
