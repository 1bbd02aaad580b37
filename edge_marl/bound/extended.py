"""A certified upper bound on the return of every policy in the extended model with refund.

With refund on, a request that is lost, dropped, denied or declined nets at most 0: what was granted
for it is taken back, prices paid and penalties stay. So no policy's return exceeds that of the
requests that it really serves (or that still run or wait at the end), and each of their stages
holds its steps on its server from its turn to its end, as both were known when it was sent. What a
server holds never exceeds its capacity, past the end of the episode included. So for any prices
p[j, b] >= 0 of a unit of server j's capacity through block b of time,

    return <= sum_jb p[j, b] capacity[j] + sum_requests max(0, sum_stages v[stage]),
    v[stage] = max over (neighbour, service, level, time) of
               share of value - cost - steps x (p summed over the reservation, parts by length),

where each choice is taken at its best: a larger value, a lower cost, a shorter reservation or a
choice that the rules forbid never lower the right-hand side, as no price is negative. Per part:

* Network. The transfer in (U) of a first stage is exact, and so is the way back (R) of a last one.
  A later stage's U is taken as 0, what it is on the server of the stage before.
* Speeds, hosting, neighbourhoods: exact. Energy price: exact. Levels, with steps, run time and
  quality of each: exact. Classes of service: exact.
* Concurrency. The run time is that with nothing beside it, which is the shortest.
* Declining, and its price: left out, as 0 is what a request nets at least here.
* Cloud: its price, speed and links are exact; it has no capacity, so holding it costs nothing.
* Deadlines. The value falls with latency where it is positive, so the least latency is taken. Where
  it is not, serving nets no more than the 0 that each request has in any case (in a workflow, a
  stage of negative quality counts as 0 if there is a deadline: lateness may bring it up to 0).
* Residency. Loading is left out: a model is always there, and a task starts as soon as its input is
  in. It only makes reservations and latency longer. A model that is larger than its server's memory
  fits never: exact. That busy models share the memory is left out.
* Restart, telemetry: left out. A server that is down admits nothing; what is known does not bear
  on what can be done.
* Server failures, known in hindsight. A first stage cannot be sent while the server is down by one
  and is lost if one comes during the shortest reservation: exact, but for restarts. Left out for
  later stages.
* Failing tasks. A request nets at most 0 if a stage before its last one fails, or if its last one
  does and must end before the episode does. A first stage that fails and may be late has to be late
  enough to outlast the episode.
* Queue. A first stage that waits may take its capacity at any time from when its input is in, so
  it is treated as a later stage is: it holds capacity for its run time, at the time that is best
  for it, and its value falls with lateness. While its input is under way it may wait, and holds
  nothing. A task of more steps than the server has is never served: exact. One that waits is lost
  with its server: it ends before the next failure. Who comes first, and the limit of the line, are
  left out but for the longest wait that they allow.
* Slots. There, too, a first stage may be sent later than it arrives: in this bound, at any time.
  That it is sent when a slot starts, one at a time, and by a gateway that is awake, is left out:
  so the bound holds for the game, whenever gateways sleep, and for the single environment, which
  sends it at once whatever the clock says. Server
  failures are left out for it, since it may be sent after them.
* Workflows. A first stage is sent when it arrives. A later one is sent as soon as the stage before
  has ended, at some time between the earliest that the fastest servers allow and the latest that
  leaves any value; the best time for its own value less its price is taken. Each stage has its
  share of the value, quality / stages x lateness, with the lateness of the earliest end that its
  own choice allows. What one stage's choice means for the next is left out.
* Overload. A crash costs at least 0, and the tasks it loses net at most 0.

The value is computed in whole numbers of 2^-36. Values are rounded up, costs and sums of prices
down, and reservations are shortened to multiples of 2^-12 of a block, so that no rounding error can
lower it. How good the prices are decides how tight the bound is, never whether it holds.
They come from a deflected subgradient method (Camerini, Fratta and Maffioli 1975) with Polyak's
steps, each server's price in terms of its whole capacity. It uses + - * / and comparisons only, so
that every machine finds the same prices.
"""

from __future__ import annotations

import numpy as np

from edge_marl.bound.certificate import Bound, round_up, rounding_margin
from edge_marl.bound.extended_choices import list_choices
from edge_marl.bound.extended_facts import LARGEST, UNIT, gather, lay_grid
from edge_marl.bound.extended_prices import LONG_SEARCH, MANY, SEARCH, search
from edge_marl.bound.extended_times import least_times
from edge_marl.errors import ScenarioError, WorkloadError
from edge_marl.kernel.world import DEMAND
from edge_marl.scenario import Scenario
from edge_marl.workload import Workload

__all__ = ["extended_bound", "has_bound"]


def has_bound(scenario: Scenario) -> bool:
    """Whether `upper_bound` holds for a scenario: a base one, or an extended one with refund."""
    return not scenario.extended or scenario.overload.refund


def extended_bound(scenario: Scenario, workload: Workload) -> Bound:
    """Return a certified upper bound on the return of any policy in an extended scenario.

    Takes some seconds for 50 servers and a minute at most for 2,000, on one core.

    Raises:
        ScenarioError: if the scenario has no refund.
        WorkloadError: if the workload does not fit the scenario, or its numbers are too large for
            64-bit certification.
    """
    if not has_bound(scenario):
        raise ScenarioError(
            f"no bound for scenario '{scenario.name}': it has parts of the extended model without "
            "refund, so that lost tasks keep their utility: set overload.refund = true, or do "
            "without normalised scores"
        )
    workload.check_fits(scenario)
    facts = gather(scenario, workload)
    most = facts.weights.max() / 1000
    span = float(np.abs(facts.quality).max() * most) + scenario.overload.penalty
    span += float(facts.tasks[:, DEMAND].max()) * float(facts.price.max())
    if len(facts.tasks) * span >= LARGEST:
        raise WorkloadError(
            f"decisions x (utility + penalty + price) = {len(facts.tasks) * span:g}: the bound's "
            f"64-bit arithmetic holds products below {LARGEST:g}: take a shorter workload or "
            "smaller units"
        )
    if scenario.decline:
        span += scenario.decline.price * float(most)
    grid = lay_grid(facts)
    ready, rest = least_times(facts)
    choices = list_choices(facts, grid, ready, rest)
    many = choices.late.any() and len(choices.rows) > MANY
    total, prices = search(facts, grid, choices, ready, LONG_SEARCH if many else SEARCH)
    per_ms = np.ascontiguousarray(prices.T) / (UNIT * grid.length)
    edges = grid.start + grid.length * np.arange(grid.blocks + 1)
    per_ms.flags.writeable = edges.flags.writeable = False
    value = round_up(int(total) + rounding_margin(len(facts.tasks), span))
    return Bound(value, per_ms, 0, edges)
