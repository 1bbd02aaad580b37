"""A log is played again with the decisions that were taken, and told beside what was measured."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from edge_marl.draw import draw_workload
from edge_marl.errors import ServingError
from edge_marl.kernel import world as k
from edge_marl.scenario import Scenario, load_scenario
from edge_marl.serving.log import EventLog, History, read_logs
from edge_marl.serving.replay import as_measured, as_simulated, beside, fitting
from edge_marl.serving.world import Choice, Request
from edge_marl.simulator import Simulator

SMOKE, CAMPUS = load_scenario("smoke"), load_scenario("campus@2")


def played(scenario: Scenario, path: Path) -> tuple[History, Simulator]:
    """Return a log of an episode that the simulator played at random, and that simulator."""
    drawn = draw_workload(scenario, 0)
    tasks = drawn.tasks.copy()
    tasks[:, k.GATEWAY] = 0
    simulator = Simulator(scenario, num_threads=1)
    simulator.load(0, dataclasses.replace(drawn, tasks=tasks, outages=None))
    w, rng = simulator.world, np.random.default_rng(0)
    log = EventLog(path, scenario, drawn.topology, 0, [f"{s}" for s in range(scenario.num_servers)])
    while simulator.done[0] == k.GOING_ON:
        row = int(simulator.task_shown[0])
        details = w.details[0, row] if scenario.extended else np.zeros(k.NUM_DETAILS + 3, int)
        time, run_time, demand, kind, _ = w.tasks[0, row, : k.NUM_TASK_FIELDS].tolist()
        names = {"deadline_ms": k.DEADLINE, "load_ms": k.LOAD_TIME, "upload_kb": k.UPLOAD}
        more = {name: int(details[at]) for name, at in names.items()}
        more |= {"download_kb": int(details[k.DOWNLOAD])}
        more |= {"weight": int(w.terms[0, row, k.WEIGHT])} if scenario.has_terms else {}
        log.arrived(time, row, Request(kind, demand, run_time, **more))
        sends = np.flatnonzero(simulator.feasible[0])
        sends = sends[sends < scenario.num_actions - (scenario.decline is not None)]
        utility = simulator.step_row(0, int(rng.choice(sends)))
        place = int(w.tasks[0, row, k.PLACE])
        steps = int(w.terms[0, row, k.STEPS]) if scenario.has_terms else demand
        server, service = divmod(place, scenario.num_services)
        log.sent(time, row, Choice(server, service, steps), "policy", utility)
    ended = simulator.log(0)
    for row, task in enumerate(ended.tasks):
        back = 0 if ended.details is None else int(ended.details[row, k.RETURN])
        outcome = "served" if task[k.STATUS] == k.ADMITTED else "failed"
        log.ended(int(task[k.END]) + back, row, outcome)  # type: ignore[arg-type]  # a str, not the literal
    log.close(int(ended.clock_ms))
    return read_logs([path]), simulator


@pytest.mark.parametrize("scenario", [SMOKE, CAMPUS], ids=["smoke", "campus@2"])
def test_what_the_simulator_did_it_does_again(scenario: Scenario, tmp_path: Path) -> None:
    history, simulator = played(scenario, tmp_path / "log")
    part = fitting(history, scenario)
    measured, simulated = as_measured(part), as_simulated(part, scenario)
    assert 0 < simulated.served.sum() < len(simulated.served)
    np.testing.assert_array_equal(measured.latency_s, simulated.latency_s)
    assert simulated.crashes == simulator.log(0).server_crashes.sum()
    assert [row[1] == row[2] for row in beside(measured, simulated).rows[1:6]] == [True] * 5


def test_what_was_not_sent_is_not_served_in_either(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "log", SMOKE, draw_workload(SMOKE, 0).topology, 0, ["a", "b", "c"])
    for number in range(3):
        log.arrived(number, number, Request(0, 100, 1000))
        if number != 1:
            log.sent(number, number, Choice(1, 0, 100), "policy", 0.5)
        log.ended(1000 + number, number, "served" if number != 1 else "refused")
    log.close(2000)
    history = read_logs([tmp_path / "log"])
    assert as_measured(history).served.tolist() == [True, False, True]
    simulated = as_simulated(history, SMOKE)
    np.testing.assert_array_equal(simulated.latency_s, [1.0, np.nan, 1.0])
    refused = dataclasses.replace(history, arrived=history.arrived[1:2], fates=history.fates[1:2])
    with pytest.raises(ServingError, match="no request that was sent to a server"):
        as_simulated(refused, SMOKE)


def test_a_place_that_the_scenario_has_not_got_is_told(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "log", SMOKE, draw_workload(SMOKE, 0).topology, 0, ["a", "b", "c"])
    log.arrived(0, 7, Request(0, 100, 1000))
    log.sent(0, 7, Choice(3, 0, 100), "policy", 0.5)
    log.close(1)
    with pytest.raises(ServingError, match="request 7 of the log went to service 0 of server 3"):
        as_simulated(read_logs([tmp_path / "log"]), SMOKE)
