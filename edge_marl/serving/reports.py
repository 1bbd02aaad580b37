"""What a backend reports of itself: which models it has in memory, and which tasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, Field, ValidationError

from edge_marl.serving.world import Other

__all__ = ["Report", "TaskThere", "read_report"]


class TaskThere(BaseModel):
    """A task that a backend has."""

    id: str
    """The `X-Request-Id` that it came with."""
    model: str
    steps: Annotated[int, Field(ge=1, lt=2**31)]
    left_s: Annotated[float, Field(ge=0, le=1e7)] = 0.0
    """Time that it still runs, as far as the backend knows."""
    waits: bool = False
    """Whether it waits for others to end."""


class Report(BaseModel):
    """What `report` of a backend answers; fields that it has besides are passed over."""

    models: list[str] | None = None
    """Those in memory; None if it does not say."""
    tasks: list[TaskThere] = []
    """First come first."""


def read_report(
    content: bytes, models: Sequence[str], run: str
) -> tuple[list[int] | None, list[Other]]:
    """Return the services in memory, and the tasks of others; nothing of what is no report.

    Args:
        content: JSON of a `Report`.
        models: what the backend calls the model of each service.
        run: what the ids of this gateway's own requests begin with.
    """
    try:
        report = Report.model_validate_json(content)
    except ValidationError:
        return None, []
    services = {model: service for service, model in enumerate(models) if model}
    others = [
        Other(services[task.model], task.steps, round(1000 * task.left_s), task.waits)
        for task in report.tasks
        if task.model in services and not task.id.startswith(f"{run}-")
    ]
    if report.models is None:
        return None, others
    return [services[model] for model in report.models if model in services], others
