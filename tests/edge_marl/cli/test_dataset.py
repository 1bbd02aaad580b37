"""`edge-marl dataset`: what is in the files is what was played, and what must not be is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import minari
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from edge_marl import EdgeAIGCRows, draw_workload, load_scenario
from edge_marl.agents import Agent, make
from edge_marl.agents.recording import AT_ONCE, record_agent
from edge_marl.benchmarks.run.evaluation import evaluate
from edge_marl.cli.root import app
from edge_marl.errors import EdgeMarlError
from edge_marl.leaderboards.submission.files import read_submission

SUBMISSION = next((Path(__file__).parents[2] / "submissions" / "good" / "smoke-v0").iterdir())


def run(*args: object) -> Result:
    return CliRunner().invoke(app, ["dataset", *map(str, args)])


def written(out: Path, *args: object) -> Any:
    """The data set that a command wrote."""
    done = run("--out", out, *args)
    assert done.exit_code == 0, (done.output, done.exception)
    return minari.MinariDataset(out)


def refusal(*args: object) -> str:
    """What a command is refused with."""
    done = run(*args)
    assert isinstance(done.exception, EdgeMarlError)
    return str(done.exception)


def test_episodes_of_one_orchestrator_play_again(tmp_path: Path) -> None:
    data = written(tmp_path / "new", "--scenario", "smoke", "--agent", "random", "--workloads", 3)
    assert data.total_episodes == 3
    env = data.recover_environment()
    for number, facts in enumerate(data.storage.get_episode_metadata(range(3))):
        episode = data[number]
        seen, _ = env.reset(seed=facts["seed"])
        rewards = []
        for step, action in enumerate(episode.actions):
            assert seen in data.observation_space
            for name, array in seen.items():
                np.testing.assert_array_equal(array, episode.observations[name][step])
            seen, reward, terminated, truncated, _ = env.step(action)
            rewards.append(reward)
        assert rewards == episode.rewards.tolist()
        assert episode.truncations.tolist() == [*[False] * (len(rewards) - 1), truncated]
        assert not episode.terminations.any()
        assert not terminated
        parts = episode.infos["reward_parts"].sum(-1)
        assert parts.tolist() == [0.0, *rewards]
        assert episode.infos["costs"]["crash"].sum() == facts["server_crashes"] > 0
    assert json.loads((tmp_path / "new" / "metadata.json").read_text())["edge_marl"]["split"] == (
        "train"
    )


def test_episodes_of_a_game_have_an_axis_of_gateways(tmp_path: Path) -> None:
    data = written(
        tmp_path / "new", "--scenario", "smoke-game", "--agent", "random", "--workloads", 2
    )
    episode, rows = data[1], EdgeAIGCRows(1, "smoke-game", cost="lost")
    seen, infos = rows.reset(seed=1)
    for step, choices in enumerate(episode.actions):
        assert choices in data.action_space
        np.testing.assert_array_equal(seen[0], episode.observations["observation"][step])
        np.testing.assert_array_equal(
            infos["action_mask"][0], episode.observations["action_mask"][step]
        )
        seen, rewards, *_, infos = rows.step(choices[None])
        assert rewards[0, 0] == pytest.approx(episode.rewards[step], abs=1e-12)
        if step + 1 < len(episode):  # then the next episode has begun
            np.testing.assert_array_equal(seen[0], episode.observations["observation"][step + 1])
        np.testing.assert_array_equal(
            infos["costs"]["lost"][0], episode.infos["costs"]["lost"][step + 1]
        )
    own = episode.infos["own_rewards"][1:]
    np.testing.assert_allclose(own.mean(1), episode.rewards, rtol=1e-12, atol=1e-12)


def test_a_submission_gives_the_decisions_of_its_log(tmp_path: Path) -> None:
    chosen = ("--submission", SUBMISSION, "--split", "test")
    data = written(tmp_path / "new", *chosen, "--workloads", 2)
    facts = json.loads((tmp_path / "new" / "metadata.json").read_text())["edge_marl"]
    submission = read_submission(SUBMISSION)
    assert (facts["split"], facts["submission"]) == ("test", submission.entry)
    told = list(data.storage.get_episode_metadata(range(2)))
    for workload, found in enumerate(told):
        assert found["utility"] == submission.runs[0].metrics["utility"][workload]
        assert found["workload"] == submission.workloads[workload]
        assert "seed" not in found
    assert "has no run 7" in refusal(*chosen, "--seed", 7, "--out", tmp_path / "no")


def test_what_must_not_be_learnt_from_is_refused(tmp_path: Path) -> None:
    out = ("--out", tmp_path / "new")
    assert "for results, not to learn from" in refusal(*out, "--agent", "random", "--split", "test")
    assert "say --split test" in refusal(*out, "--submission", SUBMISSION)
    assert "says agent and scenario itself" in refusal(
        *out, "--submission", SUBMISSION, "--agent", "random"
    )
    assert "has to learn first" in refusal(*out, "--agent", "adsac")
    assert "--checkpoint FOLDER or --agent NAME" in refusal(*out)
    assert not (tmp_path / "new").exists()
    (tmp_path / "new").mkdir()
    assert "is there already" in refusal(*out, "--agent", "random", "--scenario", "smoke")


def test_each_few_episodes_have_lots_of_their_own() -> None:
    scenario = load_scenario("smoke")
    agent = make("random", scenario)
    assert isinstance(agent, Agent)
    workload = draw_workload(scenario, 0)
    played = list(record_agent(agent, scenario, [workload] * (AT_ONCE + 1), 5, "single"))
    assert played[0].action.tolist() != played[AT_ONCE].action.tolist()
    expected = evaluate(agent, scenario, [workload] * AT_ONCE, seed=5)
    assert [episode.metrics for episode in played[:AT_ONCE]] == expected
