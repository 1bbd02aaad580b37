"""The process of a model server: HTTP in front of an engine. `supervisor.py` starts it."""

from __future__ import annotations

import asyncio
import base64
import io
import os
import re
import secrets
import sys
import threading
import time
from typing import Any

import numpy as np
from aiohttp import web
from PIL import Image

from edge_marl.serving import stop_asked
from edge_marl.serving.backend.denoiser import CLASSES, MODELS, PIXELS
from edge_marl.serving.backend.engine import Engine, Full, Made, Task, limit_memory

__all__ = ["Server", "main", "serve"]

MOST_STEPS, MOST_SHEETS = 10_000, 64


class Server:
    """Answers requests for digits.

    Args:
        engine: that makes them.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def app(self) -> web.Application:
        """Return the routes."""
        app = web.Application(client_max_size=2**20)
        app.router.add_post("/v1/images/generations", self._images)
        app.router.add_post("/v1/tasks", self._task)
        app.router.add_get("/healthz", self._health)
        app.router.add_get("/report", self._report)
        return app

    async def _health(self, request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _report(self, request: web.Request) -> web.Response:
        return web.Response(
            text=self._engine.report().model_dump_json(), content_type="application/json"
        )

    async def _images(self, request: web.Request) -> web.Response:
        """OpenAI-style: the first digit in the prompt is what is asked for."""
        body = await _object(request)
        found = re.search(r"\d", str(body.get("prompt", "")))
        sheets = _whole(body, "n", 1, MOST_SHEETS)
        steps = _whole(body, "steps", 20, MOST_STEPS) * sheets
        made = await self._made(request, body, int(found[0]) if found else 0, steps, sheets)
        data = [{"b64_json": _png(sheet)} for sheet in made.sheets]
        return web.json_response(
            {"created": int(time.time()), "data": data, "quality": made.quality, "steps": steps}
        )

    async def _task(self, request: web.Request) -> web.Response:
        """The gateway's own JSON: the type of the task is the digit."""
        body = await _object(request)
        digit = body.get("type", 0)
        digit = digit % CLASSES if isinstance(digit, int) else 0
        steps = _whole(body, "steps", 20, MOST_STEPS)
        made = await self._made(request, body, digit, steps, 1)
        return web.json_response({"quality": made.quality, "steps": steps})

    async def _made(
        self, request: web.Request, body: dict[str, Any], digit: int, steps: int, sheets: int
    ) -> Made:
        model = body.get("model", next(iter(MODELS)))
        if model not in MODELS:
            raise _bad(f"model = {model!r}: must be one of {', '.join(MODELS)}")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Made] = loop.create_future()

        def tell(made: Made) -> None:
            if not answer.done():  # its client may have gone
                answer.set_result(made)

        def done(made: Made) -> None:
            loop.call_soon_threadsafe(tell, made)

        seed = abs(body["seed"]) if isinstance(body.get("seed"), int) else None
        name = request.headers.get("X-Request-Id", secrets.token_hex(8))
        task = Task(name, model, digit, steps, sheets, np.random.default_rng(seed), done)
        try:
            self._engine.submit(task)
        except Full:
            raise web.HTTPTooManyRequests(text="the line is full") from None
        return await answer


async def _object(request: web.Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError:
        raise _bad("the body is not JSON") from None
    if not isinstance(body, dict):
        raise _bad("the body is no JSON object")
    return body


def _whole(body: dict[str, Any], name: str, default: int, most: int) -> int:
    value = body.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise _bad(f"{name} = {value!r}: must be a whole number, 1 to {most}")
    return value


def _bad(text: str) -> web.HTTPBadRequest:
    return web.HTTPBadRequest(text=text)


def _png(sheet: np.ndarray[Any, Any]) -> str:
    """Return a sheet of digits as a picture, eight in a row."""
    rows = np.clip((sheet + 1) * 127.5, 0, 255).astype(np.uint8).reshape(-1, 8, 8)
    rows = np.concatenate([rows, np.zeros((-len(rows) % 8, 8, 8), np.uint8)])
    picture = rows.reshape(-1, 8, 8, 8).transpose(0, 2, 1, 3).reshape(-1, 64)
    target = io.BytesIO()
    Image.fromarray(picture).save(target, "png")
    return base64.b64encode(target.getvalue()).decode()


async def serve(engine: Engine, host: str, port: int, ready: Any) -> None:
    """Listen until a signal to stop.

    Args:
        engine: that makes what is asked for.
        host: address to listen on.
        port: 0 is a free one.
        ready: called with the port.
    """
    stop = stop_asked()
    runner = web.AppRunner(Server(engine).app(), access_log=None, shutdown_timeout=5.0)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    ready(runner.addresses[0][1])
    await stop.wait()
    await runner.cleanup()


def _end_with_supervisor() -> None:
    """End this process when the one that started it does."""
    sys.stdin.read()
    os._exit(0)


def main(args: list[str]) -> None:
    """Serve, and write `ready PORT` to standard output when it is.

    Args:
        args: host, port, capacity, line, memory of a step in MiB, digits on a sheet.
    """
    host, *numbers = args
    port, capacity, line, step_mib, tiles = map(int, numbers)
    threading.Thread(target=_end_with_supervisor, daemon=True).start()
    engine = Engine(capacity, line, step_mib, tiles)

    engine.warm_up()
    _png(np.zeros((tiles, PIXELS), dtype=np.float32))

    def ready(found: int) -> None:
        if not line:
            limit_memory(capacity, step_mib)
        sys.stdout.write(f"ready {found}\n")
        sys.stdout.flush()

    asyncio.run(serve(engine, host, port, ready))


if __name__ == "__main__":
    main(sys.argv[1:])
