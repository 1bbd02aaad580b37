"""A person who decides: what is shown, the keys, and what they mean."""

from __future__ import annotations

import string
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import typer
from gymnasium.vector import AutoresetMode

from edge_marl.agents import Agent, make
from edge_marl.agents.play import Gateways
from edge_marl.console import results
from edge_marl.envs import EdgeAIGCRows, EdgeAIGCVectorEnv
from edge_marl.envs.render import Scene, scene_of
from edge_marl.envs.render.text import tell_time, write_text
from edge_marl.errors import AgentError, ScenarioError
from edge_marl.kernel import world as k
from edge_marl.scenario import Scenario

__all__ = ["Person", "StoppedError", "person_of"]

KEYS = "123456789" + string.ascii_lowercase.replace("q", "")
HOLD, STOP = "0", "q"


class StoppedError(Exception):
    """The person does not want to go on."""


class Person:
    """Decides in one episode by keyboard, in a game for one gateway among others.

    Args:
        envs: one episode's.
        gateway: whose tasks are the person's; all on the single environment.
        others: decides for the other gateways; None on the single environment.
    """

    def __init__(
        self, envs: EdgeAIGCVectorEnv | EdgeAIGCRows, gateway: int, others: Gateways | None
    ) -> None:
        self.envs, self._gateway, self._others = envs, gateway, others
        self.in_game = others is not None
        self._got = 0.0
        """Rewards for the person's own tasks so far."""

    def decide(
        self, observation: npt.NDArray[np.float32], info: Mapping[str, Any]
    ) -> npt.NDArray[np.int64]:
        """Return what the person chooses, and in a game what the others do, (1,) or (1, G).

        Raises:
            StoppedError: the person stops, or there is no more input.
        """
        if self._others is None:
            return np.array([self._ask(info["action_mask"][0])])
        own = np.arange(observation.shape[1]) != self._gateway
        choices = self._others.choose(observation, info, own[None])
        mask = info["action_mask"][0, self._gateway]
        if mask[:-1].any():
            choices[0, self._gateway] = self._ask(mask)
        return choices

    def error(self, reason: str) -> AgentError:
        """Return the error that says what is wrong with the latest decision."""
        return AgentError(f"the key is no choice: {reason}")

    def _ask(self, mask: npt.NDArray[np.int8]) -> int:
        """Show what there is to see, and return the choice of the next key that means one."""
        scene = scene_of(
            self.envs.game if isinstance(self.envs, EdgeAIGCRows) else self.envs.simulator
        )
        console = results()
        if console.is_terminal:
            console.clear()
        console.print(write_text(scene), markup=False, highlight=False)
        console.print(_question(scene, self._gateway, mask), markup=False, highlight=False)
        means = _keys(scene, mask)
        while (key := _read_key()) not in means:
            if key in (STOP, ""):
                raise StoppedError
        return means[key]


def person_of(scenario: Scenario, gateway: int, others: str) -> Person:
    """Return a person before an episode.

    Raises:
        ScenarioError: not of the base model, more choices than keys, or no such gateway.
        AgentError: the others' agent is unknown, or has to learn first.
    """
    if scenario.extended or scenario.num_actions > len(KEYS):
        raise ScenarioError(
            f"scenario '{scenario.label}' has {scenario.num_actions} choices: a person plays "
            f"worlds of the base model with at most {len(KEYS)}, such as smoke and smoke-game"
        )
    if scenario.api == "single":
        return Person(
            EdgeAIGCVectorEnv(1, scenario=scenario, autoreset_mode=AutoresetMode.DISABLED), 0, None
        )
    if gateway >= scenario.gateways.count:
        raise ScenarioError(
            f"--gateway {gateway}: '{scenario.label}' has the gateways 0 to "
            f"{scenario.gateways.count - 1}"
        )
    agent = make(others, scenario)
    if not isinstance(agent, Agent):
        raise AgentError(f"agent '{others}' has to learn first: give a heuristic as --others")
    policy = Gateways(agent, scenario)
    policy.reset(0)
    rows = EdgeAIGCRows(1, scenario=scenario, autoreset_mode=AutoresetMode.DISABLED)
    return Person(rows, gateway, policy)


def _keys(scene: Scene, mask: npt.NDArray[np.int8]) -> dict[str, int]:
    """Return what each key means now."""
    count = scene.scenario.num_actions
    means = {KEYS[action]: action for action in range(count) if mask[action]}
    if len(mask) > count and mask[count]:
        means[HOLD] = count
    return means


def _question(scene: Scene, gateway: int, mask: npt.NDArray[np.int8]) -> str:
    """Return the task that is to be sent, and the choices."""
    tasks, services = scene.log.tasks, scene.log.num_services
    waits = (tasks[:, k.STATUS] == k.WAITING) & (tasks[:, k.ARRIVAL] <= scene.clock_ms)
    if scene.log.in_slots:
        waits &= tasks[:, k.GATEWAY] == gateway
    task = tasks[np.flatnonzero(waits)[0]]
    lines = [
        f"a task of type {task[k.TYPE]}: {task[k.DEMAND]} steps at a time, for "
        f"{tell_time(int(task[k.RUN_TIME]))}; which server?"
    ]
    for server in range(scene.num_servers):
        room = int(scene.log.capacity[server] - scene.used[server])
        actions = range(server * services, (server + 1) * services)
        keys = "   ".join(f"[{KEYS[a]}] service {a % services}" for a in actions if mask[a])
        crashes = "" if room >= task[k.DEMAND] else "   (no room: it would crash)"
        lines.append(f"  server {server}: {keys}{crashes}")
    if len(mask) > scene.scenario.num_actions and mask[-1]:
        lines.append(f"  [{HOLD}] keep it for the next slot")
    return "\n".join([*lines, f"  [{STOP}] stop"])


def _read_key() -> str:
    """Return the next key, from a terminal without Enter; nothing where the input has ended."""
    if sys.stdin.isatty():
        return str(typer.getchar())
    while (key := sys.stdin.read(1)).isspace():
        pass
    return key
