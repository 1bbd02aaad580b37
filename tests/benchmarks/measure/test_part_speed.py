"""What `benchmarks/measure/part_speed.py` makes of a tier's parts."""

import pytest

from edge_marl.benchmarks.measure import part_speed
from edge_marl.benchmarks.speed.parts import KernelSample
from edge_marl.scenario import Scenario, load_scenario
from edge_marl.scenario.ablation import parts_of


class Kernel:
    """Takes 100 ns with all parts, 80 without the lines, and the third round is a slow one."""

    def __init__(self, scenario: Scenario, quick: bool) -> None:
        self._ns, self._round = 100.0 if scenario.queue else 80.0, 0

    def measure(self) -> KernelSample:
        self._round += 1
        slow = 3.0 if self._round == 3 else 1.0
        return KernelSample(0.75 * self._ns * slow, 0.25 * self._ns * slow)


def test_each_part_that_can_be_left_out_is_measured_beside_the_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(part_speed, "Kernel", Kernel)
    scenario = load_scenario("campus@2")
    times = part_speed.measure(scenario, rounds=3)
    assert set(times) == {part_speed.WHOLE} | {part.name for part in parts_of(scenario)}
    assert times[part_speed.WHOLE] == (100.0, 1.0)
    assert times["queue"] == (80.0, 0.8)
    assert times["levels"] == (100.0, 1.0)


def test_what_has_too_many_actions_without_a_part_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(part_speed, "Kernel", Kernel)
    assert "neighbourhood" not in part_speed.measure(load_scenario("planet@2"), rounds=1)
