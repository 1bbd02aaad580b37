"""The Endpoint Picker protocol: a proxy asks over gRPC (Envoy's ext_proc) where a request goes.

It forwards the request itself. Each request has its own stream of messages, which ends with it.

Source: gateway-api-inference-extension, proposal 004, version 1.0 of the protocol.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import grpc
from envoy.extensions.filters.http.ext_proc.v3.processing_mode_pb2 import ProcessingMode
from envoy.service.ext_proc.v3.external_processor_pb2 import ProcessingRequest, ProcessingResponse

from edge_marl.errors import ServingError
from edge_marl.serving.answers import REFUSALS, TRY_ELSEWHERE, Problem, answered_by
from edge_marl.serving.asked import PATHS, Asked, read_request
from edge_marl.serving.config import Config
from edge_marl.serving.gateway import BackendError, Gateway, Refused, Sending
from edge_marl.serving.log import Outcome
from edge_marl.serving.proxy.ext_proc import headers_of, part_of, refusal, setting

__all__ = ["DESTINATION", "LB", "SERVED", "SUBSET_HINT", "Picker", "endpoints"]

DESTINATION = "x-gateway-destination-endpoint"
LB = "envoy.lb"
"""Metadata that destinations are in, and what was made of them."""
SERVED = f"{DESTINATION}-served"
SUBSET_HINT, SUBSET = "envoy.lb.subset_hint", f"{DESTINATION}-subset"
"""Metadata that a proxy narrows the choice by."""
PART = 2**16
"""Bytes of a body that one message takes back to the proxy."""
ALIVE_MS = 30_000
"""Between two questions whether a silent proxy is there."""
STREAMED = ProcessingMode.FULL_DUPLEX_STREAMED


class Picker:
    """Answers a gateway's proxies while it is entered (`async with`).

    Args:
        gateway: that decides.
        port: to listen on, at the host of the gateway's file; 0 is a free one.

    Raises:
        ServingError: it cannot listen there, or a backend has no address to tell a proxy.
    """

    def __init__(self, gateway: Gateway, port: int) -> None:
        self.gateway, self.port = gateway, port
        self.endpoints = endpoints(gateway.config)

    async def __aenter__(self) -> Self:
        """Start to listen."""
        config = self.gateway.config
        self._server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", 1024 * config.limits.body_kb + 2**20),
                ("grpc.keepalive_time_ms", ALIVE_MS),
                ("grpc.so_reuseport", 0),  # a port that is taken is taken
            ]
        )
        self._server.add_generic_rpc_handlers(
            (
                grpc.method_handlers_generic_handler(
                    "envoy.service.ext_proc.v3.ExternalProcessor",
                    {
                        "Process": grpc.stream_stream_rpc_method_handler(
                            self._process,
                            ProcessingRequest.FromString,
                            ProcessingResponse.SerializeToString,
                        )
                    },
                ),
                grpc.method_handlers_generic_handler(
                    "grpc.health.v1.Health",
                    {"Check": grpc.unary_unary_rpc_method_handler(self._health)},
                ),
            )
        )
        host = f"[{config.host}]" if ":" in config.host else config.host
        try:
            self.port = self._server.add_insecure_port(f"{host}:{self.port}")
        except RuntimeError:
            raise ServingError(
                f"{host}:{self.port}: cannot listen there for a proxy; state another --epp"
            ) from None
        await self._server.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let the requests that are there end, and stop."""
        await self.gateway.stop()
        await self._server.stop(grace=None)

    async def _health(self, request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        """Answer as gRPC's protocol of health wants it: one field, which says whether it serves."""
        return b"\x08\x02" if self.gateway.stopping else b"\x08\x01"

    async def _process(self, messages: Any, context: grpc.aio.ServicerContext) -> None:
        """Decide on one request, and wait for its end."""
        call = _Call(self, context)
        try:
            asked = await call.asked(messages)
            await self.gateway.serve(
                asked.request,
                call.ask,
                among=call.among,
                others=self.gateway.config.limits.attempts - 1,
            )
        except _NoRequest as wrong:
            await context.write(refusal(wrong.problem))
        except Refused as refused:
            await context.write(refusal(REFUSALS[type(refused)]))
        except (BackendError, _Gone):
            return  # the client has what there is


def endpoints(config: Config) -> tuple[str, ...]:
    """Return the ip:port of each backend.

    Raises:
        ServingError: one has no such address.
    """
    return tuple(_endpoint(backend.name, backend.address) for backend in config.backends)


def _endpoint(name: str, address: str) -> str:
    try:
        parts = urlsplit(address)
        found = ipaddress.ip_address(parts.hostname or "")
        port = parts.port or 80
    except ValueError:
        parts = None
    if parts is None or parts.scheme != "http":
        raise ServingError(
            f"backend '{name}' has address = '{address}': a proxy is told ip:port; "
            "state it as http://IP:PORT"
        )
    return f"[{found}]:{port}" if found.version == 6 else f"{found}:{port}"


class _NoRequest(Exception):
    """What came is no request that is served."""

    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.problem = Problem(status, kind, message)


class _Gone(Exception):
    """The client has gone, or was answered, before all of its request was here."""


class _Call:
    """One request at a proxy."""

    def __init__(self, picker: Picker, context: grpc.aio.ServicerContext) -> None:
        self._picker, self._gateway, self._context = picker, picker.gateway, context
        self.among: set[int] | None = None
        """Servers that the proxy allows; None is all."""
        self._asks_streamed = self._answers_streamed = self._trailers = False

    async def asked(self, messages: AsyncIterator[Any]) -> Asked:
        """Return what is asked for, when all of it is here.

        Raises:
            _NoRequest: nothing that is served.
            _Gone: it did not come.
        """
        self._messages = messages
        config = self._gateway.config
        path = await self._head()
        if path not in PATHS:
            raise _NoRequest(404, "invalid", f"this path is not served; post to {', '.join(PATHS)}")
        content = await self._body(1024 * config.limits.body_kb)
        try:
            self._asked = read_request(path, content, config, self._gateway.scenario)
        except ServingError as error:
            raise _NoRequest(400, "invalid", str(error)) from None
        return self._asked

    async def _head(self) -> str:
        """Read the headers; return the path."""
        async for message in self._messages:
            if message.WhichOneof("request") != "request_headers":
                break
            self._asks_streamed = message.protocol_config.request_body_mode == STREAMED
            self._answers_streamed = message.protocol_config.response_body_mode == STREAMED
            self.among = self._allowed(message.metadata_context.filter_metadata)
            told = headers_of(message.request_headers)
            if not self._asks_streamed:  # else the proxy waits for the headers of what is sent on
                await self._context.write(ProcessingResponse(request_headers={}))
            if told.get(":method") != "POST" or message.request_headers.end_of_stream:
                raise _NoRequest(400, "invalid", "there is no body; post JSON")
            return told.get(":path", "").partition("?")[0]
        raise _Gone

    def _allowed(self, metadata: Mapping[str, Any]) -> set[int] | None:
        """Return the servers that a proxy's metadata leaves."""
        if SUBSET_HINT not in metadata or SUBSET not in metadata[SUBSET_HINT].fields:
            return None
        named = metadata[SUBSET_HINT][SUBSET]
        listed = named.split(",") if isinstance(named, str) else map(str, named)
        allowed = {one.strip() for one in listed}
        return {k for k, one in enumerate(self._picker.endpoints) if one in allowed}

    async def _body(self, most: int) -> bytes:
        """Return the body, which comes in one message or in many."""
        content = bytearray()
        async for message in self._messages:
            kind = message.WhichOneof("request")
            if kind not in ("request_body", "request_trailers"):
                break  # the proxy has answered by itself: it was too large for it, or too slow
            content += message.request_body.body
            if len(content) > most:
                raise _NoRequest(413, "too_large", f"the body is larger than {most // 1024} kB")
            self._trailers = kind == "request_trailers"
            whole = not self._asks_streamed or message.request_body.end_of_stream
            if whole or self._trailers:
                return bytes(content)
        raise _Gone

    async def ask(self, sending: Sending) -> Outcome:
        """Have the proxy send it on, and wait until it has ended.

        Raises:
            BackendError: no answer came that the client can use.
        """
        model = self._gateway.model_of(sending.choice)
        body = self._asked.passed_on(model, sending.choice.steps)
        await self._send_on(sending, json.dumps(body).encode())
        status, taken = 0, sending
        try:
            async for message in self._messages:
                kind = message.WhichOneof("request")
                if kind == "response_headers":
                    # Noted before anything is awaited: the stream may end once it is answered.
                    status = int(headers_of(message.response_headers).get(":status", 0))
                    taken = self._taken_by(sending, message.metadata_context.filter_metadata)
                    await self._tell_whose(status, taken)
                else:
                    await self._context.write(self._unchanged(kind, message))
        except asyncio.CancelledError:  # as a stream ends that the proxy has no more use for
            if status == 0:
                raise
        if status == 0:
            raise BackendError("cut", down=False, again=False)
        if status in TRY_ELSEWHERE:
            raise BackendError(
                f"status {status}", down=False, again=False, server=taken.choice.server
            )
        return "served" if status < 400 else "invalid"

    async def _send_on(self, sending: Sending, body: bytes) -> None:
        """Tell the proxy what to send on, and where: to the first of the list that takes it."""
        known = self._picker.endpoints
        ranked = ",".join(known[one.choice.server] for one in (sending, *sending.others))
        headers = {
            DESTINATION: ranked,
            "content-length": str(len(body)),
            "content-type": "application/json",
            "x-request-id": self._gateway.id_of(sending),
        }
        if self._asks_streamed:
            answer = ProcessingResponse(request_headers={"response": setting(headers)})
        else:
            told = setting(headers) | {"body_mutation": {"body": body}}
            answer = ProcessingResponse(request_body={"response": told})
        answer.dynamic_metadata.update({LB: {DESTINATION: ranked}})
        await self._context.write(answer)
        if self._asks_streamed:
            await self._send_body(body)

    async def _send_body(self, body: bytes) -> None:
        """Give the proxy a body in parts, and trailers if there were some."""
        for start in range(0, len(body), PART):
            last = start + PART >= len(body) and not self._trailers
            part = {"body": body[start : start + PART], "end_of_stream": last}
            await self._context.write(ProcessingResponse(request_body=part_of(part)))
        if self._trailers:
            await self._context.write(ProcessingResponse(request_trailers={}))

    async def _tell_whose(self, status: int, taken: Sending) -> None:
        """Have the headers of an answer say whose it is."""
        told = {} if status in TRY_ELSEWHERE else answered_by(self._gateway, taken)
        await self._context.write(ProcessingResponse(response_headers={"response": setting(told)}))

    def _taken_by(self, sending: Sending, metadata: Mapping[str, Any]) -> Sending:
        """Return which one of those that were named has taken it, as far as the proxy says."""
        known = self._picker.endpoints
        if LB in metadata and SERVED in metadata[LB].fields:
            for other in sending.others:
                if known[other.choice.server] == metadata[LB][SERVED]:
                    self._gateway.went_to(other, sending)
                    return other
        return sending

    def _unchanged(self, kind: str, message: Any) -> Any:
        """Return what passes a part of an answer on as it is."""
        if kind == "response_body" and self._answers_streamed:
            found = message.response_body
            part = {"body": found.body, "end_of_stream": found.end_of_stream}
            return ProcessingResponse(response_body=part_of(part))
        return ProcessingResponse(**{kind: {}})
