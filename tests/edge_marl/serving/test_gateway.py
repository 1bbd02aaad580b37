"""A gateway with dummy backends, end to end on loopback."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

aiohttp = pytest.importorskip("aiohttp", reason="pip install 'edge-marl[serve]'")

from aiohttp import web  # noqa: E402 (after the skip)

from edge_marl.serving.log import read_logs  # noqa: E402 (after the skip)
from tests.edge_marl.serving.live import (  # noqa: E402 (after the skip)
    SMOKE,
    TASK,
    Dummy,
    InTurn,
    echo,
    send_many,
    serving,
)


def three(**of_first: Any) -> list[Dummy]:
    return [Dummy("a", **of_first), Dummy("b"), Dummy("c")]


def test_many_requests_are_each_sent_once_and_come_back_from_the_log(tmp_path: Path) -> None:
    async def run() -> None:
        dummies = three()
        async with serving(dummies, tmp_path / "log", InTurn().act) as live:
            await send_many(live, dummies)
            async with live.session.get(live.url + "/metrics") as told:
                text = await told.text()
        assert min(len(dummy.ids) for dummy in dummies) == 333
        assert 'edge_marl_requests_total{outcome="served"} 1000' in text
        assert 'edge_marl_server_up{server="a"} 1' in text
        assert "edge_marl_request_seconds_count 1000" in text

    asyncio.run(run())
    history = read_logs([tmp_path / "log"])
    assert history.outcomes == {"served": 1000}
    workload = history.workload(SMOKE)
    assert workload.num_tasks == 1000
    assert set(workload.tasks[:, 2]) == {100}
    assert history.trace(SMOKE).count("\n") == 1001


async def cut(dummy: Dummy, request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def hang(dummy: Dummy, request: web.Request) -> web.StreamResponse:
    await dummy.let_go.wait()
    return web.Response()


async def fail(dummy: Dummy, request: web.Request) -> web.StreamResponse:
    return web.Response(status=503)


@pytest.mark.parametrize(
    ("first", "how"),
    [
        ({"address": "http://127.0.0.1:9"}, "unreachable"),
        ({"answer": cut}, "cut"),
        ({"answer": hang}, "late"),
        ({"answer": fail}, "status 503"),
    ],
)
def test_a_backend_that_fails_is_left_for_another(
    tmp_path: Path, first: dict[str, Any], how: str
) -> None:
    async def run() -> None:
        dummies = three(**first, health="")
        async with serving(dummies, tmp_path / "log", answer_s=0.2, probe_s=60) as live:
            status, answer = await live.post(TASK)
            assert (status, answer["by"]) == (200, "b")
            assert live.gateway.counters.of("failures", "a", how) == 1
            assert live.gateway.counters.of("decisions", "failed") == 1
            assert live.gateway.world.is_down(0) == (how != "status 503")
            if how != "status 503":  # it is not tried again, whatever the policy wants
                assert (await live.post(TASK))[1]["by"] == "b"
                assert live.gateway.counters.of("decisions", "closed") == 1
            dummies[0].let_go.set()

    asyncio.run(run())


def test_a_backend_that_comes_up_is_used_again(tmp_path: Path) -> None:
    async def run() -> None:
        dummies = three(up=False)
        async with serving(dummies, tmp_path / "log") as live:
            async with asyncio.timeout(5):
                while not live.gateway.world.is_down(0):
                    await asyncio.sleep(0)
                assert (await live.post(TASK))[1]["by"] == "b"
                dummies[0].up = True
                while live.gateway.world.is_down(0):
                    await asyncio.sleep(0)
            assert (await live.post(TASK))[1]["by"] == "a"

    asyncio.run(run())


def test_without_a_backend_a_request_is_refused(tmp_path: Path) -> None:
    async def run() -> None:
        dummies = [Dummy(name, address="http://127.0.0.1:9") for name in "abc"]
        async with serving(dummies, tmp_path / "log", attempts=5) as live:
            status, answer = await live.post(TASK)
            assert (status, answer["error"]["type"]) == (503, "no_server")

    asyncio.run(run())
    assert read_logs([tmp_path / "log"]).outcomes == {"refused": 1}


def test_a_policy_that_raises_errs_or_is_late_is_replaced(tmp_path: Path) -> None:
    let_go = threading.Event()
    answers = iter([1 / 4, 99, "late", 0])

    def act(observation: Any, info: Any) -> Any:
        answer = next(answers)
        if answer == "late":
            let_go.wait(10)
            return np.array([0])
        if answer == 1 / 4:
            raise KeyError("what an agent may raise")
        return np.array([answer])

    async def run() -> None:
        async with serving(three(), tmp_path / "log", act, decide_s=0.2) as live:
            by = live.gateway.counters.of
            for _ in range(4):  # the fourth while the third is still being thought about
                assert (await live.post(TASK))[0] == 200
            assert (by("decisions", "raised"), by("decisions", "late")) == (2, 2)
            let_go.set()
            async with asyncio.timeout(5):
                while by("decisions", "policy") == 0:
                    await live.post(TASK)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("path", "body", "told"),
    [
        ("/v1/tasks", "{", "the body is not JSON"),
        ("/v1/tasks", "[]", "the body is no JSON object"),
        ("/v1/tasks", "{}", "demand is missing"),
        ("/v1/tasks", '{"demand": 1000}', "it asks for 1000 steps: scenario 'smoke' has at most"),
        ("/v1/tasks", '{"demand": 9, "type": "x"}', "type = 'x': must be 0 to 3"),
        ("/v1/tasks", '{"demand": 9, "class": "x"}', "class = 'x': scenario 'smoke' has none"),
        ("/v1/tasks", '{"demand": 9, "deadline_s": NaN}', "deadline_s = nan: must be a time"),
        ("/v1/images/generations", '{"n": 0}', "n = 0: must be a whole number, 1 to 64"),
        ("/v1/images/generations", '{"task": 3}', "task = 3: must be an object"),
        ("/v1/completions", '{"prompt": ["a"]}', "prompt = ['a']: must be text"),
    ],
)
def test_what_is_no_request_is_told(tmp_path: Path, path: str, body: str, told: str) -> None:
    from edge_marl.errors import ServingError
    from edge_marl.serving.asked import read_request
    from tests.edge_marl.serving.live import config_of

    dummies = [Dummy(name, address="http://127.0.0.1:9") for name in "abc"]
    with pytest.raises(ServingError) as error:
        read_request(path, body.encode(), config_of(dummies), SMOKE)
    assert str(error.value).startswith(told)


def test_limits_hold_and_a_client_is_told(tmp_path: Path) -> None:
    async def run() -> None:
        limits: dict[str, Any] = {"body_kb": 4, "in_flight": 1, "stop_s": 0.05}
        async with serving(three(answer=hang), tmp_path / "log", **limits) as live:
            assert (await live.post("x"))[0] == 400
            status, answer = await live.post(TASK | {"input": "x" * 5000})
            assert (status, answer["error"]["type"]) == (413, "too_large")
            async with live.session.post(
                live.url + "/v1/tasks", headers={"X": "x" * 10**5}
            ) as told:
                assert told.status == 400
            waiting = asyncio.create_task(live.post(TASK))
            while live.gateway.counters.of("sent", "a") == 0:
                await asyncio.sleep(0)
            status, answer = await live.post(TASK)
            assert (status, answer["error"]["type"]) == (503, "busy")
            waiting.cancel()

    asyncio.run(run())


def test_ten_megabytes_of_headers_are_not_taken(tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(three(), tmp_path / "log") as live:
            reader, writer = await asyncio.open_connection("127.0.0.1", live.front.port)
            writer.write(b"POST /v1/tasks HTTP/1.1\r\nHost: x\r\nX: ")
            answer = b""
            with suppress(ConnectionError):  # it is cut off long before the end
                for _ in range(10):
                    writer.write(b"x" * 2**20)
                    await writer.drain()
                writer.write(b"\r\n\r\n")
                answer = await reader.read()
            assert not answer or b" 400 " in answer.splitlines()[0]
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
            assert (await live.post(TASK))[0] == 200
        assert live.gateway.counters.of("requests", "served") == 1

    asyncio.run(run())


def test_a_client_that_never_ends_its_headers_holds_up_nobody(tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(three(), tmp_path / "log") as live:
            _, writer = await asyncio.open_connection("127.0.0.1", live.front.port)
            writer.write(b"POST /v1/tasks HTTP/1.1\r\nHost: x\r\nX-S")
            await writer.drain()
            assert (await live.post(TASK))[0] == 200
            assert await live.gateway.stop()
            writer.close()
            await writer.wait_closed()

    asyncio.run(run())


def test_a_slow_client_is_not_waited_for(tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(three(), tmp_path / "log", body_s=0.1) as live:
            reader, writer = await asyncio.open_connection("127.0.0.1", live.front.port)
            writer.write(b"POST /v1/tasks HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
            assert b"408" in await reader.readline()
            writer.close()
            await writer.wait_closed()

    asyncio.run(run())


async def endless(dummy: Dummy, request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse()
    await answer.prepare(request)
    while not dummy.let_go.is_set():
        await answer.write(b"part ")
        await asyncio.sleep(0)
    return answer


@pytest.mark.parametrize(
    ("answer", "more"), [(hang, {}), (endless, {}), (endless, {"stream": True})]
)
def test_a_client_that_leaves_has_its_backend_stop(
    tmp_path: Path, answer: Any, more: dict[str, Any]
) -> None:
    async def run() -> None:
        dummies = three(answer=answer)
        async with serving(dummies, tmp_path / "log") as live, asyncio.timeout(10):
            leaving = asyncio.create_task(live.post(TASK | more))
            await dummies[0].asked.wait()
            leaving.cancel()
            await dummies[0].left.wait()
            while "in_flight 0" not in live.gateway.metrics():
                await asyncio.sleep(0)
            assert not live.gateway.world.is_down(0)  # it is no fault of the backend's
            dummies[0].answer = echo
            assert (await live.post(TASK))[1]["by"] == "a"

    asyncio.run(run())
    assert read_logs([tmp_path / "log"]).outcomes == {"left": 1, "served": 1}


def test_a_client_that_leaves_while_the_policy_decides_is_waited_for(tmp_path: Path) -> None:
    asked, let_go = threading.Event(), threading.Event()

    def act(observation: Any, info: Any) -> Any:
        asked.set()
        let_go.wait(10)
        return np.array([2])

    async def run() -> None:
        async with serving(three(), tmp_path / "log", act) as live:
            by = live.gateway.counters.of
            leaving = asyncio.create_task(live.post(TASK))
            await asyncio.to_thread(asked.wait)
            leaving.cancel()
            while by("requests", "left") == 0:
                await asyncio.sleep(0.001)
            staying = asyncio.create_task(live.post(TASK))
            while "in_flight 1" not in live.gateway.metrics():
                await asyncio.sleep(0.001)
            let_go.set()
            assert (await staying)[1]["by"] == "b"
            assert (by("decisions", "policy"), by("decisions", "late")) == (1, 0)

    asyncio.run(run())


def test_a_full_disk_does_not_stop_the_serving(tmp_path: Path) -> None:
    async def run() -> None:
        with suppress(OSError), Path("/dev/full").open("a", buffering=1) as full:
            async with serving(three(), tmp_path / "log") as live:
                live.gateway._log._file.close()
                live.gateway._log._file = full
                assert (await live.post(TASK))[0] == 200
                assert live.gateway.counters.of("log_errors") == 3

    asyncio.run(run())


def test_stopping_lets_requests_end_and_takes_no_more(tmp_path: Path) -> None:
    async def slow(dummy: Dummy, request: web.Request) -> web.StreamResponse:
        await dummy.let_go.wait()
        return await echo(dummy, request)

    async def run() -> None:
        dummies = three(answer=slow)
        async with serving(dummies, tmp_path / "log") as live:
            under_way = asyncio.create_task(live.post(TASK))
            await dummies[0].asked.wait()
            stop = asyncio.create_task(live.gateway.stop())
            await asyncio.sleep(0)
            assert (await live.post(TASK))[0] == 503
            async with live.session.get(live.url + "/healthz") as health:
                assert health.status == 503
            dummies[0].let_go.set()
            assert (await under_way)[0] == 200
            assert await stop

    asyncio.run(run())
    lines = [json.loads(line) for line in (tmp_path / "log").read_text("utf-8").splitlines()]
    assert [line["event"] for line in lines] == ["begin", "request", "send", "end", "stop"]


def test_openai_style_requests_are_passed_on(tmp_path: Path) -> None:
    async def stream(dummy: Dummy, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        for part in (b"data: 1\n\n", b"data: 2\n\n"):
            await answer.write(part)
        if (await request.json()).get("user") == "cut":
            assert request.transport is not None
            request.transport.abort()
        return answer

    async def run() -> None:
        dummies = three()
        async with serving(dummies, tmp_path / "log") as live:
            images = {"prompt": "x", "n": 2, "steps": 50, "task": {"type": 2}, "model": "auto"}
            _, answer = await live.post(images, "/v1/images/generations")
            assert answer["got"] == {"prompt": "x", "n": 2, "steps": 50, "model": "a"}
            text = {"prompt": "x" * 400, "max_tokens": 1000, "stream": True}
            dummies[0].answer = stream
            async with live.session.post(live.url + "/v1/completions", json=text) as told:
                assert told.headers["X-Edge-Marl-Server"] == "a"
                assert await told.read() == b"data: 1\n\ndata: 2\n\n"
            with pytest.raises(aiohttp.ClientError):
                async with live.session.post(
                    live.url + "/v1/completions", json=text | {"user": "cut"}
                ) as told:
                    await told.read()
            assert live.gateway.counters.of("failures", "a", "cut") == 1

    asyncio.run(run())
    demands = [asked.demand for _, _, asked in read_logs([tmp_path / "log"]).arrived]
    assert demands == [100, 18, 18]


def test_the_page_tells_of_each_fault_which_test_shows_it() -> None:
    page = (Path(__file__).parents[3] / "docs/serving.md").read_text("utf-8")
    _, _, rows = page.partition("| what | what happens | shown by")
    lines = rows.partition("\n\n")[0].splitlines()[2:]
    named = re.findall(r"`(\w+_\w+)`", "".join(line.split("|")[3] for line in lines))
    files = "".join(path.read_text("utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    missing = [name for name in named if f"def test_{name}(" not in files]
    assert len(named) > 10
    assert not missing
