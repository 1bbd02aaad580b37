"""What a submission says of a policy of gateways, and how older files stay as they were."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
)

from edge_marl.agents.base import Sharing

__all__ = [
    "Count",
    "Execution",
    "Facts",
    "GameFacts",
    "Information",
    "SparseFacts",
]

Execution = Literal["decentralised", "central"]
"""The classes of a game's board: who decides on what."""
Information = Literal["none", "own", "state"]

Count = Annotated[int, Field(ge=0, le=2**53)]


class Facts(BaseModel):
    """A part of a file: frozen, and of known fields only."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class SparseFacts(Facts):
    """A model with fields that only some files have, such as those of games: at their default they
    are not written, and files of before there were such fields stay what they were."""

    sparse: ClassVar[frozenset[str]] = frozenset()
    """Names of these fields."""

    @model_serializer(mode="wrap")
    def _without_defaults(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        facts: dict[str, Any] = write(self)
        own, fields = type(self).sparse, type(self).model_fields
        return {
            name: value
            for name, value in facts.items()
            if name not in own or value != fields[name].default
        }


class GameFacts(Facts):
    """What a policy of gateways is: declared, and where a check can know it, checked."""

    execution: Execution
    """Decentralised: each gateway decides on what it itself has seen, which is proven by running it
    alone. Central: on what all of them see. Boards never rank the two together."""
    sharing: Sharing
    """Which gateways have the same weights; of a policy without any, the same rule."""
    information: Information
    """What training used: nothing, what each gateway itself sees, or the state of the game or what
    others see."""
    agent_steps: Count | None = None
    """Steps of gateways in training, those without a task too; None where it is not said."""
    parameters: Count
    """Numbers that a policy's weights hold; the most of any run."""
