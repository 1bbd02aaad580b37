"""What a request's JSON asks for, in the simulator's terms, and what is passed on of it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edge_marl.errors import ServingError, show
from edge_marl.scenario import Scenario
from edge_marl.scenario.section import ms
from edge_marl.serving.config import Config
from edge_marl.serving.world import Request

__all__ = ["OWN_PATH", "PATHS", "Asked", "asked_in", "read_request"]

OWN_PATH = "/v1/tasks"
PATHS = ("/v1/images/generations", "/v1/completions", OWN_PATH)
"""What is served: OpenAI-style images and completions, and the small JSON of one's own."""

MOST_IMAGES = 64
CHARACTERS_PER_TOKEN = 4
STEPS = ("steps", "num_inference_steps")
"""Names that servers of images have for the number of denoising steps."""


@dataclass(frozen=True)
class Asked:
    """A request as it came, and what it asks of a server."""

    path: str
    body: Mapping[str, Any]
    """Without `task`, which is the gateway's own."""
    request: Request

    @property
    def streams(self) -> bool:
        """Whether the answer is to come in parts."""
        return self.body.get("stream") is True

    def passed_on(self, model: str, steps: int) -> dict[str, Any]:
        """Return the body that a backend gets, which is JSON if what came was.

        Args:
            model: what the backend calls the model.
            steps: that are to be done, of those that were asked for.
        """
        body, share = dict(self.body) | {"model": model}, steps / self.request.demand
        if self.path == "/v1/images/generations":
            name = next((name for name in STEPS if name in body), STEPS[0])
            body[name] = max(1, steps // body.get("n", 1))
        elif self.path == "/v1/completions":
            if share < 1:
                body["max_tokens"] = max(1, math.floor(body.get("max_tokens", 16) * share))
        else:
            body["steps"] = steps
            body.pop("demand", None)
        return body


def read_request(path: str, content: bytes, config: Config, scenario: Scenario) -> Asked:
    """Return what the body of a request asks for.

    Args:
        path: one of `PATHS`.
        content: JSON.
        config: the gateway's.
        scenario: whose tasks it is one of.

    Raises:
        ServingError: it is no such body.
    """
    try:
        body = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ServingError(f"the body is not JSON ({type(error).__name__})") from None
    if not isinstance(body, dict):
        raise ServingError("the body is no JSON object")
    return asked_in(path, body, len(content), config, scenario)


def asked_in(
    path: str, body: dict[str, Any], size: int, config: Config, scenario: Scenario
) -> Asked:
    """Return what a body asks for.

    Args:
        path: one of `PATHS`.
        body: of the request; `task` is taken out.
        size: bytes that it came in.
        config: the gateway's.
        scenario: whose tasks it is one of.

    Raises:
        ServingError: it is no such body.
    """
    facts = dict(body) if path == OWN_PATH else body.pop("task", {})
    if not isinstance(facts, dict):
        raise ServingError(f"task = {show(facts)}: must be an object")
    demand = {PATHS[0]: _images, PATHS[1]: _tokens, PATHS[2]: _steps}[path](body, config, scenario)
    law = scenario.tasks
    if demand > law.max_demand:
        raise ServingError(
            f"it asks for {demand} steps: scenario '{scenario.label}' has at most {law.max_demand}"
        )
    kind = _type(facts.pop("type", 0), config, scenario)
    stated = ms(law.deadline_s[kind]) if law.deadline_s else 0
    deadline = facts.pop("deadline_s", None)
    return Asked(
        path=path,
        body=body,
        request=Request(
            type=kind,
            demand=demand,
            run_time_ms=min(max(1, law.run_time_ms(demand)), law.max_run_time_ms),
            deadline_ms=stated if deadline is None else _deadline(deadline),
            upload_kb=min(-(-size // 1024), law.upload_kb[1]),
            download_kb=sum(law.download_kb) // 2,
            load_ms=_load_ms(config),
            weight=_weight(facts.pop("class", None), scenario),
        ),
    )


def _images(body: dict[str, Any], config: Config, scenario: Scenario) -> int:
    """Steps of a request for images: of each, times how many."""
    steps = next((body[name] for name in STEPS if name in body), min(scenario.tasks.demand))
    images = _whole("n", body.get("n", 1), 1, MOST_IMAGES)
    return _whole("steps", steps, 1, 2**31 - 1) * images


def _tokens(body: dict[str, Any], config: Config, scenario: Scenario) -> int:
    """Steps of a request for text: its tokens, of prompt and answer, in blocks."""
    prompt = body.get("prompt", "")
    if not isinstance(prompt, str):
        raise ServingError(f"prompt = {show(prompt)}: must be text; send one prompt at a time")
    answer = _whole("max_tokens", body.get("max_tokens", 16), 1, 2**31 - 1)
    tokens = -(-len(prompt) // CHARACTERS_PER_TOKEN) + answer
    return -(-tokens // config.tokens_per_step)


def _steps(body: dict[str, Any], config: Config, scenario: Scenario) -> int:
    """Steps of a request in the JSON of one's own."""
    if "demand" not in body:
        raise ServingError("demand is missing: say how many denoising steps are asked for")
    return _whole("demand", body["demand"], 1, 2**31 - 1)


def _whole(name: str, value: Any, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ServingError(f"{name} = {show(value)}: must be a whole number, {least} to {most}")
    return value


def _type(value: Any, config: Config, scenario: Scenario) -> int:
    if isinstance(value, str) and value in config.types:
        return config.types.index(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < scenario.num_types:
        return value
    names = f" or one of {', '.join(config.types)}" if config.types else ""
    raise ServingError(f"type = {show(value)}: must be 0 to {scenario.num_types - 1}{names}")


def _deadline(value: Any) -> int:
    """Return a deadline in milliseconds."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.001 <= value <= 1e7:
        raise ServingError(f"deadline_s = {show(value)}: must be a time of 0.001 to 1e7 seconds")
    return ms(value)


def _weight(name: Any, scenario: Scenario) -> int:
    """Return the weight of a class of service: of the first where none is named."""
    classes = scenario.tasks.classes
    if name is None:
        return classes[0].thousandths if classes else 1000
    for known in classes:
        if known.name == name:
            return known.thousandths
    names = ", ".join(known.name for known in classes) or "none"
    raise ServingError(f"class = {show(name)}: scenario '{scenario.label}' has {names}")


def _load_ms(config: Config) -> int:
    """Return the mean time of loading a model."""
    times = [service.load_s for service in config.services]
    return ms(sum(times) / len(times)) if times else 0
