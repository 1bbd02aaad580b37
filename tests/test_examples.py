"""The examples run as they stand in the docs, and what they print and store is right."""

import importlib.util
import inspect
import math
import re
import subprocess
import sys
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode

from edge_marl import draw_workload, edge_aigc_v0, load_scenario
from edge_marl.agents import Agent, make
from edge_marl.agents.recording import record_agent, write_dataset
from edge_marl.benchmarks.run.evaluation import evaluate, evaluate_gateways

EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"

NEEDS = {
    "cleanrl_ppo": ("torch", ""),
    "maskable_ppo": ("sb3_contrib", "pip install '.[sb3]'"),
    "supersuit_sb3": ("supersuit", "pip install '.[sb3]'"),
    "torchrl_wrapper": ("torchrl", "pip install '.[torchrl]'"),
    "rllib_multi_agent": ("tree", "make rllib-example"),  # RLlib needs it, Ray alone does not
}
"""Package that each example needs beside ours, and how to get it."""

GAMES = ("supersuit_sb3", "torchrl_wrapper", "rllib_multi_agent")
STEPS = {"cleanrl_ppo": 30_000}
"""Long enough to have learned; the others take 600 steps."""


def need(name: str) -> None:
    """Skip the test where the package that an example needs is missing."""
    package, how = NEEDS[name]
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"needs {package}: {how}")


def run(name: str, *options: str) -> str:
    """Return what an example prints."""
    need(name)
    command = [sys.executable, str(EXAMPLES / f"{name}.py"), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def figures(printed: str, what: str) -> dict[str, float]:
    """Return a printed figure of each agent."""
    found = re.findall(rf"^(\w+):.*\b{what} (-?\d+\.\d+)", printed, flags=re.MULTILINE)
    return {name: float(value) for name, value in found}


def steps_taken(printed: str) -> int:
    found = re.search(r"^trained on (\d+) ", printed, flags=re.MULTILINE)
    assert found is not None, printed
    return int(found[1])


@pytest.fixture(scope="module")
def random_utility() -> dict[str, float]:
    """What random gets on the examples' validation workloads, in either API."""
    alone = load_scenario("smoke")
    game = alone.with_gateways(alone.num_servers).with_clock(600.0, hold=False)
    means = {}
    for api, scenario, play in (("single", alone, evaluate), ("game", game, evaluate_gateways)):
        agent = make("random", scenario)
        assert isinstance(agent, Agent)
        workloads = [draw_workload(scenario, k, split="validation") for k in range(8)]
        metrics = play(agent, scenario, workloads, seed=0)
        means[api] = fmean(episode["utility_per_task"] for episode in metrics)
    return means


@pytest.mark.parametrize("name", NEEDS)
def test_example_trains_and_compares_with_random(
    name: str, random_utility: dict[str, float]
) -> None:
    steps = STEPS.get(name, 600)
    printed = run(name, "--steps", str(steps))
    assert steps_taken(printed) >= steps
    utility = figures(printed, "utility per task")
    assert utility.keys() == {"ppo", "random"}
    expected = random_utility["game" if name in GAMES else "single"]
    assert utility["random"] == pytest.approx(expected, abs=5e-5)
    assert math.isfinite(utility["ppo"])
    assert utility["ppo"] != utility["random"]
    if name in STEPS:
        assert utility["ppo"] > utility["random"] + 0.3
    illegal = re.findall(r"(\d+) illegal choices", printed)
    assert set(illegal) <= {"0"}
    assert bool(illegal) == (name in ("torchrl_wrapper", "rllib_multi_agent"))


def test_a_mask_of_ones_own_is_obeyed() -> None:
    printed = run("maskable_ppo", "--steps", "600", "--room")
    crashes = figures(printed, "server crashes per task")
    # Left are the tasks that no server had room for.
    assert crashes["ppo"] < crashes["random"] / 2


def load(name: str) -> Any:
    """Return an example as a module."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def cleanrl() -> Any:
    return load("cleanrl_ppo")


def play(cleanrl: Any, mode: AutoresetMode, steps: int) -> list[dict[str, torch.Tensor]]:
    """Return what counts of a greedy policy's steps, row by row."""
    scenario = load_scenario("smoke")
    envs = cleanrl.make_envs(scenario, mode)
    torch.manual_seed(0)
    network = cleanrl.ActorCritic(scenario, envs.single_observation_space.shape[0])
    with torch.no_grad():
        for parameter in network.actor[-1].parameters():
            parameter *= 1e6  # nothing is left to chance
    player = cleanrl.Player(envs, seed=7)
    stored = [player.step(network)._asdict() for _ in range(steps)]
    names = ("observation", "action", "reward", "following", "terminated", "ended")
    rows = []
    for row in range(envs.num_envs):
        kept = [step for step in stored if step["counts"][row]]
        rows.append({name: torch.stack([step[name][row] for step in kept]) for name in names})
    return rows


def test_the_autoreset_modes_store_the_same_steps(cleanrl: Any) -> None:
    same_step, disabled, next_step = (
        play(cleanrl, mode, 200)
        for mode in (AutoresetMode.SAME_STEP, AutoresetMode.DISABLED, AutoresetMode.NEXT_STEP)
    )
    for row, expected in enumerate(same_step):
        ended = expected["ended"][:-1]
        assert ended.any()
        assert not expected["terminated"].any()  # `smoke` is truncated at its horizon
        moved = (expected["following"][:-1] != expected["observation"][1:]).any(-1)
        assert torch.equal(moved, ended)
        for other in (disabled[row], next_step[row]):
            for name, values in other.items():
                assert torch.equal(values, expected[name][: len(values)]), name
        assert len(next_step[row]["ended"]) == 200 - int(next_step[row]["ended"][:-1].sum())


def test_what_follows_an_end_is_worth_nothing_only_where_it_terminated(cleanrl: Any) -> None:
    network = cleanrl.ActorCritic(load_scenario("smoke"), 12)
    seen, following = torch.rand(2, 1, 12), torch.rand(2, 1, 12)
    blank = torch.zeros(2, 1)
    yes, no = torch.ones(2, 1, dtype=torch.bool), torch.zeros(2, 1, dtype=torch.bool)
    for terminated, worth in ((yes, 0.0), (no, cleanrl.GAMMA)):
        steps = cleanrl.Steps(
            seen, yes, blank, blank, blank + 1.0, following, terminated, ended=yes, counts=yes
        )
        target = cleanrl.advantages(network, steps)[1]
        torch.testing.assert_close(target, 1.0 + worth * network.value(following).detach())


def test_stable_baselines_hears_of_truncation() -> None:
    need("supersuit_sb3")
    example = load("supersuit_sb3")
    game = edge_aigc_v0.parallel_env(scenario="smoke", gateways=2, slot_s=600.0)
    rows = example.supersuit.pettingzoo_env_to_vec_env_v1(example.TellTruncation(game))
    envs = example.supersuit.concat_vec_envs_v1(rows, 2, base_class="stable_baselines3")
    envs.venv.reset(seed=7)
    ended = np.zeros(4, dtype=bool)
    while not ended.any():
        _, _, ended, infos = envs.step(np.zeros(4, dtype=np.int64))
    for row in np.flatnonzero(ended):
        assert infos[row]["TimeLimit.truncated"]
        assert infos[row]["terminal_observation"].shape == envs.observation_space.shape


def test_the_table_lists_every_example() -> None:
    page = (EXAMPLES / "README.md").read_text("utf-8")
    listed = re.findall(r"^\| \[(\w+)\.py\]\((\w+)\.py\)", page, flags=re.MULTILINE)
    assert sorted(listed) == [(file.stem, file.stem) for file in sorted(EXAMPLES.glob("*.py"))]
    # `my_agent` runs in `test_evaluate.py` and `test_testing.py`, the other two above.
    others = {"my_agent", "costs_and_vectors", "clone_behaviour"}
    assert {name for name, _ in listed} == {*NEEDS, *others}


def test_a_constraint_is_kept_and_weights_move_what_is_learned(
    capsys: pytest.CaptureFixture[str],
) -> None:
    load("costs_and_vectors").main(["--steps", "40000"])
    printed = capsys.readouterr().out
    lost, crashes = figures(printed, "lost per decision"), figures(printed, "crashes per decision")
    limit = 0.16
    assert lost["constrained"] < 1.1 * limit < lost["weight_0"]
    assert crashes["weight_1"] < 0.8 * crashes["weight_0"] < crashes["random"]
    (price,) = re.findall(r"price (\d+\.\d+)", printed)
    assert 0.01 < float(price) < 100


def test_behaviour_is_cloned_from_a_data_set(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scenario = load_scenario("smoke")
    prophet = make("prophet", scenario)
    assert isinstance(prophet, Agent)
    workloads = [draw_workload(scenario, k) for k in range(40)]
    episodes = record_agent(prophet, scenario, workloads, 0, "single")
    facts = {"agent": "prophet", "split": "train"}
    steps = write_dataset(tmp_path / "data", scenario, "single", episodes, facts)
    load("clone_behaviour").main([str(tmp_path / "data"), "--passes", "20"])
    printed = capsys.readouterr().out
    assert f"cloned {steps} decisions of prophet on train workloads" in printed
    utility = figures(printed, "utility per task")
    assert utility["clone"] > utility["random"] + 0.4


def test_of_the_two_of_sb3_contrib_only_one_takes_masks() -> None:
    """As the page of examples says."""
    need("maskable_ppo")
    from sb3_contrib import MaskablePPO, RecurrentPPO

    takes = {
        kind: inspect.signature(kind.predict).parameters for kind in (MaskablePPO, RecurrentPPO)
    }
    assert "action_masks" in takes[MaskablePPO]
    assert "action_masks" not in takes[RecurrentPPO]
