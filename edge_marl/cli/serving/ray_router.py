"""An agent in Ray Serve: it chooses which replica of a deployment takes a call (extra `ray`).

Needs Ray 2.60: the interface of its routers is young, and may change with every version.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from pathlib import Path
from typing import Any

from ray.exceptions import ActorDiedError, ActorUnavailableError, TaskCancelledError
from ray.serve.request_router import PendingRequest, ReplicaID, RequestRouter, RunningReplica

from edge_marl.cli.serving.made import made_gateway
from edge_marl.errors import EdgeMarlError, ServingError
from edge_marl.serving.answers import REFUSALS
from edge_marl.serving.asked import OWN_PATH, Asked, asked_in
from edge_marl.serving.gateway import BackendError, Refused, Sending
from edge_marl.serving.log import Outcome

__all__ = ["AgentRouter", "RequestRefusedError"]


class RequestRefusedError(ServingError):
    """A call that was sent to no replica.

    Args:
        problem: why.
        status: that HTTP has for it: 400 it is no request, 429 the agent declined, 503 no server
            takes it now.
    """

    def __init__(self, problem: str, status: int = 503) -> None:
        super().__init__(problem)
        self.status = status


class AgentRouter(RequestRouter):
    """Has an agent choose; a deployment's `request_router_class`.

    The first argument of a call is a dict, what clients post to `/v1/tasks`; a replica gets it with
    the `model` and the `steps` that the agent chose. Each handle, and each proxy, has a router of
    its own, which is a gateway of its own. Calls that nobody takes raise RequestRefusedError.
    """

    def initialize_state(
        self,
        config: str,
        logs: str,
        agent: str | None = None,
        checkpoint: str | None = None,
        seed: int = 0,
        transfer: bool = False,
    ) -> None:
        """Take `request_router_kwargs`; what is wrong with them is told to every call.

        Args:
            config: file of a gateway, which every machine has: `edge-marl serve`'s. Each of its
                backends is a replica; their addresses count for nothing.
            logs: folder of event logs, a file for each router.
            agent: a name, module:Class or file.py:Class.
            checkpoint: instead, folder of a trained agent.
            seed: of the agent's own randomness.
            transfer: whether it may have been trained in another scenario.
        """
        self._calls: dict[int, _Call] = {}  # by the id() of the pending request
        self._replica_at: dict[int, ReplicaID] = {}
        self._problem: EdgeMarlError | None = None
        trained = Path(checkpoint) if checkpoint else None
        log = Path(logs) / f"{secrets.token_hex(8)}.jsonl"
        try:
            self._gateway = made_gateway(
                Path(config), trained, agent, log, seed=seed, transfer=transfer
            )
        except EdgeMarlError as problem:
            self._problem = problem
            return
        for server in range(self._gateway.scenario.num_servers):
            self._gateway.is_down(server)  # until a replica is there

    # What Ray says.

    def update_replicas(self, replicas: list[RunningReplica]) -> None:
        """Replicas have come or gone: each that comes is the first server that has none."""
        super().update_replicas(replicas)
        if self._problem:
            return
        for server, replica in list(self._replica_at.items()):
            if replica not in self._replicas:
                self._leaves(server)
        there = set(self._replica_at.values())
        come = sorted((new for new in self._replicas if new not in there), key=str)
        free = [k for k in range(self._gateway.scenario.num_servers) if k not in self._replica_at]
        for server, replica in zip(free, come, strict=False):
            self._replica_at[server] = replica
            self._gateway.is_up(server)
        if len(come) > len(free):
            logging.getLogger("ray.serve").warning(
                "%d replicas more than the scenario has servers get no requests",
                len(come) - len(free),
            )

    def on_replica_actor_died(self, replica_id: ReplicaID) -> None:
        """A replica is gone, with all that it had."""
        super().on_replica_actor_died(replica_id)
        for server, replica in list(self._replica_at.items()):
            if replica == replica_id:
                self._leaves(server)

    def on_request_routed(
        self, pending_request: PendingRequest, replica_id: ReplicaID, result: Any
    ) -> None:
        """A replica has taken a call."""
        call = self._calls.get(id(pending_request))
        if call is None or not call.sending.done():
            return
        sending = call.sending.result()
        for other in sending.others:
            if self._replica_at.get(other.choice.server) == replica_id:
                self._gateway.went_to(other, sending)
        loop = asyncio.get_running_loop()
        result.add_done_callback(lambda told: loop.call_soon_threadsafe(call.end, told))

    async def choose_replicas(
        self,
        candidate_replicas: list[RunningReplica],
        pending_request: PendingRequest | None = None,
    ) -> list[list[RunningReplica]]:
        """Return the replica that the agent chose, then those that may stand in for it.

        It decides once: while these have as much as they take, Ray asks again, and waits between.
        """
        if pending_request is None:
            return [candidate_replicas]
        pending_request.routing_context.should_backoff = True
        call = self._calls.get(id(pending_request))
        if call is None:
            call = self._calls[id(pending_request)] = _Call(pending_request)
            call.task = asyncio.create_task(self._serve(call))
        call.watch()
        try:
            while True:
                sending = await asyncio.shield(call.sending)
                named = (one.choice.server for one in (sending, *sending.others))
                there = [self._replica_at[one] for one in named if one in self._replica_at]
                if there:
                    model = self._gateway.model_of(sending.choice)
                    call.pass_on(model, sending.choice.steps)
                    return [[self._replicas[replica]] for replica in there]
                call.lost()
        except RequestRefusedError as refusal:
            if not pending_request.future.done():
                pending_request.future.set_exception(refusal)
                self._remove_pending_request_from_indices(pending_request)
        return [candidate_replicas]  # Ray looks whether it is over when it has some

    def _fulfill_next_pending_request(
        self, replica: RunningReplica, request_metadata: Any = None
    ) -> None:
        """Give a replica to the call that it was chosen for.

        Ray looks a call up by an id that all calls made for one request of a client have in common.
        """
        for call in self._calls.values():
            if call.pending.metadata is request_metadata:
                self._pending_requests_by_id[request_metadata.internal_request_id] = call.pending
        super()._fulfill_next_pending_request(replica, request_metadata)

    # How it is kept.

    async def _serve(self, call: _Call) -> None:
        """Have the gateway decide on a call, and wait for its end."""
        try:
            if self._problem:
                raise RequestRefusedError(f"the router cannot serve: {self._problem}")
            call.asked = self._asked(call.pending.args)
            more = self._gateway.config.limits.attempts - 1
            await self._gateway.serve(call.asked.request, call.ask, others=more)
        except Refused as refused:
            problem = REFUSALS[type(refused)]
            call.refuse(RequestRefusedError(problem.message, problem.status))
        except RequestRefusedError as refusal:
            call.refuse(refusal)
        except BackendError:
            return  # the caller has the error of the replica's
        finally:
            del self._calls[id(call.pending)]

    def _asked(self, args: Any) -> Asked:
        """Return what a call asks for.

        Raises:
            RequestRefusedError: its first argument is no such body.
        """
        body = args[0] if args else None
        if not isinstance(body, dict):
            raise RequestRefusedError(
                f"the first argument of the call is no dict but {type(body).__name__}: "
                f"give what would be posted to {OWN_PATH}",
                400,
            )
        gateway = self._gateway
        try:
            return asked_in(OWN_PATH, dict(body), 0, gateway.config, gateway.scenario)
        except ServingError as error:
            raise RequestRefusedError(str(error), 400) from None

    def _leaves(self, server: int) -> None:
        """The replica of a server is gone."""
        del self._replica_at[server]
        self._gateway.is_down(server)


class _Call:
    """A call to the deployment, from its decision to its end."""

    task: asyncio.Task[None]
    """Waits for its end."""
    asked: Asked

    def __init__(self, pending: PendingRequest) -> None:
        self.pending = pending
        self._loop = asyncio.get_running_loop()
        self._watched: asyncio.Future[Any] | None = None
        self._wait()

    def _wait(self) -> None:
        self.sending: asyncio.Future[Sending] = self._loop.create_future()
        self._ended: asyncio.Future[Outcome] = self._loop.create_future()

    async def ask(self, sending: Sending) -> Outcome:
        """Wait while Ray finds a replica for it, and while that works on it.

        Raises:
            BackendError: there is no such replica any more, or it failed.
        """
        ended = self._ended
        self.sending.set_result(sending)
        return await ended

    def pass_on(self, model: str, steps: int) -> None:
        """Have a replica get what backends get."""
        body = self.asked.passed_on(model, steps)
        self.pending.args = [body, *self.pending.args[1:]]

    def lost(self) -> None:
        """No replica that it could go to is there any more: another decision is due."""
        ended = self._ended
        self._wait()
        ended.set_exception(BackendError("gone", down=False))

    def refuse(self, refusal: RequestRefusedError) -> None:
        """It goes nowhere."""
        self.sending.set_exception(refusal)

    def watch(self) -> None:
        """Notice when the caller gives up before a replica has taken it."""
        if self._watched is not self.pending.future:
            self._watched = self.pending.future
            self._watched.add_done_callback(
                lambda found: self._fail("cancelled") if found.cancelled() else None
            )

    def end(self, told: Any) -> None:
        """A replica is done with it, or gone; what it raised is an answer like any other."""
        if isinstance(told, TaskCancelledError):
            self._fail("cancelled")
        elif isinstance(told, ActorDiedError | ActorUnavailableError):
            self._fail("died")
        elif not self._ended.done():
            self._ended.set_result("served")

    def _fail(self, how: str) -> None:
        if not self._ended.done():
            self._ended.set_exception(BackendError(how, down=False, again=False))
