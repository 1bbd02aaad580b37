"""What a client is told by every front end: of who answered, and of why nobody did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edge_marl.serving.gateway import Busy, Declined, Gateway, NoServer, Refused, Sending

__all__ = ["REFUSALS", "TRY_ELSEWHERE", "Problem", "answered_by"]

TRY_ELSEWHERE = {429, *range(500, 600)}
"""Answers of a backend that are none to the request."""


@dataclass(frozen=True)
class Problem:
    """An answer that is no backend's."""

    status: int
    kind: str
    message: str

    @property
    def content(self) -> dict[str, dict[str, str]]:
        """It as OpenAI's clients read it."""
        return {"error": {"message": self.message, "type": self.kind}}

    @property
    def headers(self) -> dict[str, str]:
        """What goes with it."""
        return {"Retry-After": "1"} if self.status in (429, 503) else {}


REFUSALS: Mapping[type[Refused], Problem] = {
    Busy: Problem(503, "busy", "as many requests are here as are taken; try again"),
    Declined: Problem(429, "declined", "the policy declined the request"),
    NoServer: Problem(503, "no_server", "no server takes the request now; try again"),
}


def answered_by(gateway: Gateway, sending: Sending) -> dict[str, str]:
    """Return the headers that say who answered."""
    choice = sending.choice
    return {
        "X-Edge-Marl-Server": gateway.config.backends[choice.server].name,
        "X-Edge-Marl-Model": gateway.model_of(choice),
        "X-Edge-Marl-Steps": str(choice.steps),
        "X-Edge-Marl-Request": str(sending.number),
    }
