"""The command `edge-marl dataset`: episodes of a policy as data to learn from offline."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from edge_marl.cli.evaluate import (
    AgentName,
    Checkpoint,
    OwnSeed,
    PlayedIn,
    PlayedOn,
    Transfer,
    World,
    chosen_agent,
)
from edge_marl.console import bar, print_rows, problems

if TYPE_CHECKING:
    from edge_marl.agents.recording import Recorded
    from edge_marl.scenario import Api, Scenario
    from edge_marl.workload.parts import Split

__all__ = ["dataset"]


def dataset(
    out: Annotated[Path, typer.Option(help="Folder of the data set: a new one.")],
    checkpoint: Checkpoint = None,
    agent: AgentName = None,
    submission: Annotated[
        Path | None,
        typer.Option(help="Instead: a submission's folder. Its decisions are of test workloads."),
    ] = None,
    scenario: PlayedIn = None,
    world: World = None,
    workloads: Annotated[int, typer.Option(min=1, help="Workloads 0 to N - 1.")] = 100,
    split: Annotated[
        Literal["train", "validation", "test"],
        typer.Option(help="Of which workloads; `test` for a submission only."),
    ] = "train",
    seed: OwnSeed = 0,
    api: PlayedOn = None,
    transfer: Transfer = False,
) -> None:
    """Write a policy's episodes, with masks and costs, as a Minari data set.

    A submission's decisions are of test workloads: ask for them by `--split test`.

    To have its policy play others, give `--checkpoint SUBMISSION/policy/seed-0`.

    Example: edge-marl dataset --scenario smoke --agent prophet --out data/prophet
    """
    from edge_marl.agents.recording import write_dataset

    if submission is None:
        chosen = chosen_agent(checkpoint, agent, scenario, world, transfer)
        place, played_on, facts, episodes = _of_agent(chosen, split, workloads, seed, api)
    else:
        _check_submission_alone(split, checkpoint, agent, scenario)
        place, played_on, facts, episodes = _of_submission(submission, workloads, seed)
        problems().print(
            "these are test workloads: what learns from them has no result on them", markup=False
        )
    facts |= {"split": split, "seed": seed}
    counted = Counted(episodes, workloads)
    steps = write_dataset(out, place, played_on, counted, facts)
    print_rows(
        [
            ("data set", str(out)),
            ("agent", facts["agent"]),
            ("scenario", f"{place.label}, {played_on}, {split} workloads"),
            ("episodes", f"{counted.done:,}, {steps:,} steps together"),
            ("utility per task", f"{counted.utility / counted.done:.4f} in the mean"),
        ]
    )


Source = tuple["Scenario", "Api", dict[str, Any], "Iterable[Recorded]"]
"""Scenario, API and facts of episodes, and these, not played yet."""


class Counted:
    """Episodes on their way to a file, with a bar.

    Args:
        episodes: as they are played.
        total: how many there will be.
    """

    def __init__(self, episodes: Iterable[Recorded], total: int) -> None:
        self._episodes, self._total = episodes, total
        self.done, self.utility = 0, 0.0

    def __iter__(self) -> Iterator[Recorded]:
        with bar(self._total, "episodes") as show:
            for episode in self._episodes:
                yield episode
                self.done += 1
                self.utility += episode.metrics["utility_per_task"]
                show(self.done)


def _check_submission_alone(split: str, *others: Any) -> None:
    """Raise SubmissionError if a submission is asked for together with what it says itself."""
    from edge_marl.errors import SubmissionError

    if any(other is not None for other in others):
        raise SubmissionError(
            "--submission says agent and scenario itself: leave --agent, --checkpoint and "
            "--scenario out"
        )
    if split != "test":
        raise SubmissionError(
            f"--split {split}: a submission's decisions are of test workloads: say --split test to "
            "have those, not to be trained on for results on them; or have its policy play "
            f"{split} workloads by --checkpoint SUBMISSION/policy/seed-0"
        )


def _of_agent(
    chosen: tuple[Scenario, Any], split: Split, workloads: int, seed: int, api: Api | None
) -> Source:
    """Return an agent's episodes."""
    from edge_marl.agents.recording import record_agent
    from edge_marl.benchmarks.calls import name_of
    from edge_marl.benchmarks.run.evaluation import draw_workloads
    from edge_marl.errors import WorkloadError

    place, playing = chosen
    if split == "test":
        raise WorkloadError(
            "--split test: test workloads are for results, not to learn from: take train, or "
            "validation"
        )
    on = api or place.api
    facts = {"agent": name_of(playing), "settings": playing.settings}
    drawn = draw_workloads(place, split, 0, workloads)
    return place, on, facts, record_agent(playing, place, drawn, seed, on)


def _of_submission(folder: Path, workloads: int, seed: int) -> Source:
    """Return the episodes of a submission's run."""
    from edge_marl.leaderboards.submission.files import read_submission
    from edge_marl.leaderboards.verification.recorded import record_submission, scenario_of

    submission = read_submission(folder)
    place = scenario_of(submission, folder)
    facts = {"agent": submission.agent.name, "submission": submission.entry}
    return place, place.api, facts, record_submission(folder, seed, workloads)
