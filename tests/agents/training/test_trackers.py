"""A training's figures in W&B and MLflow, which are played here by what records their calls."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import edge_marl
from edge_marl.agents.training import trackers
from edge_marl.agents.training.run_folder import RunFolder
from edge_marl.errors import AgentError
from tests.agents.training.test_resume import BUDGET, SMOKE, small_trainer

Figures = dict[str, list[tuple[str, float, int]]]
"""Of each run, by what its tracker calls it."""


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> Figures:
    """What the packages were given, which are installed as it were."""
    told: Figures = {}

    class Run:
        def __init__(self, known: str | None) -> None:
            self.id = known or f"wandb-{len(told)}"
            told.setdefault(self.id, [])

        def log(self, values: dict[str, float], step: int) -> None:
            told[self.id] += [(name, value, step) for name, value in values.items()]

        def finish(self) -> None:
            told[self.id].append(("end", 0, 0))

    class Client:
        def get_experiment_by_name(self, name: str) -> None:
            assert name == trackers.PROJECT

        def create_experiment(self, name: str) -> str:
            return name

        def create_run(self, place: str) -> Any:
            told["mlflow"] = []
            return SimpleNamespace(info=SimpleNamespace(run_id="mlflow"))

        def log_param(self, run: str, key: str, value: Any) -> None:
            told[run].append((key, 0, 0))

        def log_metric(self, run: str, name: str, value: float, step: int) -> None:
            told[run].append((name, value, step))

        def set_terminated(self, run: str) -> None:
            told[run].append(("end", 0, 0))

    wandb = SimpleNamespace(init=lambda **given: Run(given["id"]))
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    monkeypatch.setitem(sys.modules, "mlflow", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "mlflow.tracking", SimpleNamespace(MlflowClient=Client))
    monkeypatch.setattr(trackers, "find_spec", lambda name: name)
    return told


def test_a_training_that_goes_on_goes_on_in_its_run(figures: Figures, tmp_path: Path) -> None:
    def train(stop_at: int | None) -> None:
        made = small_trainer("adsac", SMOKE)
        run = RunFolder(tmp_path, made, SMOKE, BUDGET, 0, 4, 2, track=("wandb", "mlflow"))
        for now in run.run():
            if stop_at is not None and now.decisions >= stop_at:
                break

    train(BUDGET // 2)
    train(None)
    assert sorted(figures) == ["mlflow", "wandb-0"]
    ends = [len(run) for run in figures.values()]
    assert all(run[-1][0] == "end" for run in figures.values())
    assert [run.count(("end", 0, 0)) for run in figures.values()] == [2, 2]
    steps = [step for name, _, step in figures["wandb-0"] if name == "validation/utility"]
    assert steps == sorted(set(steps))
    assert steps[-1] >= BUDGET
    assert ("seed", 0, 0) in figures["mlflow"]
    train(None)  # it has ended: nothing is sent
    assert [len(run) for run in figures.values()] == ends


def test_one_that_does_not_start_is_one_message(
    figures: Figures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**given: Any) -> None:
        raise RuntimeError("api_key not configured")

    monkeypatch.setattr(sys.modules["wandb"], "init", refuse)
    run = RunFolder(tmp_path, small_trainer("adsac", SMOKE), SMOKE, BUDGET, 0, track=("wandb",))
    with pytest.raises(AgentError, match=r"track 'wandb': .* \(api_key not configured\)"):
        next(run.run())


def test_what_there_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trackers, "find_spec", lambda name: None)
    with pytest.raises(AgentError, match="did you mean 'wandb'"):
        trackers.check_trackers(["wanbd"])
    with pytest.raises(AgentError, match="not installed: pip install mlflow"):
        trackers.check_trackers(["mlflow"])
    with pytest.raises(AgentError, match="give a folder as `out` too"):
        edge_marl.train("adsac", "smoke", budget=8, track=["wandb"])
