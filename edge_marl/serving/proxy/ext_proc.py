"""Messages of Envoy's ext_proc: what is read of a proxy's, and what it is answered."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from envoy.config.core.v3.base_pb2 import HeaderValue, HeaderValueOption
from envoy.service.ext_proc.v3.external_processor_pb2 import ProcessingResponse

from edge_marl.serving.answers import Problem

__all__ = ["headers_of", "part_of", "refusal", "setting"]


def headers_of(told: Any) -> dict[str, str]:
    """Return headers by name, in small letters."""
    return {one.key: (one.raw_value.decode("latin-1") or one.value) for one in told.headers.headers}


def setting(headers: Mapping[str, str]) -> dict[str, Any]:
    """Return a change that sets headers, whatever they were."""
    changes = [
        HeaderValueOption(
            header=HeaderValue(key=name, raw_value=value.encode()),
            append_action=HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD,
        )
        for name, value in headers.items()
    ]
    return {"header_mutation": {"set_headers": changes}}


def part_of(part: Mapping[str, Any]) -> dict[str, Any]:
    """Return a change that replaces a part of a body."""
    return {"response": {"body_mutation": {"streamed_response": part}}}


def refusal(problem: Problem) -> Any:
    """Return what has the proxy answer by itself."""
    headers = {"content-type": "application/json"} | problem.headers
    return ProcessingResponse(
        immediate_response={
            "status": {"code": problem.status},
            "headers": setting(headers)["header_mutation"],
            "body": json.dumps(problem.content).encode(),
        }
    )
