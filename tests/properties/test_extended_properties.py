"""What must hold of every episode of the extended model, whatever the world and the choices."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from edge_marl import edge_aigc_v0
from edge_marl.kernel import world as k
from edge_marl.scenario import Scenario
from edge_marl.simulator.utility import task_utilities
from edge_marl.workload import Workload
from tests.worlds import strategies
from tests.worlds.extended_episode import ExtendedEpisode
from tests.worlds.extended_strategies import Recipe, episodes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_marl.simulator import EpisodeLog
    from edge_marl.workload.topology import Topology


MAX_STEPS = 500
SENT = (k.ADMITTED, k.CRASHED, k.FAILED, k.OUTAGE)


@dataclass(frozen=True)
class Moment:
    """What there was at one decision, or at the end of the episode."""

    clock: int
    seen: NDArray[np.float32]  # (G, size)
    masks: NDArray[np.int8]
    rewards: list[float]  # of the step that led here
    log: EpisodeLog

    @property
    def facts(self) -> tuple[int, bytes, bytes]:
        """All that is seen here, to compare."""
        return self.clock, self.seen.tobytes(), self.masks.tobytes()


Policy = Callable[[int], list[int]]
"""Choice of every gateway by step."""


def policy_of(episode: ExtendedEpisode) -> Policy:
    """The episode's choices, gateway by gateway and step by step; some are illegal."""
    count, choices = episode.scenario.gateways.count, episode.choices
    return lambda step: [choices[(step * count + g) % len(choices)] for g in range(count)]


def play(scenario: Scenario, workload: Workload, policy: Policy) -> list[Moment]:
    """Every moment of a game, from its start to its end."""
    env: Any = edge_aigc_v0.parallel_env(scenario=scenario, reward="local")
    observations, infos = env.reset(options={"workload": workload})
    rewards: list[float] = []
    moments: list[Moment] = []
    for step in range(MAX_STEPS):
        masks = np.stack([info["action_mask"] for info in infos.values()])
        seen = np.stack(list(observations.values()))
        moments.append(Moment(env.log().clock_ms, seen, masks, rewards, env.log()))
        if not env.agents:
            return moments
        choices = dict(zip(env.agents, policy(step), strict=True))
        observations, paid, _, _, infos = env.step(choices)
        rewards = list(paid.values())
    raise AssertionError(f"no end after {MAX_STEPS} steps")


# ------------------------------------------------------------ accounts


@settings(strategies.THOROUGH, max_examples=150)
@given(episodes(always=("refund",)))
def test_with_refunds_the_sum_of_rewards_is_the_value_of_what_was_served(
    episode: ExtendedEpisode,
) -> None:
    """Value of requests served or in service at the end, less prices and penalties."""
    scenario, workload = episode.scenario, episode.workload
    moments = play(scenario, workload, policy_of(episode))
    log = moments[-1].log
    status = log.tasks[:, k.STATUS]
    lost_time = part_still_to_run(moments)
    penalties = scenario.overload.penalty * (
        np.isin(status, (k.REFUSED, k.DROPPED, k.DENIED)).sum() + lost_time
    )
    sent = np.flatnonzero(np.isin(status, SENT)).tolist()
    prices = math.fsum(price_of(scenario, workload, log, number) for number in sent)
    if scenario.decline is not None:
        declined = weights_of(workload)[status == k.DECLINED]
        prices += scenario.decline.price * math.fsum(declined)
    total = math.fsum(reward for moment in moments for reward in moment.rewards)
    expected = value_served(scenario, workload, log) - prices - penalties
    assert math.isclose(total, expected, rel_tol=1e-9, abs_tol=1e-9)


def part_still_to_run(moments: list[Moment]) -> float:
    """Sum of 1 - progress of all tasks lost in crashes."""
    lost = 0.0
    ends: dict[int, int] = {}
    for moment in moments:
        for number, row in enumerate(moment.log.tasks.tolist()):
            if row[k.STATUS] == k.ADMITTED:
                ends.setdefault(number, row[k.END])
    for number, row in enumerate(moments[-1].log.tasks.tolist()):
        if row[k.STATUS] == k.CRASHED:
            ran = row[k.END] - row[k.START]  # 0 in the slot that it was sent in
            lost += 1 - ran / (ends[number] - row[k.START]) if ran else 1
    return lost


def weights_of(workload: Workload) -> NDArray[np.float64]:
    """What the value of each task's request is multiplied by."""
    none = np.full(workload.num_tasks, 1000)
    return (none if workload.weights is None else workload.weights) / 1000


def steps_of(log: EpisodeLog) -> NDArray[np.int64]:
    """Denoising steps that are done of each task."""
    return log.tasks[:, k.DEMAND] if log.terms is None else log.terms[:, k.STEPS]


def price_of(scenario: Scenario, workload: Workload, log: EpisodeLog, number: int) -> float:
    """What an admitted task costs."""
    row = log.tasks[number]
    server, service = divmod(int(row[k.PLACE]), scenario.num_services)
    energy = workload.topology.energy
    price = 0.0 if energy is None else scenario.energy.weight * int(energy[server, service]) / 1000
    if scenario.cloud and server == scenario.num_servers - 1:
        price += scenario.cloud.price_per_step
    return int(steps_of(log)[number]) * price


def value_served(scenario: Scenario, workload: Workload, log: EpisodeLog) -> float:
    """Value of the requests whose last stage is admitted and not lost."""
    tasks, details = log.tasks, workload.details
    if details is None:
        details = np.zeros((len(tasks), k.NUM_DETAILS), np.int64)
    quality = task_utilities(workload.topology, tasks[:, k.TYPE], steps_of(log))
    weights = weights_of(workload)
    values = []
    for last in np.flatnonzero((tasks[:, k.STATUS] == k.ADMITTED) & (details[:, k.AFTER] == 0)):
        stages = range(last - details[last, k.STAGE], last + 1)
        value = np.mean([quality[i, tasks[i, k.PLACE]] for i in stages])
        due = int(details[last, k.DEADLINE])
        back = way_back(scenario, workload.topology, tasks[last], int(details[last, k.DOWNLOAD]))
        latency = int(tasks[last, k.END] - workload.tasks[last, k.ARRIVAL]) + back
        late = (latency - due) / due if due else 0.0
        values.append(value * min(1.0, max(0.0, 1 - late)) * weights[last])
    return math.fsum(values)


def way_back(scenario: Scenario, topology: Topology, row: NDArray[np.int64], kilobytes: int) -> int:
    """Time that a result takes to its gateway."""
    if scenario.network is None or topology.neighbours is None:
        return 0
    server, gateway = row[k.PLACE] // scenario.num_services, row[k.GATEWAY]
    link = gateway, int(np.flatnonzero(topology.neighbours[gateway] == server)[0])
    way = 0 if topology.propagation is None else int(topology.propagation[link])
    slow = 0 if topology.us_per_kb is None else int(topology.us_per_kb[link])
    return way + math.ceil(kilobytes * slow / 1000)


# ------------------------------------------------------------ what nobody can know


def service_features(scenario: Scenario) -> int:
    """Where the features of services begin."""
    one_hot = scenario.num_types if scenario.num_types > 1 else 0
    return one_hot + 4 + 5 * scenario.num_neighbours


def state_features(scenario: Scenario, neighbours: range) -> list[int]:
    """Free share and up of servers, what is warm there, and who waits."""
    services, v = service_features(scenario), scenario.num_services
    servers = services - 5 * scenario.num_neighbours
    at = [servers + 5 * n + feature for n in neighbours for feature in (1, 2)]
    at += [services + 4 * (n * v + i) + 2 for n in neighbours for i in range(v)]
    if scenario.queue is not None:
        lines = services + 4 * scenario.num_neighbours * v + bool(scenario.tasks.classes)
        at += [lines + 2 * n + feature for n in neighbours for feature in (0, 1)]
    return at


@settings(strategies.THOROUGH, max_examples=120)
@given(episodes(rows=2), st.floats(0, 1))
def test_the_future_is_not_seen(episode: ExtendedEpisode, share: float) -> None:
    """With other tasks, failures and ends after some time, all is as it was up to then."""
    scenario, (first, second) = episode.scenario, episode.workloads
    last = min(int(first.tasks[-1, k.ARRIVAL]), int(second.tasks[-1, k.ARRIVAL]))
    assume(last > 0)
    until = int(share * (last - 1))  # the last arrival decides the end of some episodes
    moments = play(scenario, first, policy_of(episode))
    twin = with_another_future(first, second, until, moments[-1].log)
    assume(twin.num_decisions(scenario) > 0)  # nothing of the first, and the second's last task
    others = play(scenario, twin, policy_of(episode))
    known = [moment for moment in moments if moment.clock <= until]
    assert [moment.facts for moment in known] == [moment.facts for moment in others[: len(known)]]
    rewards = [[moment.rewards for moment in part[: len(known)]] for part in (moments, others)]
    assert rewards[0] == rewards[1]


def with_another_future(first: Workload, second: Workload, until: int, log: EpisodeLog) -> Workload:
    """The first workload up to a time, then the second; tasks that end later may fail, or not."""
    keep, then = first.tasks[:, k.ARRIVAL] <= until, second.tasks[:, k.ARRIVAL] > until
    details = outages = weights = None
    if first.weights is not None and second.weights is not None:
        weights = np.concatenate([first.weights[keep], second.weights[then]])
    if first.details is not None and second.details is not None:
        changed = first.details.copy()
        undecided = (log.tasks[:, k.STATUS] == k.WAITING) | (log.tasks[:, k.END] > until)
        changed[undecided, k.FAILS] ^= 1
        details = np.concatenate([changed[keep], second.details[then]])
    if first.outages is not None and second.outages is not None:
        early, late = first.outages[:, k.TIME] <= until, second.outages[:, k.TIME] > until
        outages = np.concatenate([first.outages[early], second.outages[late]])
    sleeps = with_other_sleeps(first, second, until)
    tasks = np.concatenate([first.tasks[keep], second.tasks[then]])
    return Workload(first.topology, tasks, details, outages, weights, sleeps)


def with_other_sleeps(first: Workload, second: Workload, until: int) -> NDArray[np.int64] | None:
    """Sleeps of the first that begin by a time, then those of the second that do not meet them."""
    if first.sleeps is None or second.sleeps is None:
        return None
    rows = [row for row in first.sleeps.tolist() if row[0] <= until]
    wakes = {gateway: begin + length for begin, gateway, length in rows}
    rows += [r for r in second.sleeps.tolist() if r[0] > until and r[0] >= wakes.get(r[1], 0)]
    return np.array(sorted(rows, key=lambda row: (row[1], row[0])), np.int64).reshape(-1, 3)


@settings(strategies.THOROUGH, max_examples=120)
@given(episodes(always=("telemetry",)), st.integers(0, 20), st.integers(1, 50))
def test_a_report_knows_no_decision_of_its_time_or_later(
    episode: ExtendedEpisode, step: int, shift: int
) -> None:
    """Other choices from a step on change no report of a tick up to that step's time."""
    scenario, policy = episode.scenario, policy_of(episode)
    count = scenario.num_actions + 1

    def other(at: int) -> list[int]:
        return [(c + shift * (at >= step)) % count for c in policy(at)]

    games = [play(scenario, episode.workload, choose) for choose in (policy, other)]
    assume(step < len(games[0]) - 1)
    when, period = games[0][step].clock, scenario.telemetry.period_ms
    remote = state_features(scenario, range(1, scenario.num_neighbours))
    # Several decisions of one time: what is seen there is the same for all of them.
    seen = [
        {
            (moment.clock, moment.seen[:, remote].tobytes())
            for moment in game
            if moment.clock // period * period <= when
        }
        for game in games
    ]
    views = [dict(part) for part in seen]
    assert [len(part) for part in seen] == [len(part) for part in views]
    for clock in views[0].keys() & views[1].keys():
        assert views[0][clock] == views[1][clock]


@settings(strategies.THOROUGH, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(0, 10), st.integers(1, 50))
def test_nobody_sees_a_choice_of_the_same_slot(seed: int, step: int, shift: int) -> None:
    """Other choices in one slot change nothing that was seen up to and in that slot."""
    episode = Recipe(seed, slotted=True).episode()
    scenario, policy = episode.scenario, policy_of(episode)
    count = scenario.num_actions + 1

    def other(at: int) -> list[int]:
        return [(c + shift * (at == step)) % count for c in policy(at)]

    games = [play(scenario, episode.workload, choose) for choose in (policy, other)]
    known = slice(step + 1)
    assert [m.facts for m in games[0][known]] == [m.facts for m in games[1][known]]
