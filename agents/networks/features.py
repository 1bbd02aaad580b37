"""What the networks see: the observation's tokens, and what follows from them for this task."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from functools import cached_property

import torch
from torch import Tensor, nn

from edge_marl.kernel.world import SERVICE_FEATURES
from edge_marl.layout import ObservationLayout

__all__ = ["PRESSURE", "WAIT", "SeesOnce", "TokenFeatures", "longest_ms"]

SERVER_DERIVED = 3
SERVICE_DERIVED = 1
"""Features of a server, and of a service in the extended model, that follow from the others."""
SERVICE_IN_LINE = 3
"""Those of a service where servers have lines: the wait, the work, and what that has before it."""
WAIT = 5
"""Of a service's features: the expected wait, where servers have lines."""
PRESSURE = 7
"""Likewise: the work, times what it has before it."""


def longest_ms(layout: ObservationLayout) -> int:
    """Return the unit that the networks see times in: the longest deadline, or else run time."""
    return layout.max_deadline_ms if layout.max_deadline_ms > 1 else layout.max_duration_ms


class SeesOnce(nn.Module):
    """A network in two parts: features without weights, and what has weights.

    A learner that takes several gradient steps on an observation computes its features once.
    """

    masked: bool = False
    """Whether a critic is shown the mask (B, A) as well; actors always are."""
    told: bool = False
    """Whether it is shown last which network or gateway decides, (B,)."""
    sees: str = ""
    """Name of its features, where an actor and its critics have the same."""
    see: Callable[..., dict[str, Tensor]]
    """Returns the features, rows first, of observations (B, D) and what else it is shown."""

    @abstractmethod
    def judge(self, seen: Mapping[str, Tensor]) -> Tensor:
        """Return the network's outputs, given what was seen."""

    def forward(self, *shown: Tensor) -> Tensor:
        """Return the network's outputs for what it is shown."""
        return self.judge(self.see(*shown))


class TokenFeatures(nn.Module):
    """Turns flat observations into a task token, server tokens and services. It has no weights.

    A server's token holds its capacity and share of free capacity, as observed, and three numbers
    that follow from the observation: its free capacity, how much of that the shown task would
    leave, and whether it fits. Without them a network has to find a step in a product of two of its
    inputs first (in the same training time on `paper`, world 0: `adsac` 97 % of the prophet's
    return instead of 100 %, `sac` 91 % instead of 98 %).

    In the extended model all that is observed of a server is in its token too, and a service has
    features of its own: those observed, and how much time it would leave until the deadline. Times
    are in shares of the scenario's longest deadline, and the task's type is left out: it is the
    services' qualities that it decides, and they are observed. So the features mean the same, and
    are as many, in scenarios with other numbers of types, services and servers.

    A service at each of L levels counts as L services, with a last feature: the part of the steps
    that is done. Where servers have lines a service has three more, and the time left is that after
    the wait: the wait to expect (`heuristics/view.py`, `View.wait_ms`); the work, which is the part
    of the server's capacity that the task takes, times how long; and that work times what runs and
    waits there already, which is what `max-weight` goes by.
    """

    def __init__(self, layout: ObservationLayout) -> None:
        super().__init__()
        self._layout = layout
        self._first = {feature.name: feature.start for feature in layout.features}
        self._demands_per_capacity = layout.max_capacity / layout.max_demand
        self._half_step = 0.5 / layout.max_demand
        longest = longest_ms(layout)
        self._run_time_unit = layout.max_run_time_ms / longest
        self._delay_unit = layout.max_delay_ms / longest
        self._duration_unit = layout.max_duration_ms / longest

    @property
    def task_size(self) -> int:
        """Features of the task's token, T."""
        layout = self._layout
        return layout.task_size - (layout.num_types if self._drops_type else 0)

    @property
    def server_size(self) -> int:
        """Features of a server's token, F: 5 in the base model."""
        return self._layout.server_features + SERVER_DERIVED

    @property
    def service_size(self) -> int:
        """Features of a service, C: none in the base model, where nothing of it is observed."""
        layout = self._layout
        if not layout.extended:
            return 0
        in_line = SERVICE_IN_LINE if self.has_lines else 0
        return SERVICE_FEATURES + SERVICE_DERIVED + in_line + bool(layout.lower_levels)

    @property
    def has_lines(self) -> bool:
        """Whether tasks may wait at servers."""
        return self._layout.max_waiting > 0

    @cached_property
    def _drops_type(self) -> bool:
        return self._layout.extended and self._layout.num_types > 1

    def forward(self, observation: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return features of the task (B, T), servers (B, S, F) and services (B, S, V L, C).

        Args:
            observation: (B, D) as the environment gives them.
        """
        layout = self._layout
        task, servers, services = layout.unflatten(observation)
        demand = task[..., self._first["task demand"], None]
        free = servers[..., 0] * servers[..., 1]
        room = free * self._demands_per_capacity - demand
        # Demand and capacity are whole numbers: half a step away from 0 no rounding matters.
        fits = (room > -self._half_step).to(room.dtype)
        derived = torch.stack([free, room.clamp(-1.0, 1.0), fits], dim=-1)
        if not layout.extended:
            return task, torch.cat([servers, derived], dim=-1), services
        if self._drops_type:
            task = task[..., layout.num_types :]
        return self._in_deadlines(task, servers, derived, services)

    def _in_deadlines(
        self, task: Tensor, servers: Tensor, derived: Tensor, services: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the extended model's features, times in shares of the longest deadline."""
        demand, run_time, left, after, *weight = task.unbind(-1)
        capacity, free, up, delay, has_input, *line = servers.unbind(-1)
        delay = delay * self._delay_unit
        quality, duration, warm, cost, share = self._at_levels(services)
        duration = duration * self._duration_unit
        takes = delay[..., None].expand_as(duration)
        waits: list[Tensor] = []
        if line:
            waiting, backlog = line
            line = [waiting, backlog * self._duration_unit]
            waits = self._in_line(demand, duration, share, capacity, derived[..., 0], line)
            takes = torch.maximum(takes, waits[0])
        slack = (left[:, None, None] - takes - duration).clamp(-1.0, 1.0)
        shares = [share.expand_as(duration)] if self._layout.lower_levels else []
        own = [capacity, free, up, delay, has_input, *line]
        return (
            torch.stack([demand, run_time * self._run_time_unit, left, after, *weight], dim=-1),
            torch.cat([torch.stack(own, -1), derived], dim=-1),
            torch.stack([quality, duration, warm, cost, slack, *waits, *shares], dim=-1),
        )

    def _in_line(
        self,
        demand: Tensor,
        duration: Tensor,
        share: Tensor,
        capacity: Tensor,
        free: Tensor,
        line: list[Tensor],
    ) -> list[Tensor]:
        """Return `SERVICE_IN_LINE` features (B, S, V L): the wait, the work, what is before it.

        Args:
            demand: (B,).
            duration: (B, S, V L).
            share: (V L,) part of the steps that is done.
            capacity: (B, S).
            free: (B, S) capacity that is.
            line: of servers, (B, S): tasks that wait, and the backlog.
        """
        waiting, backlog = line
        room = capacity.clamp_min(1e-9)
        # Whole steps, from whole numbers: a share of a demand is rounded up.
        asked = (demand * self._layout.max_demand).round()[:, None]
        steps = torch.ceil(asked[..., None] * (1000 * share).round() / 1000)
        demand, steps = asked / self._layout.max_capacity, steps / self._layout.max_capacity
        ready = torch.where(waiting > 0, 0.0, free)[..., None]
        wait = backlog[..., None] + (steps - ready).clamp_min(0.0) / room[..., None] * duration
        work = steps / room[..., None] * duration
        before = (capacity - free + waiting * self._layout.max_waiting * demand) / room
        return [wait, work, before[..., None] * work]

    def _at_levels(self, services: Tensor) -> tuple[Tensor, ...]:
        """Return quality, duration, warm, cost and part of the steps (B, S, V L) of services."""
        quality, duration, warm, cost, *lower = services.unbind(-1)
        if not lower:
            return quality, duration, warm, cost, torch.ones((), dtype=quality.dtype)
        levels = torch.tensor([*self._layout.lower_levels, 1000], dtype=quality.dtype) / 1000
        of_each = torch.stack([*lower, quality], dim=-1).flatten(-2)
        repeated = (part.repeat_interleave(len(levels), dim=-1) for part in (duration, warm, cost))
        duration, warm, cost = repeated
        share = levels.repeat(quality.shape[-1])
        return of_each, duration * share, warm, cost * share, share
