"""The HTTP front end of a gateway, on aiohttp: requests in, backends asked, answers passed on."""

from __future__ import annotations

import asyncio
import json
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp import web

from edge_marl.errors import ServingError
from edge_marl.serving.answers import REFUSALS, TRY_ELSEWHERE, Problem, answered_by
from edge_marl.serving.asked import PATHS, Asked, read_request
from edge_marl.serving.config import Backend
from edge_marl.serving.gateway import BackendError, Gateway, Left, Refused, Sending
from edge_marl.serving.log import Outcome
from edge_marl.serving.reports import read_report

__all__ = ["Front"]

PASSED = ("Authorization",)
"""Headers of a client's that a backend gets; they are written nowhere."""
IDLE_S = 2.0
"""Time that an unused connection is kept: less than servers do, so that none is closed under us."""


class Front:
    """Listens for a gateway while it is entered (`async with`).

    Args:
        gateway: that serves.

    Raises:
        ServingError: it cannot listen where its file says.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway, self._config = gateway, gateway.config
        self.port = self._config.port

    async def __aenter__(self) -> Self:
        """Start to listen, and to ask whether backends are up."""
        limits = self._config.limits
        app = web.Application(client_max_size=1024 * limits.body_kb)
        for path in PATHS:
            app.router.add_post(path, self._request)
        app.router.add_get("/healthz", self._health)
        app.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(
            app,
            access_log=None,
            shutdown_timeout=1.0,
            handler_cancellation=True,  # of a client that leaves: its backend is told by that
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._config.host, self._config.port)
        try:
            await site.start()
        except OSError as error:
            await self._runner.cleanup()
            raise ServingError(
                f"{self._config.host}:{self._config.port}: cannot listen there "
                f"({error.strerror or error}); state another host or port"
            ) from None
        self.port = self._runner.addresses[0][1]
        times = aiohttp.ClientTimeout(
            total=None, sock_connect=limits.connect_s, sock_read=limits.answer_s
        )
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE_S)
        self._session = aiohttp.ClientSession(timeout=times, connector=connector)
        self._probes = [
            asyncio.create_task(self._watch(server, backend))
            for server, backend in enumerate(self._config.backends)
        ]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let the requests that are there end, and stop."""
        await self._gateway.stop()
        for probe in self._probes:
            probe.cancel()
        await asyncio.gather(*self._probes, return_exceptions=True)
        await self._runner.cleanup()
        await self._session.close()
        self._gateway.close()

    # What clients ask.

    async def _health(self, request: web.Request) -> web.Response:
        if self._gateway.stopping:
            return web.json_response({"status": "stopping"}, status=503)
        return web.json_response({"status": "ok"})

    async def _metrics(self, request: web.Request) -> web.Response:
        return web.Response(
            text=self._gateway.metrics(), headers={"Content-Type": "text/plain; version=0.0.4"}
        )

    async def _request(self, request: web.Request) -> web.StreamResponse:
        try:
            async with asyncio.timeout(self._config.limits.body_s):
                content = await request.read()
        except TimeoutError:
            return _told(Problem(408, "slow", "the body did not come in time"))
        except web.HTTPRequestEntityTooLarge:
            most = self._config.limits.body_kb
            return _told(Problem(413, "too_large", f"the body is larger than {most} kB"))
        try:
            asked = read_request(request.path, content, self._config, self._gateway.scenario)
        except ServingError as error:
            return _told(Problem(400, "invalid", str(error)))
        call = _Call(self, request, asked)
        try:
            await self._gateway.serve(asked.request, call.ask)
        except Refused as refused:
            return _told(REFUSALS[type(refused)])
        except Left:
            pass
        except BackendError:
            assert call.answer is not None
            call.answer.force_close()  # what has gone of it cannot be taken back: it ends short
            if request.transport is not None:
                request.transport.abort()
        assert call.answer is not None
        return call.answer

    # What backends are asked.

    def headers(self, request: web.Request, name: str) -> dict[str, str]:
        """Return the headers that go with a request to a backend."""
        passed = {name: request.headers[name] for name in PASSED if name in request.headers}
        own = {"Content-Type": "application/json", "X-Request-Id": name}
        return passed | own

    @property
    def session(self) -> aiohttp.ClientSession:
        """Connections to backends."""
        return self._session

    @property
    def gateway(self) -> Gateway:
        """That serves."""
        return self._gateway

    async def _watch(self, server: int, backend: Backend) -> None:
        """Ask a backend, again and again, whether it is up and what it has."""
        while True:
            await self._probe(server, backend)
            await asyncio.sleep(self._config.limits.probe_s)

    async def _probe(self, server: int, backend: Backend) -> None:
        path = backend.report or backend.health
        if not path:  # nothing to ask: it is tried again with a request
            self._gateway.is_up(server)
            return
        try:
            async with (
                asyncio.timeout(self._config.limits.connect_s),
                self._session.get(backend.address + path) as answer,
            ):
                content = await answer.content.read(2**20)
                up = answer.status == 200
        except (aiohttp.ClientError, TimeoutError, OSError):
            up = False
        if not up:
            self._gateway.is_down(server)
        elif backend.report:
            self._gateway.is_up(server, *read_report(content, backend.models, self._gateway.run))
        else:
            self._gateway.is_up(server)


class _Call:
    """A request of a client's, while backends are asked to answer it."""

    def __init__(self, front: Front, request: web.Request, asked: Asked) -> None:
        self._front, self._request, self._asked = front, request, asked
        self._limits = front.gateway.config.limits
        self.answer: web.StreamResponse | None = None

    async def ask(self, sending: Sending) -> Outcome:
        """Have a backend answer, and give its answer to the client.

        Raises:
            BackendError: it does not.
            Left: the client did not wait for it.
        """
        gateway = self._front.gateway
        backend = gateway.config.backends[sending.choice.server]
        model = gateway.model_of(sending.choice)
        try:
            async with self._front.session.post(
                backend.address + self._asked.path,
                data=json.dumps(self._asked.passed_on(model, sending.choice.steps)).encode(),
                headers=self._front.headers(self._request, gateway.id_of(sending)),
                allow_redirects=False,
            ) as found:
                if found.status in TRY_ELSEWHERE:
                    raise BackendError(f"status {found.status}", down=False)
                told = {
                    "Content-Type": found.headers.get("Content-Type", "application/json"),
                    **answered_by(gateway, sending),
                }
                if self._asked.streams and found.status == 200:
                    await self._stream(found, told)
                else:
                    content = await self._whole(found)
                    self.answer = web.Response(body=content, status=found.status, headers=told)
                return "served" if found.status < 400 else "invalid"
        except aiohttp.ClientConnectorError:
            raise BackendError("unreachable", down=True) from None
        except TimeoutError:
            raise BackendError("late", down=True, again=self.answer is None) from None
        except (aiohttp.ClientError, OSError):
            raise BackendError("cut", down=True, again=self.answer is None) from None

    async def _whole(self, found: aiohttp.ClientResponse) -> bytes:
        """Return an answer when all of it is here."""
        most = self._limits.answer_mb * 2**20
        content = bytearray()
        async for part in found.content.iter_any():
            content += part
            if len(content) > most:
                raise BackendError("too large", down=False)
        return bytes(content)

    async def _stream(self, found: aiohttp.ClientResponse, told: dict[str, str]) -> None:
        """Pass an answer on as it comes.

        Raises:
            Left: the client has, before this request is cancelled for it.
        """
        async for part in found.content.iter_any():
            try:
                if self.answer is None:
                    self.answer = web.StreamResponse(headers=told)
                    await self.answer.prepare(self._request)
                await self.answer.write(part)
            except ConnectionError:
                raise Left from None
        if self.answer is None:
            raise BackendError("empty", down=False)
        try:
            await self.answer.write_eof()
        except ConnectionError:
            return


def _told(problem: Problem) -> web.Response:
    """Return a problem as an answer."""
    return web.json_response(problem.content, status=problem.status, headers=problem.headers)
