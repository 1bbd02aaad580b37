"""A picker behind a real Envoy, end to end on loopback: written configuration and changed ones."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

aiohttp = pytest.importorskip("aiohttp", reason="pip install 'edge-marl[serve]'")
grpc = pytest.importorskip("grpc", reason="pip install 'edge-marl[epp]'")
pytest.importorskip("xds", reason="pip install 'edge-marl[epp]'")
from edge_marl.benchmarks.measure.serving_fronts import (  # noqa: E402 (after the skips)
    envoy_binary,
    free_port,
)
from edge_marl.errors import ServingError  # noqa: E402 (after the skips)

try:
    ENVOY = envoy_binary()
except ServingError as missing:
    pytest.skip(str(missing), allow_module_level=True)

from aiohttp import web  # noqa: E402 (after the skips)
from envoy.service.ext_proc.v3.external_processor_pb2 import (  # noqa: E402 (after the skips)
    ProcessingRequest,
)

from edge_marl.cli import app  # noqa: E402 (after the skips)
from edge_marl.console import run_app  # noqa: E402 (after the skips)
from edge_marl.serving.config import Config  # noqa: E402 (after the skips)
from edge_marl.serving.proxy.envoy import envoy_config  # noqa: E402 (after the skips)
from edge_marl.serving.proxy.picker import Picker, _Call, endpoints  # noqa: E402 (after the skips)
from tests.edge_marl.serving.live import (  # noqa: E402 (after the skips)
    TASK,
    Dummy,
    InTurn,
    Live,
    config_of,
    send_many,
    serving,
)

BUFFERED = """                request_body_mode: BUFFERED
                response_header_mode: SEND
                response_body_mode: NONE
"""
STREAMED = """                request_body_mode: FULL_DUPLEX_STREAMED
                request_trailer_mode: SEND
                response_header_mode: SEND
                response_body_mode: FULL_DUPLEX_STREAMED
                response_trailer_mode: SEND
"""
ORIGINAL_DST = """  - name: backends
    type: ORIGINAL_DST
    connect_timeout: 2s
    lb_policy: CLUSTER_PROVIDED
    original_dst_lb_config:
      use_http_header: true
      http_header_name: x-gateway-destination-endpoint
"""
FILTERS = "          http_filters:\n"
HINT = """          - name: envoy.filters.http.set_metadata
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.set_metadata.v3.Config
              metadata:
              - metadata_namespace: envoy.lb.subset_hint
                value: {x-gateway-destination-endpoint-subset: SUBSET}
"""

Change = Callable[[str, list[Dummy]], str]


@asynccontextmanager
async def envoy(path: Path) -> AsyncIterator[None]:
    """Have Envoy listen."""
    told = ("-c", path, "--disable-hot-restart", "--concurrency", "1", "-l", "info")
    process = await asyncio.create_subprocess_exec(ENVOY, *map(str, told), stderr=PIPE)
    assert process.stderr is not None
    said = b""
    async with asyncio.timeout(60):
        while b"starting main dispatch loop" not in said:
            line = await process.stderr.readline()
            assert line, f"Envoy has ended: {said.decode()}"
            said += line
    rest = asyncio.create_task(process.stderr.read())
    try:
        yield
    finally:
        process.kill()
        await process.wait()
        await rest


@asynccontextmanager
async def behind_envoy(
    dummies: list[Dummy],
    folder: Path,
    change: Change = lambda config, dummies: config,
    **more: Any,
) -> AsyncIterator[Live]:
    """Have Envoy ask a gateway's picker; what is yielded is asked by way of Envoy."""
    async with serving(dummies, folder / "log", **more) as live, Picker(live.gateway, 0) as picker:
        port = free_port()
        written = envoy_config("serve.toml", live.gateway.config, picker.port, port)
        (folder / "envoy.yaml").write_text(change(written, dummies), "utf-8")
        async with envoy(folder / "envoy.yaml"):
            live.url = f"http://127.0.0.1:{port}"
            yield live


def three(**of_first: Any) -> list[Dummy]:
    return [Dummy("a", **of_first), Dummy("b"), Dummy("c")]


def events(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log").read_text("utf-8").splitlines()]


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.001)


async def held(dummy: Dummy, request: web.Request) -> web.StreamResponse:
    """Answer in two parts, the second when it is let go."""
    answer = web.StreamResponse()
    await answer.prepare(request)
    await answer.write(b"first ")
    dummy.asked.set()
    await dummy.let_go.wait()
    await answer.write(b"last")
    return answer


def streamed(config: str, dummies: list[Dummy]) -> str:
    """As llm-d, Istio and GKE have it: all bodies pass through the picker."""
    assert BUFFERED in config
    return config.replace(BUFFERED, STREAMED)


def original_dst(config: str, dummies: list[Dummy]) -> str:
    return config[: config.index("  - name: backends\n")] + ORIGINAL_DST


@pytest.mark.parametrize("change", [None, streamed, original_dst])
def test_a_request_goes_where_the_policy_says(tmp_path: Path, change: Change | None) -> None:
    async def run() -> None:
        dummies = three()
        more: dict[str, Any] = {"change": change} if change else {}
        async with behind_envoy(dummies, tmp_path, attempts=1, body_kb=300, **more) as live:
            task = TASK | {"input": "x" * 200_000}
            async with live.session.post(live.url + "/v1/tasks", json=task) as answer:
                told = await answer.json()
                assert told["by"] == "a"
                assert told["got"] == {"type": 1, "model": "a", "steps": 100} | {
                    "input": "x" * 200_000
                }
                assert answer.headers["X-Edge-Marl-Server"] == "a"
                assert answer.headers["X-Edge-Marl-Steps"] == "100"
            assert dummies[0].ids == [f"{live.gateway.run}-0"]
            for path, body, status in (
                ("/v1/tasks", "{", 400),
                ("/v1/tasks", '{"demand": 1000}', 400),
                ("/other", "{}", 404),
                ("/v1/tasks", f'"{"x" * 400_000}"', 413),
            ):
                async with live.session.post(live.url + path, data=body) as answer:
                    assert answer.status == status, await answer.text()
            told = {"X": "x" * 10**7}
            with suppress(aiohttp.ClientError):  # it is cut off long before the end
                async with live.session.post(live.url + "/v1/tasks", headers=told) as answer:
                    assert answer.status == 431
            async with live.session.get(live.url + "/v1/tasks") as answer:
                assert (await answer.json())["error"]["message"] == "there is no body; post JSON"
            live.gateway.world.declines = lambda action: True  # type: ignore[method-assign]  # for this test
            assert (await live.post(TASK))[0] == 429
            del live.gateway.world.declines
            dummies[0].answer = held
            async with live.session.post(live.url + "/v1/tasks", json=TASK) as answer:
                assert await answer.content.readany() == b"first "
                await until(lambda: "in_flight 1" in live.gateway.metrics())
                dummies[0].let_go.set()
                assert await answer.read() == b"last"
            await until(lambda: "in_flight 0" in live.gateway.metrics())

    asyncio.run(run())
    outcomes = [event["outcome"] for event in events(tmp_path) if event["event"] == "end"]
    assert outcomes == ["served", "declined", "served"]


def test_many_requests_are_each_sent_once(tmp_path: Path) -> None:
    async def run() -> None:
        dummies = three()
        async with behind_envoy(dummies, tmp_path, act=InTurn().act) as live:
            await send_many(live, dummies)
            await until(lambda: live.gateway.counters.of("requests", "served") == 1000)
        assert min(len(dummy.ids) for dummy in dummies) == 333

    asyncio.run(run())


async def fail(dummy: Dummy, request: web.Request) -> web.StreamResponse:
    return web.json_response({}, status=500)


def test_where_a_backend_is_gone_the_next_of_the_list_answers(tmp_path: Path) -> None:
    async def run() -> None:
        dummies = three(address="http://127.0.0.1:9", health="")
        async with behind_envoy(dummies, tmp_path, probe_s=60) as live:
            status, answer = await live.post(TASK)
            assert (status, answer["by"]) == (200, "b")
            by = live.gateway.counters.of
            await until(lambda: by("requests", "served") == 1)
            assert (by("failures", "a", "passed over"), by("sent", "b")) == (1, 1)
            dummies[1].answer = fail
            assert (await live.post(TASK))[0] == 500
            await until(lambda: by("failures", "b", "status 500") == 1)

    asyncio.run(run())
    sent = [event for event in events(tmp_path) if event["event"] == "send"]
    assert [(event["server"], event["by"]) for event in sent[:2]] == [(0, "policy"), (1, "failed")]


async def hang(dummy: Dummy, request: web.Request) -> web.StreamResponse:
    await dummy.let_go.wait()
    return web.Response()


def test_a_backend_that_hangs_is_passed_over_each_time(tmp_path: Path) -> None:
    async def run() -> None:
        dummies = three(answer=hang, health="")
        async with behind_envoy(dummies, tmp_path, answer_s=1.0, probe_s=60) as live:
            answers = await asyncio.gather(*(live.post(TASK) for _ in range(4)))
            assert [(status, answer["by"]) for status, answer in answers] == [(200, "b")] * 4
            by = live.gateway.counters.of
            await until(lambda: by("requests", "served") == 4)
            assert (by("failures", "a", "passed over"), by("sent", "b")) == (4, 4)
            dummies[1].answer = hang
            async with live.session.post(live.url + "/v1/tasks", json=TASK) as answer:
                assert answer.status == 504
            await until(lambda: by("failures", "b", "status 504") == 1)
            assert by("failures", "a", "passed over") == 5
            for dummy in dummies:
                dummy.let_go.set()

    asyncio.run(run())


def test_a_hint_of_the_proxy_is_a_mask(tmp_path: Path) -> None:
    def hint(config: str, dummies: list[Dummy]) -> str:
        subset = [dummies[2].address.removeprefix("http://"), "10.0.0.1:1"]
        return config.replace(FILTERS, FILTERS + HINT.replace("SUBSET", json.dumps(subset)))

    def act(observation: Any, info: Any) -> Any:
        masks.append(info["action_mask"][0].tolist())
        return info["action_mask"].argmax(1)

    masks: list[list[int]] = []

    async def run() -> None:
        dummies = three()
        async with behind_envoy(dummies, tmp_path, hint, act=act) as live:
            assert (await live.post(TASK))[1]["by"] == "c"
            assert masks == [[0, 0, 0, 0, 1, 1]]
            # Where nothing but to decline is left, nobody is there.
            live.gateway.world.declines = lambda action: True  # type: ignore[method-assign]  # for this test
            status, answer = await live.post(TASK)
            assert (status, answer["error"]["type"]) == (503, "no_server")

    asyncio.run(run())


def test_a_client_that_leaves_ends_its_request(tmp_path: Path) -> None:
    async def run() -> None:
        dummies = three(answer=held)
        async with behind_envoy(dummies, tmp_path) as live:
            leaving = asyncio.create_task(live.post(TASK))
            await dummies[0].asked.wait()
            leaving.cancel()
            await until(lambda: "in_flight 0" in live.gateway.metrics())
            dummies[0].let_go.set()

    asyncio.run(run())


@pytest.mark.parametrize("address", ["https://127.0.0.1:1", "http://host:1", "http://10.0.0.1:x"])
def test_a_backend_that_no_proxy_can_be_told_is_named(address: str) -> None:
    config: Config = config_of([Dummy(name, address=address) for name in "abc"])
    with pytest.raises(
        ServingError, match=r"backend 'a' has address = .* state it as http://IP:PORT"
    ):
        endpoints(config)


def test_health_is_that_of_grpc(tmp_path: Path) -> None:
    async def run() -> None:
        async with (
            serving(three(), tmp_path / "log") as live,
            Picker(live.gateway, 0) as picker,
            grpc.aio.insecure_channel(f"127.0.0.1:{picker.port}") as channel,
        ):
            check = channel.unary_unary("/grpc.health.v1.Health/Check")
            assert await check(b"") == b"\x08\x01"
            await live.gateway.stop()
            assert await check(b"") == b"\x08\x02"

    asyncio.run(run())


def test_the_command_writes_what_envoy_takes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, written = tmp_path / "serve.toml", tmp_path / "envoy.yaml"
    backends = "".join(
        f'[[backends]]\nname = "b{k}"\naddress = "http://127.0.0.1:{k}"\nmodels = ["x", "y"]\n'
        for k in (1, 2, 3)
    )
    config.write_text(f'scenario = "smoke"\nport = 0\nhost = "localhost"\n{backends}', "utf-8")
    told = ("serve", config, "--agent", "random", "--log", tmp_path / "log")
    more = ("--epp", 0, "--write-envoy", written)
    code = "from edge_marl.cli import main; main()"
    with subprocess.Popen(
        [sys.executable, "-c", code, *map(str, told + more)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(3)]
        process.terminate()
        assert process.wait(30) == 0
    assert lines[0].startswith("picking for proxies on localhost:")
    assert lines[1] == f"{written} has Envoy listen on port 10000: envoy -c {written}\n"
    checked = [str(ENVOY), "--mode", "validate", "-c", str(written)]
    assert b"OK" in subprocess.run(checked, check=True, capture_output=True).stdout
    with pytest.raises(SystemExit) as end:
        run_app(app, [*map(str, told), "--write-envoy", str(written)])
    assert end.value.code == 2
    assert "nobody for Envoy to ask; give --epp PORT too" in capsys.readouterr().err


def test_a_stream_that_ends_while_it_is_answered_was_served() -> None:
    """A proxy that has all it needs may end it before the answer to its headers is away."""
    choice = SimpleNamespace(server=0, steps=10)
    sending: Any = SimpleNamespace(choice=choice, others=(), number=0)
    backends = [SimpleNamespace(name="a")]
    gateway = SimpleNamespace(
        model_of=lambda choice: "m", id_of=str, config=SimpleNamespace(backends=backends)
    )
    head = ProcessingRequest(
        response_headers={"headers": {"headers": [{"key": ":status", "raw_value": b"200"}]}}
    )

    class Context:
        async def write(self, message: Any) -> None:
            if message.WhichOneof("response") == "response_headers":
                raise asyncio.CancelledError

    async def messages() -> AsyncIterator[Any]:
        yield head

    async def run() -> str:
        picker: Any = SimpleNamespace(gateway=gateway, endpoints=("127.0.0.1:1",))
        context: Any = Context()
        call: Any = _Call(picker, context)
        call._messages = messages()
        call._asked = SimpleNamespace(passed_on=lambda model, steps: {})
        return await call.ask(sending)  # type: ignore[no-any-return]  # call: Any

    assert asyncio.run(run()) == "served"
