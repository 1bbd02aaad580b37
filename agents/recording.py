"""Episodes of a policy as data to learn from offline, and their file in Minari's format.

An episode of T steps has what was seen and allowed before each of them and after the last, T + 1 of
it, T actions and rewards, and in its infos, of the reset and then of each step, costs and the parts
of rewards. Of a game all of that has an axis of G gateways more, but for the reward, which is the
team's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium import spaces as gym_spaces

from edge_marl._version import __version__
from edge_marl.agents.base import Agent
from edge_marl.agents.play import Decide, Decider, Rows, open_rows, play_out, take_seat
from edge_marl.envs import COSTS, spaces
from edge_marl.errors import AgentError
from edge_marl.files import new_folder
from edge_marl.scenario import Api, Scenario, find_release
from edge_marl.scenario.reading import split_label
from edge_marl.workload import Workload

__all__ = ["Recorded", "open_recorded", "record", "record_agent", "write_dataset"]

AT_ONCE = 16
"""Episodes of an agent that are played side by side, and held in memory."""


@dataclass(frozen=True, eq=False)
class Recorded:
    """An episode of T steps: of one orchestrator, or of G gateways where an axis (G) is named."""

    workload: Workload
    observation: npt.NDArray[np.float32]
    """(T + 1, (G,) D)."""
    action_mask: npt.NDArray[np.int8]
    """(T + 1, (G,) A), of gateways A + 1: the last is to do nothing."""
    action: npt.NDArray[np.int64]
    """(T, (G))."""
    parts: npt.NDArray[np.float64]
    """(T + 1, (G,) 5), `REWARD_PARTS`; 0 of the reset."""
    costs: dict[str, npt.NDArray[np.float64]]
    """(T + 1, (G)) each, likewise."""
    agent_index: npt.NDArray[np.int64]
    """(T + 1, (G)) which gateway decides."""
    terminated: bool
    """How it ended; else it was truncated."""
    metrics: dict[str, float]

    @property
    def own_rewards(self) -> npt.NDArray[np.float64]:
        """(T + 1, (G)) what was paid for own dispatches; 0 of the reset."""
        own: npt.NDArray[np.float64] = self.parts.sum(-1)
        return own

    @property
    def rewards(self) -> npt.NDArray[np.float64]:
        """(T,) the reward; of a game the team's, the mean over gateways."""
        own = self.own_rewards[1:]
        team: npt.NDArray[np.float64] = own if own.ndim == 1 else own.sum(-1) / own.shape[-1]
        return team


class Recorder:
    """Environments that write down what they return, for `play_out`."""

    def __init__(self, envs: Rows) -> None:
        self.envs, self.scenario = envs, envs.scenario
        self._steps: list[tuple[Any, ...]] = []
        self._ends: list[tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]] = []

    def reset(self, options: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Start the episodes."""
        observation, info = self.envs.reset(options=options)
        parts = np.zeros((*info["cost"].shape, self.envs.single_reward_space.shape[0]))
        self._steps, self._ends = [(observation, info, None, parts)], []
        return observation, info

    def step(self, action: npt.NDArray[np.int64]) -> tuple[Any, ...]:
        """Take a step in each."""
        taken = np.array(action)
        observation, parts, terminated, truncated, info = self.envs.step(action)
        self._steps.append((observation, info, taken, parts))
        self._ends.append((terminated, truncated))
        return observation, parts, terminated, truncated, info

    def episode(self, row: int, workload: Workload) -> Recorded:
        """Return the episode of a row, which is over."""
        over = [bool(ends[0][row] or ends[1][row]) for ends in self._ends]
        steps = over.index(True) + 1
        seen, infos, actions, parts = zip(*self._steps[: steps + 1], strict=True)

        def of_row(arrays: Iterable[Any]) -> Any:
            return np.stack([array[row] for array in arrays])

        return Recorded(
            workload=workload,
            observation=of_row(seen),
            action_mask=of_row(info["action_mask"] for info in infos),
            action=of_row(actions[1:]),
            parts=of_row(parts),
            costs={name: of_row(info["costs"][name] for info in infos) for name in COSTS},
            agent_index=of_row(info["agent_index"] for info in infos),
            terminated=bool(self._ends[steps - 1][0][row]),
            metrics=self.envs.metrics(row),
        )


def open_recorded(scenario: Scenario, rows: int, api: Api) -> Rows:
    """Return environments for `record`."""
    return open_rows(scenario, rows, api, reward="vector", cost="lost")


def record(
    envs: Rows, agent: Decider, decide: Decide, workloads: Sequence[Workload]
) -> list[Recorded]:
    """Play one episode per workload, and return all of them.

    Args:
        envs: as many rows as workloads, of `open_recorded`.
        agent: says what was wrong with a decision.
        decide: returns what is done next.
        workloads: one episode each.

    Raises:
        AgentError: the agent's code raised, or chose what is no action.
    """
    recorder = Recorder(envs)
    play_out(recorder, agent, decide, workloads)
    return [recorder.episode(row, workload) for row, workload in enumerate(workloads)]


def record_agent(
    agent: Agent, scenario: Scenario, workloads: Sequence[Workload], seed: int, api: Api
) -> Iterable[Recorded]:
    """Yield an agent's episode on each workload, of which a few are played at a time.

    The n-th few are played with `seed` + n, so that no two episodes share an agent's lots.

    Raises:
        AgentError: the agent's code raised, or chose what is no action.
    """
    for part, first in enumerate(range(0, len(workloads), AT_ONCE)):
        some = workloads[first : first + AT_ONCE]
        envs = open_recorded(scenario, len(some), api)
        yield from record(*take_seat(agent, envs, some, seed + part), some)


def write_dataset(
    folder: Path,
    scenario: Scenario,
    api: Api,
    episodes: Iterable[Recorded],
    facts: Mapping[str, Any],
) -> int:
    """Write episodes as a data set of Minari's, in one step; return how many steps they have.

    Args:
        folder: where to; it must not be there yet.
        scenario: what they were played in.
        api: what they were played on.
        episodes: taken one after the other: of the workloads of a split, from 0 on.
        facts: `agent`, `split`, and what else is to stand in the data set's `metadata.json`.

    Raises:
        AgentError: Minari is missing, or the folder is there, or cannot be written.
    """
    try:
        import minari
        from minari.data_collector import EpisodeBuffer
        from minari.dataset.minari_storage import MinariStorage
    except ModuleNotFoundError:
        raise AgentError(
            "a data set is written by Minari, which is missing: pip install 'edge-marl[dataset]'"
        ) from None
    if folder.exists():
        raise AgentError(f"{folder} is there already: give another --out, or remove it")
    known = _environment(scenario) if api == "single" else None
    with new_folder(folder, AgentError) as part:
        seen, actions = _spaces(scenario, api)
        storage = MinariStorage.new(part, seen, actions, env_spec=known, data_format="hdf5")
        own = {"version": __version__, "scenario": scenario.label, "digest": scenario.digest}
        name = _slug(facts["agent"])
        storage.update_metadata(
            {
                "dataset_id": f"edge-marl/{_slug(scenario.label)}/{name}-v0",
                "algorithm_name": str(facts["agent"]),
                "minari_version": minari.__version__,
                "requirements": [f"edge-marl=={__version__}"],
                "edge_marl": own | {"api": api} | dict(facts),
            }
        )
        for number, episode in enumerate(episodes):
            seed = number if facts["split"] == "train" else None  # as `reset` takes it
            storage.update_episodes([EpisodeBuffer(seed=seed, **_arrays(episode))])
            told = {"workload": episode.workload.digest} | episode.metrics
            storage.update_episode_metadata([told], [number])
        steps: int = storage.total_steps
    return steps


def _environment(scenario: Scenario) -> Any:
    """Return how `gym.make` makes the environment again; None where no name says which it is."""
    if find_release(scenario.label, scenario.digest) is None:
        return None
    release, world = split_label(scenario.label)
    place: dict[str, Any] = {"scenario": release} | ({} if world is None else {"world": world})
    return gym.make("EdgeAIGC-v0", action_mask="observation", **place).spec


def _spaces(scenario: Scenario, api: Api) -> tuple[gym_spaces.Dict, gym_spaces.Space[Any]]:
    """Return the spaces of observations, with the mask in them, and of actions."""
    size = spaces.observation_space(scenario, "info").shape or ()
    gateways: tuple[int, ...] = ()
    choices = scenario.num_actions
    actions: gym_spaces.Space[Any] = spaces.action_space(scenario)
    if api == "parallel":
        gateways, choices = (scenario.gateways.count,), choices + 1
        actions = gym_spaces.MultiDiscrete([choices] * scenario.gateways.count)
    seen: dict[str, gym_spaces.Space[Any]] = {
        "observation": gym_spaces.Box(0.0, 1.0, (*gateways, *size), np.float32),
        "action_mask": gym_spaces.Box(0, 1, (*gateways, choices), np.int8),
    }
    return gym_spaces.Dict(seen), actions


def _arrays(episode: Recorded) -> dict[str, Any]:
    """Return an episode's arrays by the names that Minari has for them."""
    steps = len(episode.action)
    last = np.arange(1, steps + 1) == steps
    infos = {
        "agent_index": episode.agent_index,
        "costs": episode.costs,
        "reward_parts": episode.parts,
    }
    if episode.action.ndim > 1:
        infos["own_rewards"] = episode.own_rewards
    return {
        "observations": {
            "observation": episode.observation,
            "action_mask": episode.action_mask,
        },
        "actions": episode.action,
        "rewards": episode.rewards,
        "terminations": last & episode.terminated,
        "truncations": last & (not episode.terminated),
        "infos": infos,
    }


def _slug(name: str) -> str:
    """Return a name of letters, figures and `-`, as Minari's have."""
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-").lower() or "agent"
