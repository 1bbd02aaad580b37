"""The gateway: a request comes, the policy decides, a backend answers, and all of it is logged.

It knows nothing of HTTP: who calls it says how a backend is asked. Everything here runs in one
event loop; one decision is taken after the other, in order of arrival.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count, islice

from edge_marl.scenario import Scenario
from edge_marl.serving.config import Config
from edge_marl.serving.counters import Counters
from edge_marl.serving.log import EventLog, Outcome
from edge_marl.serving.policy import Policy, PolicyLateError, default_action, instead_of
from edge_marl.serving.world import Choice, LiveWorld, Other, Request

__all__ = ["BackendError", "Busy", "Declined", "Gateway", "Left", "NoServer", "Refused", "Sending"]


class Refused(Exception):
    """A request is not sent, or not sent again."""


class Busy(Refused):
    """As many requests are there as the gateway takes, or it is stopping."""


class Declined(Refused):
    """The policy said no to the request."""


class NoServer(Refused):
    """No server has room for the request now, or none that was tried answered."""


class Left(Exception):
    """Who asked has gone, and nobody waits for the answer."""


class BackendError(Exception):
    """A backend did not answer a request in a way that its client can use.

    Args:
        how: what happened, for the counters.
        down: whether the backend itself is gone, and all that it had.
        again: whether another one may be asked: nothing of an answer has gone to the client.
        server: which one it was, if not the one that the request was sent to (`went_to`).
    """

    def __init__(
        self, how: str, *, down: bool, again: bool = True, server: int | None = None
    ) -> None:
        super().__init__(how)
        self.how, self.down, self.again, self.server = how, down, again, server


@dataclass(frozen=True)
class Sending:
    """Where a request goes."""

    choice: Choice
    number: int
    """Of the request, in this run."""
    row: int
    """Of the request, in the live world."""
    action: int
    others: tuple[Sending, ...] = ()
    """Where else it may go as it is, best first, if this server does not answer."""


@dataclass
class _Held:
    """A request that is there."""

    row: int
    """In the live world."""
    number: int
    barred: set[int] = field(default_factory=set)
    """Servers that it may not go to, or that have failed it."""
    others: int = 0
    """Servers at most that a sending names beside its own."""


Ask = Callable[[Sending], Awaitable[Outcome]]
"""Has a backend answer, and gives its answer to the client; raises BackendError, or Left."""


class Gateway:
    """Serves one gateway's requests.

    Args:
        config: of the gateway.
        scenario: that its policy decides in.
        world: the live world of its servers.
        policy: that decides.
        log: of what happens.
        clock: seconds; for tests.
    """

    def __init__(
        self,
        config: Config,
        scenario: Scenario,
        world: LiveWorld,
        policy: Policy,
        log: EventLog,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.config, self.scenario, self.world = config, scenario, world
        self.counters = Counters()
        self.run = secrets.token_hex(4)
        """What the ids of its requests begin with, as those of no other run."""
        self._policy, self._log = policy, log
        self._clock, self._began = clock, clock()
        self._turn = asyncio.Lock()
        self._numbers = count()
        self._there = 0
        self._stopping = False
        self._none_left = asyncio.Event()
        self._none_left.set()

    @property
    def now(self) -> int:
        """Milliseconds since it began."""
        return int(1000 * (self._clock() - self._began))

    @property
    def stopping(self) -> bool:
        """Whether it takes no more requests."""
        return self._stopping

    async def serve(
        self, request: Request, ask: Ask, *, among: Collection[int] | None = None, others: int = 0
    ) -> Outcome:
        """Decide on a request and have it answered; return what became of it.

        Args:
            request: what is asked for.
            ask: has a backend answer.
            among: servers that it may go to; None is all.
            others: servers at most that a sending is to name for the case that its own fails.

        Raises:
            Busy: it was not taken.
            Declined: the policy said no.
            NoServer: no server takes it, or none that was tried answered.
            BackendError: the answer broke off after a part of it had gone to the client.
            Left: the client has, as where the task that waits for this is cancelled.
        """
        if self._stopping or self._there >= self.config.limits.in_flight:
            self.counters.count("refusals", "stopping" if self._stopping else "full")
            raise Busy
        self._there += 1
        self._none_left.clear()
        began, number = self._clock(), next(self._numbers)
        row = self.world.arrive(request, self.now)
        outcome: Outcome = "failed"
        try:
            self._note(lambda: self._log.arrived(self.now, number, request))
            held = _Held(row, number, others=others)
            if among is not None:
                held.barred.update(set(range(self.scenario.num_servers)) - set(among))
            outcome = await self._answered(held, ask)
            return outcome
        except Declined:
            outcome = "declined"
            raise
        except NoServer:
            outcome = "refused"
            raise
        except (Left, asyncio.CancelledError):
            outcome = "failed" if self._stopping else "left"
            raise
        finally:
            self.world.leave(row, self.now)
            self._note(lambda: self._log.ended(self.now, number, outcome))
            self.counters.count("requests", outcome)
            self.counters.time("request", self._clock() - began)
            self._there -= 1
            if self._there == 0:
                self._none_left.set()

    async def _answered(self, held: _Held, ask: Ask) -> Outcome:
        """Send a request, and again by the default action where a backend fails."""
        for attempt in range(self.config.limits.attempts):
            sending = await self._send(held, again=attempt > 0)
            try:
                return await ask(sending)
            except BackendError as error:
                server = sending.choice.server if error.server is None else error.server
                held.barred.add(server)
                self.counters.count("failures", self._name(server), error.how)
                self.world.take_back(held.row, self.now)
                if error.down:
                    self.is_down(server)
                if not error.again:
                    raise
        raise NoServer

    async def _send(self, held: _Held, *, again: bool) -> Sending:
        """Decide where a request goes, in its turn, and note that it does."""
        async with self._turn:
            if again:
                action, by = self._default(held), "failed"
            else:
                action, by = await self._decide(held)
            self.counters.count("decisions", by)
            if action is None:
                raise NoServer
            if self.world.declines(action):
                raise Declined
            others = tuple(islice(self._others(held, action), held.others))
            choice = self.world.chosen(held.row, action)
            sending = Sending(choice, held.number, held.row, action, others)
            self._sent(sending, by)
        return sending

    def _others(self, held: _Held, action: int) -> Iterator[Sending]:
        """Yield where else a request may go just as an action sends it, under the same name."""
        model = self.model_of(self.world.chosen(held.row, action))
        observation, _ = self.world.look(held.row, self.now)
        for other in instead_of(self.world, held.row, observation, action, held.barred):
            choice = self.world.chosen(held.row, other)
            if self.model_of(choice) == model:
                yield Sending(choice, held.number, held.row, other)

    def _sent(self, sending: Sending, by: str) -> None:
        """Note that a request is sent."""
        choice, now = sending.choice, self.now
        utility = self.world.send(sending.row, sending.action, now)
        self.counters.count("sent", self._name(choice.server))
        self._note(lambda: self._log.sent(now, sending.number, choice, by, utility))

    async def _decide(self, held: _Held) -> tuple[int | None, str]:
        """Return the policy's choice, or the default and why: late, raised, or closed to it."""
        row = held.row
        observation, mask = self.world.look(row, self.now)
        if held.barred:
            mask = self.world.without(mask, held.barred)
            if all(self.world.declines(int(action)) for action in mask.nonzero()[0]):
                return None, "closed"
        began = self._clock()
        try:
            action = await self._policy.decide(observation, mask, self.config.gateway)
        except PolicyLateError:
            return self._default(held), "late"
        except Exception:  # whatever the agent's code raised
            return self._default(held), "raised"
        finally:
            self.counters.time("decision", self._clock() - began)
        if self.world.is_closed(row, action):
            return self._default(held), "closed"
        return action, "policy"

    def _default(self, held: _Held) -> int | None:
        observation, _ = self.world.look(held.row, self.now)
        return default_action(self.world, held.row, observation, held.barred)

    # What becomes known.

    def went_to(self, other: Sending, sending: Sending) -> None:
        """A request has gone to another server that its sending named, which has it now."""
        self.counters.count("failures", self._name(sending.choice.server), "passed over")
        self.world.take_back(sending.row, self.now)
        self._sent(other, "failed")

    def is_down(self, server: int) -> None:
        """A server does not answer."""
        if not self.world.is_down(server):
            self.world.fail(server, self.now)
            self._note(lambda: self._log.server(self.now, server, "down"))

    def is_up(
        self, server: int, models: Sequence[int] | None = None, others: Sequence[Other] = ()
    ) -> None:
        """A server answers, and may say what it has (`LiveWorld.hear`)."""
        if self.world.is_down(server):
            self.world.recover(server, self.now)
            self._note(lambda: self._log.server(self.now, server, "up"))
        if models is not None or others:
            self.world.hear(server, models, others, self.now)

    async def stop(self) -> bool:
        """Take no more requests; return whether those that are there ended in time."""
        self._stopping = True
        try:
            async with asyncio.timeout(self.config.limits.stop_s):
                await self._none_left.wait()
        except TimeoutError:
            return False
        return True

    def close(self) -> None:
        """Note the end in the log."""
        self._note(lambda: self._log.close(self.now))

    def metrics(self) -> str:
        """Return all counts as Prometheus reads them."""
        servers = {
            f'server="{self._name(server)}"': float(not self.world.is_down(server))
            for server in range(self.scenario.num_servers)
        }
        return self.counters.text({"in_flight": {"": self._there}, "server_up": servers})

    def model_of(self, choice: Choice) -> str:
        """Return what its backend calls the model of a choice."""
        return self.config.backends[choice.server].models[choice.service]

    def id_of(self, sending: Sending) -> str:
        """Return what a backend is told the request is called: no other of any run is."""
        return f"{self.run}-{sending.number}"

    def _name(self, server: int) -> str:
        return self.config.backends[server].name

    def _note(self, write: Callable[[], None]) -> None:
        """Write to the log; a full disk does not stop the serving."""
        try:
            write()
        except (OSError, ValueError):  # ValueError: of a file that is closed
            self.counters.count("log_errors")
