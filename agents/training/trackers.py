"""Where the figures of a training go besides its own files: TensorBoard, W&B and MLflow.

The second and third are asked for by name, and told where to by environment variables of their own
(`WANDB_MODE`, `WANDB_PROJECT`, `MLFLOW_TRACKING_URI`, `MLFLOW_EXPERIMENT_NAME`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from edge_marl.errors import AgentError, did_you_mean
from edge_marl.files import write_file

__all__ = ["Tracker", "check_trackers", "open_trackers"]

PROJECT = "edge-marl"
"""Of W&B, and experiment of MLflow, unless the environment names another."""

KEPT = "tracked.json"
"""File of a training's folder with what each calls the run, so that it goes on with that one."""


class Tracker(Protocol):
    """Takes figures by name and decisions; TensorBoard's `SummaryWriter` is one."""

    def add_scalar(self, name: str, value: float, step: int, /) -> Any:
        """Take a figure."""

    def close(self) -> Any:
        """Bring all that was taken to where it is kept."""


class _Wandb:
    def __init__(self, folder: Path, facts: dict[str, Any], known: str | None) -> None:
        import wandb

        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            dir=folder,
            config=facts,
            id=known,
            resume="allow",
        )
        self.id = self._run.id

    def add_scalar(self, name: str, value: float, step: int) -> None:
        self._run.log({name: value}, step=step)

    def close(self) -> None:
        self._run.finish()


class _Mlflow:
    def __init__(self, folder: Path, facts: dict[str, Any], known: str | None) -> None:
        from mlflow.tracking import MlflowClient

        self._client = MlflowClient()
        self.id = known or self._start(facts)

    def _start(self, facts: dict[str, Any]) -> str:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
        found = self._client.get_experiment_by_name(name)
        place = found.experiment_id if found else self._client.create_experiment(name)
        run: str = self._client.create_run(place).info.run_id
        for key, value in facts.items():
            self._client.log_param(run, key, value)
        return run

    def add_scalar(self, name: str, value: float, step: int) -> None:
        self._client.log_metric(self.id, name, value, step=step)

    def close(self) -> None:
        self._client.set_terminated(self.id)


KINDS: dict[str, Callable[[Path, dict[str, Any], str | None], Any]] = {
    "wandb": _Wandb,
    "mlflow": _Mlflow,
}


def check_trackers(names: Sequence[str]) -> None:
    """Raise AgentError for a name that is none of them, or whose package is missing."""
    for name in names:
        if name not in KINDS:
            hint = did_you_mean(name, KINDS)
            raise AgentError(f"track '{name}': {hint}there are {' and '.join(KINDS)}")
        if find_spec(name) is None:
            raise AgentError(
                f"track '{name}' needs its package, which is not installed: pip install {name}"
            )


@contextmanager
def open_trackers(
    names: Sequence[str], folder: Path, facts: dict[str, Any], decisions: int
) -> Iterator[list[Tracker]]:
    """Give TensorBoard's writer and those that are named, and close them.

    Args:
        names: of those besides TensorBoard.
        folder: of the training.
        facts: what is trained.
        decisions: that it goes on after: what was logged of later ones is going to be logged again.

    Raises:
        AgentError: if one of them does not start, and says why.
    """
    from torch.utils.tensorboard import SummaryWriter

    with ExitStack() as stack:
        opened: list[Tracker] = [
            SummaryWriter(str(folder / "tensorboard"), purge_step=decisions + 1)
        ]
        stack.callback(opened[0].close)
        for name in names:
            opened.append(_open(name, folder, facts))
            stack.callback(opened[-1].close)
        yield opened


def _open(name: str, folder: Path, facts: dict[str, Any]) -> Tracker:
    """Start a tracker, on the run that it has of this training if it has one."""
    kept = folder / KEPT
    try:
        ids: dict[str, str] = json.loads(kept.read_text("utf-8")) if kept.is_file() else {}
        tracker = KINDS[name](folder, facts, ids.get(name))
    except Exception as error:  # whatever its package raises: no network, no account, no server
        raise AgentError(f"track '{name}': it does not start ({error})") from error
    write_file(kept, json.dumps(ids | {name: tracker.id}, indent=2) + "\n", AgentError)
    started: Tracker = tracker
    return started
