"""The process of a model server: HTTP in front of an engine. `supervisor.py` starts it."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
import threading
from typing import Any

from aiohttp import web

from edge_marl.serving import stop_asked
from edge_marl.serving.backend.engine import Engine, Full, limit_memory
from edge_marl.serving.backend.kind import Asked, Kind, Task, WrongRequestError

__all__ = ["Server", "main", "serve"]


class Server:
    """Answers requests.

    Args:
        engine: that computes what is asked for.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine, self._kind = engine, engine.kind

    def app(self) -> web.Application:
        """Return the routes."""
        app = web.Application(client_max_size=2**20)
        for path in self._kind.paths:
            app.router.add_post(path, self._request)
        app.router.add_get("/healthz", self._health)
        app.router.add_get("/report", self._report)
        return app

    async def _health(self, request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _report(self, request: web.Request) -> web.Response:
        return web.Response(
            text=self._engine.report().model_dump_json(), content_type="application/json"
        )

    async def _request(self, request: web.Request) -> web.Response:
        body = await _object(request)
        try:
            model = body.get("model", self._kind.models[0])
            if model not in self._kind.models:
                known = ", ".join(self._kind.models)
                raise WrongRequestError(f"model = {model!r}: must be one of {known}")
            asked = self._kind.asked(request.path, body)
        except WrongRequestError as wrong:
            raise web.HTTPBadRequest(text=str(wrong)) from None
        made = await self._made(request, model, asked)
        return web.json_response(self._kind.answer(request.path, asked, made))

    async def _made(self, request: web.Request, model: str, asked: Asked) -> Any:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()

        def tell(made: Any) -> None:
            if not answer.done():  # its client may have gone
                answer.set_result(made)

        def done(made: Any) -> None:
            loop.call_soon_threadsafe(tell, made)

        name = request.headers.get("X-Request-Id", secrets.token_hex(8))
        task = Task(name, model, asked, done)
        try:
            self._engine.submit(task)
        except Full:
            raise web.HTTPTooManyRequests(text="the line is full") from None
        try:
            return await answer
        except asyncio.CancelledError:
            self._engine.leave(task)
            raise


async def _object(request: web.Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError:
        raise web.HTTPBadRequest(text="the body is not JSON") from None
    if not isinstance(body, dict):
        raise web.HTTPBadRequest(text="the body is no JSON object")
    return body


async def serve(engine: Engine, host: str, port: int, ready: Any) -> None:
    """Listen until a signal to stop.

    Args:
        engine: that makes what is asked for.
        host: address to listen on.
        port: 0 is a free one.
        ready: called with the port.
    """
    stop = stop_asked()
    runner = web.AppRunner(
        Server(engine).app(),
        access_log=None,
        shutdown_timeout=5.0,
        handler_cancellation=True,  # of a client that leaves, which ends its task
    )
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    ready(runner.addresses[0][1])
    await stop.wait()
    await runner.cleanup()


def _end_with_supervisor() -> None:
    """End this process when the one that started it does."""
    sys.stdin.read()
    os._exit(0)


def _kind(name: str, tiles: int) -> Kind:
    """Return what is served; each kind loads what it alone needs."""
    if name == "text":
        from edge_marl.serving.backend.text import Text

        return Text()
    from edge_marl.serving.backend.digits import Digits

    return Digits(tiles)


def main(args: list[str]) -> None:
    """Serve; write `ready PORT` to standard output when it is, or why it cannot be.

    Args:
        args: kind, host, port, capacity, line, memory of a step in MiB, digits on a sheet.
    """
    name, host, *numbers = args
    port, capacity, line, step_mib, tiles = map(int, numbers)
    threading.Thread(target=_end_with_supervisor, daemon=True).start()
    kind = _kind(name, tiles)
    engine = Engine(kind, capacity, line, step_mib)
    engine.warm_up()

    def ready(found: int) -> None:
        if not line:
            limit_memory(capacity, step_mib, kind.slack_mib)
        sys.stdout.write(f"ready {found}\n")
        sys.stdout.flush()

    try:
        asyncio.run(serve(engine, host, port, ready))
    except OSError as error:
        sys.stdout.write(
            f"{host}:{port}: cannot listen there ({error.strerror or error}); "
            "state another host or port\n"
        )
        sys.exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
