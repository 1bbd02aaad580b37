"""Drawing a workload from a scenario and a seed, the same on every machine (`sampling.py`)."""

from __future__ import annotations

from edge_marl.data.replay import replay_workload
from edge_marl.errors import WorkloadError
from edge_marl.scenario import Scenario, check_scenario
from edge_marl.workload import Workload
from edge_marl.workload.draft import Draft
from edge_marl.workload.parts import PUBLIC_SEEDS, SPLITS, Split, check_seed
from edge_marl.workload.recipe import draw, recipe_of
from edge_marl.workload.sampling import Streams

__all__ = ["draw_workload"]


def draw_workload(
    scenario: Scenario, seed: int, *, split: Split = "train", episode: int = 0
) -> Workload:
    """Return a workload that (scenario, seed, split, episode) decide.

    No episode takes more than `MAX_TASKS` rows: the requests after those do not come.

    Args:
        scenario: what to draw from.
        seed: 0 or larger; 0..99 for the splits `validation` and `test`.
        split: `train` is for learning, `validation` for choosing, `test` for reported results.
        episode: an environment seeded once plays episodes 0, 1, 2, ...

    Raises:
        ScenarioError: a name or a path instead of a `Scenario`.
        WorkloadError: unknown split, or a seed outside of it.
        DataError: a recorded trace that the scenario replays is not there, or damaged.
    """
    check_scenario(scenario)
    if split not in SPLITS:
        raise WorkloadError(f"unknown split '{split}': one of {', '.join(SPLITS)}")
    seed = check_seed(seed)
    if split != "train" and seed >= PUBLIC_SEEDS:
        raise WorkloadError(f"seed {seed}: split '{split}' has the seeds 0..{PUBLIC_SEEDS - 1}")
    streams = Streams(seed, SPLITS[split], check_seed(episode, "episode"))
    if scenario.replay:
        return replay_workload(scenario, streams)
    draft = Draft(scenario)
    draw(recipe_of(scenario), draft, streams)
    return draft.workload
