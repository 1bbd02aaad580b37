"""The kernel's bodies give the same bits as plain Python and compiled."""

import types
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import pytest

from edge_marl import Simulator, draw_workload, load_scenario
from edge_marl.kernel import world as kernel
from edge_marl.kernel.agenda import CHILDREN, ROOT, find_soonest, first_leaf, note_soonest
from edge_marl.simulator.stepping import Pace
from edge_marl.workload import workload
from tests.worlds.plain_python import printed


@pytest.mark.parametrize("tier", ["smoke", "agod", "paper"])
def test_plain_python_equals_compiled(tier: str, monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = load_scenario(tier)
    rng = np.random.default_rng(1)
    loads = [draw_workload(scenario, seed) for seed in range(3)]
    steps = min(400, *(load.num_decisions(scenario) for load in loads))
    actions = rng.integers(scenario.num_actions, size=(steps, 3))
    actions[: steps // 2] = actions[: steps // 2] // scenario.num_services * scenario.num_services
    runs = []
    for plain in (False, True):
        monkeypatch.setattr(numba.config, "DISABLE_JIT", plain)  # the bodies stay compiled ones
        simulator = Simulator(scenario, 3)
        for row, load in enumerate(loads):
            simulator.load(row, load)
        rewards, seen = np.zeros((steps, 3)), []
        for step in range(steps):
            simulator.step(actions[step], rewards[step])
            seen.append(simulator.observations.copy())
        logs = np.concatenate([simulator.log(row).tasks for row in range(3)])
        runs.append((rewards, np.array(seen), logs))
    for compiled_part, plain_part in zip(*runs, strict=True):
        np.testing.assert_array_equal(compiled_part, plain_part)
    assert (runs[0][0] < 0).any()  # crashes were among it


def test_environment_runs_without_the_compiler() -> None:
    """`NUMBA_DISABLE_JIT=1`, for coverage and debuggers: the same episode, bit for bit."""
    code = (
        "import gymnasium, edge_marl\n"
        "env = gymnasium.make('EdgeAIGC-v0', scenario='smoke')\n"
        "envs = gymnasium.make_vec('EdgeAIGC-v0', 2, scenario='smoke')\n"
        "total = env.reset(seed=0)[0].sum() + envs.reset(seed=0)[0].sum()\n"
        "for action in range(50):\n"
        "    total += env.step(action % 6)[1] + envs.step([action % 6] * 2)[1].sum()\n"
        "print(repr(float(total)))"
    )
    assert len(printed(code, "-W", "error")) == 1


class TogetherAlways(Pace):
    """Never alone."""

    def run(self, alone: Callable[[], None], together: Callable[[], None]) -> None:
        together()


def test_threads_do_not_change_results() -> None:
    scenario = load_scenario("smoke")
    actions = np.random.default_rng(0).integers(scenario.num_actions, size=(40, 300))
    runs = []
    for threads in (1, 3):
        simulator = Simulator(scenario, 300, num_threads=threads)
        assert simulator.stepper._num_threads == threads
        simulator.stepper._pace = TogetherAlways()
        for row in range(300):
            simulator.load(row, draw_workload(scenario, row))
        rewards = np.zeros((40, 300))
        for step in range(40):
            simulator.step(actions[step], rewards[step])
        runs.append((rewards, simulator.observations))
    np.testing.assert_array_equal(runs[0][0], runs[1][0])
    np.testing.assert_array_equal(runs[0][1], runs[1][1])


def test_room_grows_with_the_workload_and_keeps_the_other_rows() -> None:
    scenario = load_scenario("smoke")
    simulator = Simulator(scenario, 2)
    simulator.load(0, draw_workload(scenario, 0))
    rewards = np.zeros(2)
    simulator.load(1, draw_workload(scenario, 1))
    for _ in range(20):
        simulator.step(np.array([1, 2]), rewards)
    before = simulator.log(0)
    many = np.concatenate([draw_workload(scenario, seed).tasks for seed in range(9)])
    many = many[np.argsort(many[:, kernel.ARRIVAL], kind="stable")]
    many[:, kernel.DEMAND] = 1
    simulator.load(1, workload.Workload(draw_workload(scenario, 0).topology, many))
    after = simulator.log(0)
    np.testing.assert_array_equal(before.tasks, after.tasks)
    np.testing.assert_array_equal(before.rewards, after.rewards)
    for _ in range(len(many)):
        simulator.step(np.array([0, 0]), rewards)
    assert simulator.done[1] == kernel.TRUNCATED
    assert simulator.log(1).finished.sum() == len(many) - simulator.log(1).running.sum()


def test_a_tree_of_any_number_of_servers_finds_the_soonest() -> None:
    rng = np.random.default_rng(0)
    for servers in (*range(1, 18), 63, 64, 65, 80):
        leaf = first_leaf(servers)
        nodes = np.full((1, leaf + -(-servers // CHILDREN) * CHILDREN), kernel.NEVER)
        spec = np.full(kernel.NUM_SPEC_ENTRIES, leaf)
        world: Any = types.SimpleNamespace(soonest=nodes, spec=spec)
        ends = np.full(servers, kernel.NEVER)
        for _ in range(100):
            server = int(rng.integers(servers))
            ends[server] = rng.choice([int(rng.integers(50)), kernel.NEVER])
            note_soonest(world, 0, server, int(ends[server]))
            assert world.soonest[0, ROOT] == ends.min()
            if ends.min() < kernel.NEVER:
                assert find_soonest(world, 0) == ends.argmin()
