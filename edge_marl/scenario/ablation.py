"""The parts of a scenario that can be switched off one at a time, and how.

A part that is off is left out, as a file leaves it out, and nothing else changes, but for what
would be without sense or would change the load. Requests keep their mean rate in any case: bursts,
hot spots and unequal gateways only shift it (`workload/arrivals.py`), a daily curve has its mean
over a day, and requests of one stage come as often as stages came.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from edge_marl.errors import ScenarioError, did_you_mean
from edge_marl.scenario.scenario import Scenario
from edge_marl.scenario.section import rule_of

__all__ = ["MAX_ACTIONS", "PARTS", "Part", "parts_of", "without"]

MAX_ACTIONS = 2**13
"""More actions than this are no game to play for evidence: of gateways that see all servers."""

Fields = dict[str, Any]
"""A scenario as the sections and fields of its file."""


def _nothing(scenario: Scenario, facts: Fields) -> None:
    """Nothing hangs on it."""


def _same_edge_servers(scenario: Scenario, facts: Fields) -> None:
    """A gateway sees the edge servers that it saw beside the cloud."""
    if scenario.gateways.neighbourhood > 1:
        facts["gateways"]["neighbourhood"] -= 1


def _drawn_places(scenario: Scenario, facts: Fields) -> None:
    """Recorded places are of no use where no place counts."""
    if facts["replay"] and not (facts.get("network") or facts["gateways"].get("neighbourhood")):
        facts["replay"]["places"] = None


def _rate_of_stages(scenario: Scenario, facts: Fields) -> None:
    """As many tasks come as before."""
    facts["arrivals"]["rate_per_s"] *= scenario.tasks.mean_stages


def _rate_of_day(scenario: Scenario, facts: Fields) -> None:
    """As many requests come as in the days, or the part of one, that an episode has."""
    law = scenario.arrivals
    days, rest_ms = divmod(law.horizon_ms, law.day_ms)
    if rest_ms == 0:
        return
    length = law.day_ms / len(law.daily)
    begun, within = divmod(rest_ms / length, 1.0)
    whole = int(begun)
    rest = math.fsum(law.daily[:whole]) + (law.daily[whole] * within if within else 0.0)
    share = days + rest / math.fsum(law.daily)
    facts["arrivals"]["rate_per_s"] *= share * law.day_ms / law.horizon_ms


def _mean_class(scenario: Scenario, facts: Fields) -> None:
    """All requests weigh what they weighed in the mean: utility keeps its scale."""
    classes = scenario.tasks.classes
    total = sum(each.share * each.thousandths for each in classes)
    mean = round(total / sum(each.share for each in classes))
    if mean != 1000:
        facts["tasks"]["classes"] = [{"name": "all", "weight": mean / 1000}]


@dataclass(frozen=True)
class Part:
    """A part that a scenario may have on."""

    name: str
    """As `without` takes it."""
    fields: tuple[str, ...]
    """What states it: `section` or `section.field`. Left out, it is off."""
    on: Callable[[Scenario], object]
    """True, or something like it, if a scenario has it on."""
    told: Callable[[Scenario], str]
    """It in words, with its sizes."""
    settle: Callable[[Scenario, Fields], None] = _nothing
    """Changes what else hangs on it, in the fields of the scenario that is without it."""


PARTS = (
    Part(
        "neighbourhood",
        ("gateways.neighbourhood",),
        lambda s: s.gateways.neighbourhood,
        lambda s: "neighbourhoods",
        _drawn_places,
    ),
    Part(
        "unequal-gateways",
        ("gateways.zipf",),
        lambda s: s.gateways.zipf and s.gateways.count > 1,
        lambda s: "unequal gateways",
    ),
    Part(
        "sleep",
        ("gateways.sleep",),
        lambda s: s.gateways.sleep,
        lambda s: "gateways that sleep",
    ),
    Part("network", ("network",), lambda s: s.network, lambda s: "network", _drawn_places),
    Part("residency", ("residency",), lambda s: s.residency, lambda s: "model residency"),
    Part("cloud", ("cloud",), lambda s: s.cloud, lambda s: "cloud", _same_edge_servers),
    Part("deadlines", ("tasks.deadline_s",), lambda s: s.tasks.deadline_s, lambda s: "deadlines"),
    Part(
        "restart",
        ("overload.restart_s",),
        lambda s: s.overload.restart_ms,
        lambda s: f"restart of {s.overload.restart_s:g} s",
    ),
    Part("refund", ("overload.refund",), lambda s: s.overload.refund, lambda s: "refunds"),
    Part(
        "bursts",
        ("arrivals.bursts", "arrivals.gap_cv"),
        lambda s: s.arrivals.bursts or s.arrivals.gap_cv != 1.0,
        lambda s: "bursts",
    ),
    Part(
        "daily",
        ("arrivals.daily", "arrivals.day_s"),
        lambda s: len(set(s.arrivals.daily)) > 1,
        lambda s: "daily curve",
        _rate_of_day,
    ),
    Part(
        "hot-spots",
        ("arrivals.hot_spots",),
        lambda s: s.arrivals.hot_spots,
        lambda s: "hot spots",
    ),
    Part(
        "telemetry",
        ("telemetry",),
        lambda s: s.telemetry.period_ms,
        lambda s: f"telemetry every {s.telemetry.period_s:g} s",
    ),
    Part("outages", ("outages",), lambda s: s.outages, lambda s: "outages"),
    Part(
        "failing-tasks",
        ("tasks.fail_share",),
        lambda s: s.tasks.fail_share,
        lambda s: f"{s.tasks.fail_share:.2%} of tasks fail",
    ),
    Part(
        "stages",
        ("tasks.stages",),
        lambda s: len(s.tasks.stages) > 1,
        lambda s: f"up to {len(s.tasks.stages)} stages",
        _rate_of_stages,
    ),
    Part("energy-price", ("energy",), lambda s: s.energy.weight, lambda s: "priced energy"),
    Part("queue", ("queue",), lambda s: s.queue, lambda s: "lines at servers"),
    Part(
        "concurrency",
        ("concurrency",),
        lambda s: s.concurrency and any(s.concurrency.thousandths(1)),
        lambda s: "run times that grow with what runs beside",
    ),
    Part("levels", ("levels",), lambda s: s.levels, lambda s: f"{s.num_levels} levels"),
    Part("decline", ("decline",), lambda s: s.decline, lambda s: "declining"),
    Part(
        "classes",
        ("tasks.classes",),
        lambda s: len({each.thousandths for each in s.tasks.classes}) > 1,
        lambda s: f"{len(s.tasks.classes)} classes of service",
        _mean_class,
    ),
)
"""Every part, by the sections that state them."""


def parts_of(scenario: Scenario) -> tuple[Part, ...]:
    """Return the parts that a scenario has on, in the order of `PARTS`."""
    return tuple(part for part in PARTS if part.on(scenario))


def without(scenario: Scenario, part: str) -> Scenario:
    """Return the same scenario with one part switched off, named after both.

    Args:
        scenario: that has the part on.
        part: its name.

    Raises:
        ScenarioError: if the part is not on, or what is left is no scenario that can be played:
            its gateways would choose among more than `MAX_ACTIONS` actions.
    """
    names = [each.name for each in parts_of(scenario)]
    if part not in names:
        raise ScenarioError(
            f"part '{part}': {did_you_mean(part, names)}parts that scenario '{scenario.label}' has "
            f"on: {', '.join(names) or 'none'}"
        )
    found = next(each for each in PARTS if each.name == part)
    facts = scenario.model_dump()
    facts["name"] = f"{scenario.name}-without-{part}"
    facts["summary"] = f"{scenario.label} without {found.told(scenario)}"
    for field in found.fields:
        section, _, name = field.partition(".")
        del (facts[section] if name else facts)[name or section]
    found.settle(scenario, facts)
    try:
        changed = Scenario.model_validate(facts)
    except ValidationError as error:
        raise ScenarioError(f"'{scenario.label}' without {part}: {rule_of(error)}") from None
    if changed.num_actions > max(MAX_ACTIONS, scenario.num_actions):
        raise ScenarioError(
            f"'{scenario.label}' without {part}: {changed.num_actions} actions, at most "
            f"{MAX_ACTIONS} are played"
        )
    return changed
