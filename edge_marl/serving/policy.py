"""The policy, asked in a thread of its own with a limit of time; and what is done otherwise."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_marl.serving.world import LiveWorld

__all__ = ["Act", "Policy", "PolicyLateError", "default_action", "instead_of"]

Act = Callable[[npt.NDArray[np.float32], Mapping[str, Any]], Any]
"""(observation (1, D), info) -> one action: `Agent.act`."""


class PolicyLateError(Exception):
    """The policy did not decide in time, or still thinks of a request before this one."""


@dataclass(eq=False)
class _Question:
    observation: npt.NDArray[np.float32]
    info: Mapping[str, Any]
    loop: asyncio.AbstractEventLoop
    answer: asyncio.Future[int]
    is_over: bool = False
    """The agent thinks of it no more."""


class Policy:
    """Asks an agent, one request at a time.

    Its thread cannot be stopped from outside: while it is busy with a request that was not decided
    in time, it is not asked again; with one whose client has left, the next waits for it. It does
    not keep the process from ending.

    Args:
        act: of the agent.
        limit_s: time to decide in.
    """

    def __init__(self, act: Act, limit_s: float) -> None:
        self._act, self._limit_s = act, limit_s
        self._questions: SimpleQueue[_Question] = SimpleQueue()
        self._late: _Question | None = None
        threading.Thread(target=self._answer_all, name="policy", daemon=True).start()

    async def decide(
        self, observation: npt.NDArray[np.float32], mask: npt.NDArray[np.int8], gateway: int
    ) -> int:
        """Return the action that the agent chooses.

        Args:
            observation: (D,) what the gateway sees.
            mask: (A,) what it may choose.
            gateway: which one it is.

        Raises:
            PolicyLateError: it takes too long.
            Exception: what the agent raised, or that what it returned is no action.
        """
        if self._late is not None and not self._late.is_over:
            raise PolicyLateError
        loop = asyncio.get_running_loop()
        info = {"action_mask": mask[None], "agent_index": np.array([gateway])}
        question = _Question(observation[None], info, loop, loop.create_future())
        self._questions.put(question)
        try:
            async with asyncio.timeout(self._limit_s):
                return await question.answer
        except TimeoutError:
            self._late = question
            raise PolicyLateError from None

    def _answer_all(self) -> None:
        while True:
            question = self._questions.get()
            if question.answer.done():  # nobody waits any more
                question.is_over = True
                continue
            found: int | BaseException
            try:
                found = _legal(self._act(question.observation, question.info), question.info)
            except BaseException as error:  # whatever the agent's code raises
                found = error
            question.is_over = True
            if not question.loop.is_closed():
                question.loop.call_soon_threadsafe(_settle, question.answer, found)


def _legal(answer: Any, info: Mapping[str, Any]) -> int:
    """Return an answer as the action that it is.

    Raises:
        ValueError: it is none that is allowed.
    """
    action = int(np.asarray(answer).reshape(1)[0])
    mask = info["action_mask"][0]
    if not (0 <= action < len(mask) and mask[action]):
        raise ValueError(f"act returned {action}: its mask does not allow that")
    return action


def _settle(answer: asyncio.Future[int], found: int | BaseException) -> None:
    if answer.done():  # nobody waits any more
        return
    if isinstance(found, int):
        answer.set_result(found)
    else:
        answer.set_exception(RuntimeError(f"{type(found).__name__}: {found}"))


def default_action(
    world: LiveWorld,
    number: int,
    observation: npt.NDArray[np.float32],
    tried: Collection[int] = (),
) -> int | None:
    """Return what is done where the policy's choice cannot be: None if no server has room for it.

    The service of the best quality, all steps done, on the server with the largest free share. It
    makes no server crash: what one that crashed has lost would bring down the next.

    Args:
        world: which knows what is closed.
        number: of the request.
        observation: (D,) what the gateway sees of it.
        tried: servers that have failed it.
    """
    layout, services, levels = world.layout, world.scenario.num_services, world.scenario.num_levels
    free = layout.feature("server free share", observation)
    quality = np.zeros((len(free), services))
    if layout.extended:
        quality = layout.feature("service quality", observation).reshape(quality.shape)
    for link in np.argsort(-free, kind="stable"):
        for service in np.argsort(-quality[link], kind="stable"):
            action = int((link * services + service) * levels + levels - 1)
            if world.is_closed(number, action) or world.chosen(number, action).server in tried:
                continue
            if world.has_room(number, action):
                return action
    return None


def instead_of(
    world: LiveWorld,
    number: int,
    observation: npt.NDArray[np.float32],
    action: int,
    barred: Collection[int],
) -> list[int]:
    """Return actions that do the same on other servers with room for it, most free share first.

    Args:
        world: which knows what is closed.
        number: of the request.
        observation: (D,) what the gateway sees of it.
        action: that sends it to a server.
        barred: servers that are out of the question.
    """
    free = world.layout.feature("server free share", observation)
    link_of_it, choice = divmod(action, world.layout.num_choices)
    found = []
    for link in np.argsort(-free, kind="stable"):
        other = int(link) * world.layout.num_choices + choice
        if link == link_of_it or world.is_closed(number, other):
            continue
        if world.chosen(number, other).server not in barred and world.has_room(number, other):
            found.append(other)
    return found
