"""What the commands `evaluate` and `train` do, as calls; and agents against each other.

`edge_marl.evaluate`, `train` and `compare`; the commands are made of the same functions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from edge_marl.agents import Agent, Trainer, load, make
from edge_marl.agents.base import Progress
from edge_marl.agents.checkpoint import read_config
from edge_marl.agents.play import Played, play
from edge_marl.agents.training.settings_text import configure
from edge_marl.agents.training.trainer import LearningTrainer
from edge_marl.benchmarks.report.stats import difference, probability_of_improvement
from edge_marl.benchmarks.run.evaluation import draw_workloads
from edge_marl.errors import AgentError, WorkloadError, did_you_mean, show
from edge_marl.metrics import metrics_of
from edge_marl.scenario import Api, Scenario, find_release, load_scenario
from edge_marl.workload import Workload
from edge_marl.workload.parts import Split

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Evaluation",
    "compare",
    "evaluate",
    "find_agent",
    "find_trainer",
    "play_on",
    "train",
]

AnyAgent = str | Path | Agent
"""An agent; or its registered name, `module:Class` or `file.py:Class`; or the folder (a `Path`, or
text that is one) of one that was trained."""

AnyScenario = str | Path | Scenario


@dataclass(frozen=True)
class Evaluation:
    """What an agent's episodes came to, on each workload with each seed of its own randomness."""

    agent: Agent
    scenario: Scenario
    api: Api
    seeds: tuple[int, ...]
    played: tuple[Played, ...]
    """One per seed."""

    def values(self, metric: str) -> npt.NDArray[np.float64]:
        """Return a metric's values, (seeds, workloads)."""
        return np.array([[one[metric] for one in played.metrics] for played in self.played])

    @property
    def frame(self) -> pd.DataFrame:
        """A row per seed and workload, and a column per metric."""
        import pandas as pd

        names = {"agent": name_of(self.agent), "scenario": self.scenario.label, "api": self.api}
        rows = [
            names | {"seed": seed, "workload": number} | metrics
            for seed, played in zip(self.seeds, self.played, strict=True)
            for number, metrics in enumerate(played.metrics)
        ]
        return pd.DataFrame(rows)


def evaluate(
    agent: AnyAgent,
    scenario: AnyScenario | None = None,
    *,
    world: int | None = None,
    workloads: int | Sequence[Workload] = 100,
    split: Split = "test",
    seeds: Iterable[int] = (0,),
    api: Api | None = None,
    transfer: bool = False,
) -> pd.DataFrame:
    """Return what an agent gets: a row per seed and workload, a column per metric.

    Args:
        agent: an agent; its name, `module:Class` or `file.py:Class`; or the folder of a trained
            one.
        scenario: a tier, the path of a file, or a `Scenario`; None is that of the agent, of a name
            `paper`.
        world: another published world of the tier.
        workloads: how many of the split, from 0 on; or those to play.
        split: whose workloads they are: `test` for results, `validation` to choose by.
        seeds: of the agent's own randomness.
        api: `single`, or `parallel` for the policy of all gateways; None is the scenario's.
        transfer: whether a trained agent may play another scenario than it was trained in.

    Raises:
        AgentError: no such agent, one that has to learn first, or one for another scenario.
        ScenarioError: no such scenario.
        WorkloadError: no workloads, or more than the split has, or one that does not fit.
    """
    place, playing = find_agent(agent, scenario, world, transfer=transfer)
    chosen = _workloads(place, workloads, split)
    if not isinstance(seeds, Iterable):
        raise AgentError(f"seeds = {show(seeds)}: give them one by one, such as range(5)")
    return play_on(playing, place, chosen, tuple(seeds), api).frame


def train(
    agent: str,
    scenario: AnyScenario = "paper",
    *,
    budget: int,
    world: int | None = None,
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    track: Sequence[str] = (),
    progress: Progress = lambda now: None,
) -> Agent:
    """Return a trained agent: of those that it was, the best on validation workloads.

    The number of threads is torch's: after `torch.set_num_threads(1)` it is the agent of the
    command `edge-marl train`, bit for bit.

    Args:
        agent: the name of a learning agent, or `module:Class` or `file.py:Class` of a `Trainer`.
        scenario: a tier, the path of a file, or a `Scenario`.
        budget: decisions to train on.
        world: another published world of the tier.
        seed: of everything random.
        settings: settings of the agent to replace, by name.
        out: a folder as that of the command: the training is kept there, and the same call goes on
            with one that was stopped. None keeps nothing.
        track: with `out`: where its figures go besides, "wandb" or "mlflow".
        progress: called now and then with the state of the training.

    Raises:
        AgentError: no such agent or setting, one that does not learn, another training in `out`, or
            no such tracker.
        ScenarioError: no such scenario.
    """
    place = load_scenario(scenario, world)
    if out is None:
        if track:
            raise AgentError(f"track = {track!r}: give a folder as `out` too")
        made = _trainer(agent, place)
        configure(made, settings or {})
        return made.train(place, budget, seed, progress)
    from edge_marl.agents.training.run_folder import RunFolder

    trainer = find_trainer(agent, place, settings or {})
    run = RunFolder(Path(out), trainer, place, budget, seed, track=track)
    for now in run.run():
        progress(now)
    return run.agent()


def compare(
    agents: Mapping[str, AnyAgent | Sequence[AnyAgent]] | Sequence[AnyAgent],
    scenario: AnyScenario = "paper",
    *,
    world: int | None = None,
    workloads: int | Sequence[Workload] = 20,
    split: Split = "test",
    metric: str = "utility_per_task",
    draws: int = 5,
    api: Api | None = None,
    transfer: bool = False,
) -> pd.DataFrame:
    """Return how agents differ on the same workloads: a row per pair, with 95 % intervals.

    Columns: `agent`, `other`, their means `mean` and `other_mean`; `difference` of these, from
    `difference_low` to `difference_high`; and `higher`, how often a run of the first is higher on a
    workload (ties count half), from `higher_low` to `higher_high`. Intervals are those of reports
    (`docs/model/metrics.md`): over runs and workloads, paired by workload.

    Args:
        agents: by the names they are to have; or a list, each then by its own. Several training
            runs of one agent are a list: run i is played with seed i.
        scenario: a tier, the path of a file, or a `Scenario`.
        world: another published world of the tier.
        workloads: how many of the split, from 0 on; or those to play.
        split: whose workloads they are.
        metric: what is compared. Workloads where it has no value for one of a pair are left out.
        draws: seeds, from 0 on, with which an agent that draws lots is played if it is not a list.
        api: `single`, or `parallel` for the policy of all gateways; None is the scenario's.
        transfer: whether trained agents may play another scenario than they were trained in.

    Raises:
        AgentError: no such agent, or one that has to learn first, or fewer than two.
        ScenarioError: no such scenario.
        WorkloadError: no workloads or metric, or more than the split has, or one that does not fit.
    """
    import pandas as pd

    place = load_scenario(scenario, world)
    if metric not in (known := metrics_of(place)):
        raise WorkloadError(
            f"metric = {show(metric)}: {did_you_mean(str(metric), known)}episodes of "
            f"'{place.label}' have {', '.join(known)}"
        )
    chosen = _workloads(place, workloads, split)
    values = {}
    for name, runs in _named(agents, place, transfer).items():
        alone = len(runs) == 1 and not runs[0].deterministic
        seeds = range(draws if alone else len(runs))
        values[name] = np.concatenate(
            [
                play_on(runs[seed % len(runs)], place, chosen, (seed,), api).values(metric)
                for seed in seeds
            ]
        )
    pairs = [_pair(*names, *(values[name] for name in names)) for names in combinations(values, 2)]
    return pd.DataFrame(pairs)


def _pair(
    agent: str, other: str, first: npt.NDArray[np.float64], second: npt.NDArray[np.float64]
) -> dict[str, Any]:
    """Return a row of `compare`, of values (runs, workloads)."""
    defined = ~(np.isnan(first).any(0) | np.isnan(second).any(0))
    row: dict[str, Any] = {"agent": agent, "other": other, "workloads": int(defined.sum())}
    if not defined.any():
        return row
    first, second = first[:, defined], second[:, defined]
    row |= {"mean": float(first.mean()), "other_mean": float(second.mean())}
    found = {
        "difference": difference(first, second),
        "higher": probability_of_improvement(first, second),
    }
    for name, one in found.items():
        row |= {name: one.value, f"{name}_low": one.low, f"{name}_high": one.high}
    return row


def _named(
    agents: Mapping[str, AnyAgent | Sequence[AnyAgent]] | Sequence[AnyAgent],
    scenario: Scenario,
    transfer: bool,
) -> dict[str, list[Agent]]:
    """Return the runs of each agent, by its name."""

    def found(one: Any) -> Agent:
        return find_agent(one, scenario, transfer=transfer)[1]

    if isinstance(agents, Mapping):
        named = {
            name: [found(one) for one in (runs if isinstance(runs, list | tuple) else [runs])]
            for name, runs in agents.items()
        }
    else:
        if not isinstance(agents, Sequence) or isinstance(agents, str):
            raise AgentError(f"agents = {show(agents)}: give a list of at least two, or a dict")
        runs = [found(one) for one in agents]
        named = {name_of(one): [one] for one in runs}
        if len(named) < len(runs):
            raise AgentError(
                f"agents are called {', '.join(map(name_of, runs))}: give them names of "
                "their own, {'name': agent, ...}, or the runs of one agent as {'name': [run, ...]}"
            )
    if len(named) < 2 or not all(named.values()):
        raise AgentError(f"{len(named)} agents to compare: give at least two, each with a run")
    return named


def name_of(agent: Agent) -> str:
    """Return what an agent is called: one whose class was never named, as its class."""
    name: str = getattr(agent, "name", type(agent).__name__)
    return name


def play_on(
    agent: Agent,
    scenario: Scenario,
    workloads: Sequence[Workload],
    seeds: Sequence[int],
    api: Api | None = None,
    progress: Callable[[int], None] = lambda finished: None,
) -> Evaluation:
    """Return what an agent gets on workloads, with each seed of its own randomness.

    `progress` is called with how many episodes of a seed are over.

    Raises:
        AgentError: the agent's code raised, or there is no seed.
    """
    if not seeds:
        raise AgentError("no seed is given: an agent's own randomness needs one, such as 0")
    api = api or scenario.api
    played = tuple(play(agent, scenario, workloads, seed, progress, api) for seed in seeds)
    return Evaluation(agent, scenario, api, tuple(seeds), played)


def _workloads(
    scenario: Scenario, workloads: int | Sequence[Workload], split: Split
) -> Sequence[Workload]:
    if not isinstance(workloads, int):
        if not isinstance(workloads, Sequence) or isinstance(workloads, str):
            raise WorkloadError(
                f"workloads = {show(workloads)}: give how many, such as 20, or a list of them"
            )
        for workload in workloads:
            workload.check_fits(scenario)
            workload.check_observable(scenario)
    count = workloads if isinstance(workloads, int) else len(workloads)
    if count < 1:
        raise WorkloadError(f"workloads = {show(workloads)}: give at least one")
    if isinstance(workloads, int):
        return draw_workloads(scenario, split, 0, count)
    return workloads


def find_agent(
    agent: AnyAgent,
    scenario: AnyScenario | None,
    world: int | None = None,
    *,
    transfer: bool = False,
) -> tuple[Scenario, Agent]:
    """Return an agent and the scenario that it plays.

    Raises:
        AgentError: no such agent, one that has to learn first, or one for another scenario.
        ScenarioError: no such scenario.
    """
    if not isinstance(agent, Agent | str | Path):
        raise AgentError(
            f"agent = {show(agent)}: give an agent, a name, file.py:Class, or the folder of "
            "a trained one"
        )
    if isinstance(agent, Agent):
        return load_scenario(agent.scenario if scenario is None else scenario, world), agent
    if isinstance(agent, Path) or Path(agent, "config.json").is_file():
        folder = Path(agent)
        place = _scenario_of(folder) if scenario is None else load_scenario(scenario, world)
        return place, load(folder, place, transfer=transfer)
    place = load_scenario("paper" if scenario is None else scenario, world)
    made = make(agent, place)
    if not isinstance(made, Agent):
        raise AgentError(
            f"agent '{agent}' has to learn first: `edge-marl train --agent {agent}` or "
            f"edge_marl.train('{agent}', budget=48_000), and then evaluate what it returns, or its "
            "folder"
        )
    return place, made


def _scenario_of(checkpoint: Path) -> Scenario:
    """Return the tier that an agent was trained in.

    Raises:
        AgentError: no checkpoint, or one of a scenario that is no tier of this version.
    """
    made_for = read_config(checkpoint).scenario
    found = find_release(made_for.name, made_for.digest)
    if found is None:
        raise AgentError(
            f"{checkpoint} was trained in '{made_for.name}' (digest {made_for.digest[:12]}), "
            "which is no tier of this version: give its file as the scenario (--scenario)"
        )
    return found


def find_trainer(name: str, scenario: Scenario, settings: Mapping[str, Any]) -> LearningTrainer:
    """Return the trainer of an agent that can be stopped and go on, with settings replaced.

    Raises:
        AgentError: no such agent, one that does not learn or cannot be stopped, or a bad setting.
    """
    made = make(name, scenario)
    if not isinstance(made, LearningTrainer):
        raise AgentError(
            f"agent '{name}' does not learn, or trains in one go: `edge-marl run --agents {name}` "
            "plays it"
        )
    configure(made, settings)
    return made


def _trainer(name: str, scenario: Scenario) -> Trainer:
    made = make(name, scenario)
    if isinstance(made, Agent):
        raise AgentError(f"agent '{name}' does not learn: edge_marl.evaluate('{name}') plays it")
    return made
