"""A training in a folder: it can be stopped at any moment and goes on as if it had not been.

run.json            what is trained: agent, settings, scenario, budget, seed
curve.csv           the evaluations on validation workloads
agent/              the best agent so far: what `edge-marl evaluate` takes
state.safetensors   all that the rest of the training depends on, while there is a rest
tensorboard/        the same figures, and those of the training itself
tracked.json        what others that get them (`trackers.py`) call this training
"""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from edge_marl.agents.base import Agent, TrainProgress
from edge_marl.agents.own_code import told
from edge_marl.agents.registry import load
from edge_marl.agents.training.selection import EVALUATIONS, WORKLOADS, Evaluation, Selection
from edge_marl.agents.training.state_file import read_state, write_state
from edge_marl.agents.training.trackers import Tracker, check_trackers, open_trackers
from edge_marl.agents.training.trainer import LearningTrainer
from edge_marl.errors import AgentError
from edge_marl.files import write_file
from edge_marl.scenario import Scenario

__all__ = ["RunFolder"]

FORMAT = "edge-marl-training-1"
KEPT_EVERY_S = 60.0
"""A training that is killed loses at most this much."""


class RunFolder:
    """Starts a training in a folder, or goes on with the one that is there.

    Args:
        folder: where; made if need be.
        trainer: trains the agent.
        scenario: the world.
        budget: decisions to train on.
        seed: of everything random.
        evaluations: on validation workloads, at equal distances.
        workloads: validation workloads of each.
        track: where its figures go besides: "wandb", "mlflow".

    Raises:
        AgentError: if the folder holds another training, or something that is none, or cannot be
            read or written; if there is no such tracker here.
    """

    def __init__(
        self,
        folder: Path,
        trainer: LearningTrainer,
        scenario: Scenario,
        budget: int,
        seed: int,
        evaluations: int = EVALUATIONS,
        workloads: int = WORKLOADS,
        track: Sequence[str] = (),
    ) -> None:
        check_trackers(track)
        self._folder, self._scenario, self._track = folder, scenario, tuple(track)
        self._facts: dict[str, Any] = {
            "format": FORMAT,
            "agent": trainer.name,
            "settings": json.loads(json.dumps(trainer.settings)),
            "scenario": {"name": scenario.label, "digest": scenario.digest},
            "budget": budget,
            "seed": seed,
            "evaluations": evaluations,
            "workloads": workloads,
        }
        before = self._read_facts()
        self.selection = Selection(
            trainer.start(scenario, budget, seed), scenario, evaluations, workloads
        )
        self.finished = before is not None and before["finished"]
        self._kept_at = time.monotonic()
        if self.finished:
            self.selection.curve = self._read_curve()
        elif before and self._state.exists():
            self._go_on()
        else:
            self._write_facts(finished=False)

    @property
    def best(self) -> Evaluation | None:
        """What the best agent so far got."""
        return self.selection.at_best

    def agent(self) -> Agent:
        """Return the best agent so far."""
        if self.selection.curve:
            return load(self._folder / "agent", self._scenario)
        return self.selection.best

    def run(self) -> Iterator[TrainProgress]:
        """Train to the end, step by step; what is reached is kept whenever it stops."""
        selection = self.selection
        if self.finished:
            return
        if selection.done:  # a budget below one step
            selection.best.save(self._folder / "agent")
        decisions = selection.training.decisions
        with open_trackers(self._track, self._folder, self._facts, decisions) as trackers:
            try:
                while not selection.done:
                    before, seen = selection.at_best, len(selection.curve)
                    now = selection.advance()
                    if len(selection.curve) > seen:
                        for tracker in trackers:
                            _log(tracker, now, selection.curve[-1])
                        if selection.at_best != before:
                            selection.best.save(self._folder / "agent")
                        self._write_curve()
                    if time.monotonic() - self._kept_at > KEPT_EVERY_S:
                        self.keep()
                    yield now
            finally:
                self._finish() if selection.done else self.keep()

    def keep(self) -> None:
        """Write down where the training is."""
        write_state(self._state, self.selection.state())
        self._kept_at = time.monotonic()

    @property
    def _state(self) -> Path:
        return self._folder / "state.safetensors"

    def _go_on(self) -> None:
        state = read_state(self._state)
        try:
            best = load(self._folder / "agent", self._scenario) if state["curve"] else None
            self.selection.restore(state, best)
        except AgentError:
            raise
        except Exception as error:  # whatever values of other kinds and sizes lead to
            reason = told(error, None)
            raise AgentError(
                f"{self._state}: not the state of this training ({reason}): train anew in another "
                "folder with --out"
            ) from error

    def _finish(self) -> None:
        self._write_facts(finished=True)
        self.finished = True
        self._state.unlink(missing_ok=True)

    def _read_facts(self) -> dict[str, Any] | None:
        """Return what the folder says that it holds; None if it holds nothing.

        Raises:
            AgentError: if that is not this training.
        """
        path = self._folder / "run.json"
        if not path.exists():
            if self._folder.is_dir() and any(self._folder.iterdir()):
                raise AgentError(
                    f"{self._folder} holds files, but no training (no run.json): choose another "
                    "folder with --out"
                )
            return None
        try:
            facts: dict[str, Any] = json.loads(path.read_text("utf-8"))
            if facts["scenario"]["digest"] == self._scenario.digest:  # whatever it was called then
                facts["scenario"] = self._facts["scenario"]
            different = [name for name, value in self._facts.items() if facts[name] != value]
            facts["finished"] = bool(facts["finished"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise AgentError(f"{path}: not readable as a training's facts ({error!r})") from None
        if different:
            name = different[0]
            raise AgentError(
                f"{self._folder} holds another training: {name} = {facts[name]!r} there, "
                f"{self._facts[name]!r} here; choose another folder with --out, or the same "
                f"{', '.join(different)}"
            )
        return facts

    def _write_facts(self, finished: bool) -> None:
        facts = self._facts | {"finished": finished}
        write_file(self._folder / "run.json", json.dumps(facts, indent=2) + "\n", AgentError)

    def _write_curve(self) -> None:
        text = io.StringIO()
        writer = csv.DictWriter(text, [field.name for field in fields(Evaluation)])
        writer.writeheader()
        writer.writerows(self.selection.curve_facts)
        write_file(self._folder / "curve.csv", text.getvalue(), AgentError)

    def _read_curve(self) -> list[Evaluation]:
        path = self._folder / "curve.csv"
        whole = {field.name for field in fields(Evaluation) if field.type == "int"}
        try:
            with path.open(encoding="utf-8") as file:
                rows = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]
            return [
                Evaluation(**{k: int(v) if k in whole else v for k, v in row.items()})  # type: ignore[arg-type]
                for row in rows
            ]
        except (OSError, ValueError, TypeError, OverflowError, csv.Error) as error:
            raise AgentError(f"{path}: not readable as a training's curve ({error})") from None


def _log(tracker: Tracker, now: TrainProgress, point: Evaluation) -> None:
    step = now.decisions
    tracker.add_scalar("train/utility_per_task", now.utility_per_task, step)
    if now.mean_return is not None:
        tracker.add_scalar("train/return", now.mean_return, step)
    tracker.add_scalar("train/updates", now.updates, step)
    for name in ("utility", "utility_per_task", "server_crash_rate", "distinct_actions"):
        tracker.add_scalar(f"validation/{name}", getattr(point, name), step)
