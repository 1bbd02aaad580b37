"""The process of a submitted policy: it sees observations and masks on a pipe, and nothing else.

Run as a file, not as a module: before anything of the package is imported, and so before there are
threads, it limits its memory, time and files and, outside of a sandbox, gives up the network. Then
it loads the policy and answers, or forks for each policy a process that does so (`forks.py`). A
line of JSON brings what to load. READY says that it is done, and has to be asked of all rows each
time; READY_FOR_ANY that each row may be left out, or come again, as nothing is kept between
decisions (`Agent.stateless`). Then each frame is a letter: DECIDE with how many rows are asked
(int64), their numbers (int64), observations (float32), masks (int8) and the gateways that decide
(int64) is answered by GOOD and actions (int64); TELL by GOOD and what the policy prefers (float64)
in the rows of the last frame, or by NOTHING. Instead of any answer there may be FAILED. What went
wrong goes to standard error, with all that a policy prints: its verifier believes nothing that is
said here, and shows none of it.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import socket
import sys
import traceback
from typing import Any, BinaryIO

NEW_USER, NEW_NET = 0x10000000, 0x40000000
"""Flags of unshare(2)."""

NO_NEW_PRIVILEGES, SECCOMP, BY_FILTER = 38, 22, 2
"""Of prctl(2): PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP and SECCOMP_MODE_FILTER."""
INSTRUCTION = 8
"""Bytes of a filter's instruction."""

DECIDE, TELL = b"d", b"t"
READY, READY_FOR_ANY, GOOD, NOTHING, FAILED = b"r", b"a", b"g", b"n", b"f"


def main() -> None:
    """Answer until standard input ends."""
    asked, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # what the policy reads is no question
    os.dup2(2, 1)  # what it prints is no answer
    order: dict[str, Any] = json.loads(asked.readline())
    set_limits(order["limits"])
    if order["give_up_network"]:
        give_up_network()
    if order["filter"]:
        give_up_processes(bytes.fromhex(order["filter"]))
    try:
        agents = load_agents(order)
    except Exception:
        return fail(answers)
    if order["forks"]:
        decide_once(agents[0], order["observed"], order["actions"])
    say(answers, READY_FOR_ANY if all(agent.stateless for agent in agents) else READY)
    if order["forks"]:
        return fork_policies(order["forks"])
    answer(agents, asked, answers, order["observed"], order["actions"])


def say(answers: BinaryIO, content: bytes) -> None:
    """Send an answer."""
    answers.write(content)
    answers.flush()


def fail(answers: BinaryIO) -> None:
    """Say that the policy failed, and print why."""
    traceback.print_exc()
    sys.stderr.flush()
    say(answers, FAILED)


def give_up_network() -> None:
    """Give up the network: for good in a namespace where one can be had, else by a Python hook."""
    with contextlib.suppress(OSError, AttributeError):
        unshare = ctypes.CDLL(None, use_errno=True).unshare
        if unshare(NEW_NET) == 0 or unshare(NEW_USER | NEW_NET) == 0:
            return

    def refuse(event: str, _: Any) -> None:
        if event.startswith("socket."):
            raise PermissionError("a policy has no network")

    sys.addaudithook(refuse)


def give_up_processes(program: bytes) -> None:
    """Start no process from now on, by a filter of system calls (`no_processes.py`)."""

    class Filter(ctypes.Structure):
        _fields_ = (("instructions", ctypes.c_ushort), ("program", ctypes.c_char_p))

    prctl = ctypes.CDLL(None, use_errno=True).prctl
    found = Filter(len(program) // INSTRUCTION, program)
    if prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0) or prctl(SECCOMP, BY_FILTER, ctypes.byref(found)):
        raise OSError(ctypes.get_errno(), "no filter of system calls could be set")


def fork_policies(control: int) -> None:
    """Fork a process for each that is asked for, with the pipes of its own, until there is no more.

    Each tells that it is there, so that the verifier gets its number from the kernel.
    """
    with socket.socket(fileno=control) as asked:
        while True:
            _, files, *_ = socket.recv_fds(asked, 1, 3)
            if not files:
                return
            if os.fork() == 0:
                try:
                    for place, file in enumerate(files):
                        os.dup2(file, place)
                    asked.send(b"f")
                    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
                    main()
                finally:
                    os._exit(0)
            for file in files:
                os.close(file)


def decide_once(agent: Any, observed: int, actions: int) -> None:
    """Have compiled what a decision needs, so that it is there in all that are forked."""
    import numpy as np

    seen, legal = np.zeros((1, observed), np.float32), np.ones((1, actions), np.int8)
    with contextlib.suppress(Exception):  # it says so when it is asked
        agent.act(seen, {"action_mask": legal, "agent_index": np.zeros(1, np.int64)})


def set_limits(limits: dict[str, int]) -> None:
    """Limit what the process may use, so far as the system lets it."""
    kinds = {
        "address_space": resource.RLIMIT_AS,
        "cpu_s": resource.RLIMIT_CPU,
        "file_size": resource.RLIMIT_FSIZE,
        "open_files": resource.RLIMIT_NOFILE,
        "core_size": resource.RLIMIT_CORE,
    }
    for name, kind in kinds.items():
        hard = resource.getrlimit(kind)[1]
        least = limits[name] if hard == resource.RLIM_INFINITY else min(limits[name], hard)
        resource.setrlimit(kind, (least, least))


def load_agents(order: dict[str, Any]) -> list[Any]:
    """Return an agent for each seed, reset; one for all where they may share and draw no lots."""
    first, *seeds = order["seeds"]
    agents = [load_policy(order)]
    if not (order["may_share"] and agents[0].deterministic):
        agents += [load_policy(order) for _ in seeds]
    for agent, seed in zip(agents, [first, *seeds], strict=False):
        agent.reset(seed)
    return agents


def load_policy(order: dict[str, Any]) -> Any:
    """Return the agent: a registered one, or one of the code that the verifier was given."""
    from pathlib import Path

    import edge_marl.agents  # noqa: F401  (registers them)
    from edge_marl.agents.checkpoint import read_config
    from edge_marl.agents.registry import find
    from edge_marl.scenario import Scenario

    scenario = Scenario.model_validate_json(order["scenario"])
    folder = Path(order["folder"])
    named = read_config(folder).agent
    if not order["code"] and ":" in named:
        raise ValueError("no code of a submission is run")
    kind = find(order["code"] or named)
    if order["code"]:
        kind.name = named  # its file may have lain elsewhere
    return kind.load(folder, scenario)


def answer(
    agents: list[Any], asked: BinaryIO, answers: BinaryIO, observed: int, actions: int
) -> None:
    """Answer frames of observations (n, observed), masks (n, actions) and gateways (n).

    Of several agents each decides in its own rows: one of an episode, and in their order.
    """
    import numpy as np

    whose = np.zeros(0, np.int64)
    while letter := asked.read(1):
        try:
            if letter == TELL:
                say(answers, preferred(agents, whose, actions))
                continue
            rows = int.from_bytes(asked.read(8), "little")
            row = np.frombuffer(asked.read(8 * rows), "<i8")
            seen = np.frombuffer(asked.read(4 * rows * observed), "<f4").reshape(rows, observed)
            mask = np.frombuffer(asked.read(rows * actions), np.int8).reshape(rows, actions)
            gateway = np.frombuffer(asked.read(8 * rows), "<i8")
            whose = row % len(agents)
            chosen = np.empty(rows, "<i8")
            for number, agent in enumerate(agents):
                own = whose == number
                if own.any():
                    info = {"action_mask": mask[own], "agent_index": gateway[own].astype(np.int64)}
                    chosen[own] = decided(agent, seen[own], info)
        except Exception:
            return fail(answers)
        say(answers, GOOD + chosen.tobytes())


def decided(agent: Any, observation: Any, info: dict[str, Any]) -> Any:
    """Return the actions of an agent, whole numbers, one per row."""
    import numpy as np

    chosen, rows = np.asarray(agent.act(observation, info)), len(observation)
    if chosen.shape != (rows,) or not np.issubdtype(chosen.dtype, np.integer):
        raise ValueError(
            f"act returned {chosen.dtype} {chosen.shape}: must be {rows} whole numbers"
        )
    return chosen


def preferred(agents: list[Any], whose: Any, actions: int) -> bytes:
    """Return the answer to TELL: of several agents each tells of its own rows, or none does."""
    import numpy as np

    told = np.empty((len(whose), actions), "<f8")
    for number, agent in enumerate(agents):
        own = whose == number
        if not own.any():
            continue
        if agent.preferences is None:
            return NOTHING
        part = np.asarray(agent.preferences, "<f8")
        if part.shape != told[own].shape:
            raise ValueError(f"preferences is {part.dtype} {part.shape}: must be {told[own].shape}")
        told[own] = part
    return GOOD + told.tobytes()


if __name__ == "__main__":
    main()
