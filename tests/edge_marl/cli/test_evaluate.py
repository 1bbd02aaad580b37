"""`edge-marl train` and `edge-marl evaluate`, end to end.

A training and an evaluation run as a user's do, in processes of their own; other commands in this
one, where the libraries that they need are imported already.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from edge_marl.agents import Agent, make
from edge_marl.agents.play import play
from edge_marl.cli import app
from edge_marl.cli.evaluate import _rows
from edge_marl.console import run_app
from edge_marl.draw import draw_workload
from edge_marl.scenario import load_scenario

SMOKE = load_scenario("smoke")
TRAIN = (
    *("train", "--agent", "sac", "--scenario", "smoke", "--budget", 400, "--seed", 3),
    *("--set", "hidden=[16]", "--set", "num_envs=8"),
)
EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "my_agent.py"


Done = subprocess.CompletedProcess[str]


def in_a_process(*args: object, folder: Path | None = None) -> Done:
    code = "from edge_marl.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, args)], capture_output=True, text=True, cwd=folder
    )


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    def run(*args: object) -> Done:
        told = [*map(str, args)]
        with pytest.raises(SystemExit) as end:
            run_app(app, told)
        said = capsys.readouterr()
        return subprocess.CompletedProcess(told, int(end.value.code or 0), said.out, said.err)

    return run


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a short training of `sac`."""
    folder = tmp_path_factory.mktemp("training")
    done = in_a_process(*TRAIN, folder=folder)
    assert done.returncode == 0, done.stderr
    assert "selected at" in done.stdout
    return folder / "results" / "train" / "smoke" / "sac" / "3"


def test_training_leaves_an_agent_a_curve_and_tensorboard(trained: Path) -> None:
    assert {path.name for path in trained.iterdir()} == {
        "agent", "curve.csv", "run.json", "tensorboard"
    }  # fmt: skip
    curve = (trained / "curve.csv").read_text("utf-8").splitlines()
    assert len(curve) == 11
    assert json.loads((trained / "run.json").read_text("utf-8"))["settings"]["hidden"] == [16]


def test_a_finished_training_is_not_done_again(trained: Path, command: Callable[..., Done]) -> None:
    before = (trained / "agent" / "weights.safetensors").stat().st_mtime_ns
    done = command(*TRAIN, "--out", trained)
    assert done.returncode == 0
    assert (trained / "agent" / "weights.safetensors").stat().st_mtime_ns == before


def test_a_training_goes_by_its_scenarios_digest(
    trained: Path, tmp_path: Path, command: Callable[..., Done]
) -> None:
    """One whose tier was called otherwise then is the same; another tier of its name is not."""
    other = {"name": "smoke", "digest": "0" * 64}
    for scenario, code in (({"name": "small", "digest": SMOKE.digest}, 0), (other, 2)):
        folder = tmp_path / scenario["name"]
        shutil.copytree(trained, folder)
        facts = json.loads((folder / "run.json").read_text("utf-8"))
        (folder / "run.json").write_text(json.dumps(facts | {"scenario": scenario}), "utf-8")
        done = command(*TRAIN, "--out", folder)
        assert done.returncode == code, done.stderr
        assert ("holds another training: scenario = " in " ".join(done.stderr.split())) == bool(
            code
        )


def test_an_agent_of_before_tiers_had_versions_is_evaluated_in_its_own(
    tmp_path: Path, command: Callable[..., Done]
) -> None:
    scenario = load_scenario("campus@1")
    agent = make("nearest", scenario)
    assert isinstance(agent, Agent)
    agent.save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text("utf-8"))
    assert config["scenario"] == {"name": "campus@1", "digest": scenario.digest}
    for name in ("campus@1", "campus"):
        config["scenario"]["name"] = name
        (tmp_path / "config.json").write_text(json.dumps(config), "utf-8")
        done = command("evaluate", "--checkpoint", tmp_path, "--episodes", 1, "--json")
        assert done.returncode == 0, done.stderr
        facts = json.loads(done.stdout)
        assert (facts["scenario"], facts["digest"]) == ("campus@1", scenario.digest)
    config["scenario"]["digest"] = "0" * 64
    (tmp_path / "config.json").write_text(json.dumps(config), "utf-8")
    done = command("evaluate", "--checkpoint", tmp_path, "--episodes", 1)
    assert done.returncode == 2
    assert "which is no tier of this version" in " ".join(done.stderr.split())


def test_tensorboard_has_the_curve(trained: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(trained / "tensorboard")).Reload()
    points = events.Scalars("validation/utility")
    rows = (trained / "curve.csv").read_text("utf-8").splitlines()[1:]
    assert [point.step for point in points] == [int(row.split(",")[0]) for row in rows]


def test_a_checkpoint_is_evaluated_in_its_own_scenario(trained: Path) -> None:
    args = ("evaluate", "--checkpoint", trained / "agent", "--episodes", 3)
    done = in_a_process(*args, "--json")
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["scenario"] == "smoke"
    assert facts["agent"] == "sac"
    assert len(facts["metrics"]["utility"]) == 3
    assert facts["distinct_actions"] >= 1


@pytest.mark.parametrize("split", ["test", "validation"])
def test_figures_are_those_of_the_episodes(
    split: Literal["test", "validation"], command: Callable[..., Done]
) -> None:
    agent = make("prophet", SMOKE)
    assert isinstance(agent, Agent)
    workloads = [draw_workload(SMOKE, k, split=split) for k in range(4)]
    expected = [e["utility"] for e in play(agent, SMOKE, workloads, 0).metrics]
    args = ("--agent", "prophet", "--scenario", "smoke", "--split", split, "--episodes", 4)
    facts = json.loads(command("evaluate", *args, "--json").stdout)
    assert facts["metrics"]["utility"] == expected
    shown = command("evaluate", *args).stdout
    assert f"{np.mean(expected):.4f}" in shown


def test_an_agent_of_ones_own(command: Callable[..., Done]) -> None:
    args = ("--agent", f"{EXAMPLE}:MostRoom", "--scenario", "smoke", "--episodes", 2)
    done = command("evaluate", *args)
    assert done.returncode == 0
    assert "utility_per_task" in done.stdout


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "give either --checkpoint FOLDER or --agent NAME"),
        (["--agent", "random", "--checkpoint", "x"], "give either --checkpoint"),
        (["--checkpoint", "nowhere"], "holds no agent: there is no config.json"),
        (["--agent", "randon"], "did you mean 'random'?"),
        (["--agent", "ppo"], "has to learn first"),
        (["--checkpoint", "TRAINED", "--scenario", "paper"], "made for scenario 'smoke'"),
        (["--checkpoint", "TRAINED", "--scenario", "paper", "--transfer"], "its sizes are those"),
    ],
)
def test_bad_input_is_one_message(
    args: list[str], message: str, trained: Path, command: Callable[..., Done]
) -> None:
    given = [str(trained / "agent") if arg == "TRAINED" else arg for arg in args]
    done = command("evaluate", *given)
    assert done.returncode == 2
    assert message in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert not done.stdout


@pytest.mark.parametrize("api", ["single", "parallel"])
@pytest.mark.parametrize(
    ("act", "message"),
    [
        ('{}["x"]', "act raised KeyError: 'x', at "),
        ("[1.5] * len(seen)", "act returned shape"),
        ("[99] * len(seen)", "99 of row 0"),
    ],
)
def test_an_agent_that_goes_wrong_is_one_message(
    act: str,
    message: str,
    api: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: Callable[..., Done],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text(
        "from edge_marl.agents import Agent\nclass Odd(Agent):\n    def reset(self, seed): pass\n"
        f"    def act(self, seen, info): return {act}\n"
    )
    args = ("--agent", "own.py:Odd", "--scenario", "smoke", "--episodes", 2, "--api", api)
    done = command("evaluate", *args)
    assert done.returncode == 2
    said = " ".join(done.stderr.split())
    assert said.startswith("error: agent 'own.py:Odd', decision 1: ")
    assert message in said
    assert "Traceback" not in said
    assert not done.stdout


@pytest.mark.parametrize("settings", ["null", '{"hidden": [NaN]}'])
def test_a_damaged_checkpoint_is_one_message(
    settings: str, trained: Path, tmp_path: Path, command: Callable[..., Done]
) -> None:
    shutil.copytree(trained / "agent", tmp_path / "agent")
    path = tmp_path / "agent" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"settings": json.loads(settings)}))
    done = command("evaluate", "--checkpoint", tmp_path / "agent", "--episodes", 2)
    assert done.returncode == 2
    assert "settings" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--agent", "prophet"], "does not learn"),
        (["--agent", "sac", "--set", "gama=1"], "did you mean 'gamma'?"),
        (["--agent", "sac", "--set", "gamma"], "must be NAME=VALUE"),
        (["--agent", "ppo", "--set", "hidden=32,32"], "write it as JSON, such as [32,32]"),
        (["--agent", "sac", "--set", "gamma=high"], "should be a valid number"),
        (["--agent", "sac", "--set", "gamma=1.4"], "gamma = 1.4: must be from 0 to 1"),
        (["--agent", "sac", "--scenario", "papper"], "paper"),
    ],
)
def test_bad_settings_are_one_message(
    args: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: Callable[..., Done],
) -> None:
    monkeypatch.chdir(tmp_path)
    done = command("train", *args)
    assert done.returncode == 2
    assert message in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_intervals_end_where_a_metric_does() -> None:
    played = [{"lost_fraction": value, "utility": value} for value in (0.0, 0.0, 0.3)]
    (_, _, lost), (_, _, utility) = _rows(played)
    assert lost.startswith("0.0000 to 0.")
    assert utility.startswith("-0.")
