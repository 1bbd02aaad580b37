"""The process of a submitted policy: it sees observations and masks on a pipe, and nothing else.

Run as a file, not as a module: before anything of the package is imported, and so before there are
threads, it gives up the network and limits its memory, time and files. Then it loads the policy
and answers: one line of JSON brings what to load, one line says that it is ready and how the
network was given up; each frame of observations (float32) and masks (int8) is answered by a zero
and actions (int64), or by a one and a line that says what went wrong.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import sys
from typing import Any, BinaryIO

NEW_USER, NEW_NET = 0x10000000, 0x40000000
"""Flags of unshare(2)."""


def main() -> None:
    """Answer until standard input ends."""
    asked, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what the policy prints is no answer
    order: dict[str, Any] = json.loads(asked.readline())
    network = give_up_network()
    set_limits(order["limits"])
    try:
        agent = load_policy(order)
        agent.reset(order["seed"])
    except Exception as error:
        return say(answers, {"error": one_line(error)})
    say(answers, {"network": network})
    answer(agent, asked, answers, order["rows"], order["observed"], order["actions"])


def say(answers: BinaryIO, facts: dict[str, Any]) -> None:
    """Send a line of JSON."""
    answers.write(json.dumps(facts).encode() + b"\n")
    answers.flush()


def one_line(error: Exception) -> str:
    """Return what went wrong as one line of bounded length."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


def give_up_network() -> str:
    """Give up the network and return how: for good in a namespace, else by a hook of Python's."""
    with contextlib.suppress(OSError, AttributeError):
        unshare = ctypes.CDLL(None, use_errno=True).unshare
        if unshare(NEW_NET) == 0 or unshare(NEW_USER | NEW_NET) == 0:
            return "no network"

    def refuse(event: str, _: Any) -> None:
        if event.startswith("socket."):
            raise PermissionError("a policy has no network")

    sys.addaudithook(refuse)
    return "sockets blocked"


def set_limits(limits: dict[str, int]) -> None:
    """Limit what the process may use, so far as the system lets it."""
    kinds = {
        "address_space": resource.RLIMIT_AS,
        "cpu_s": resource.RLIMIT_CPU,
        "file_size": resource.RLIMIT_FSIZE,
        "open_files": resource.RLIMIT_NOFILE,
    }
    for name, kind in kinds.items():
        hard = resource.getrlimit(kind)[1]
        least = limits[name] if hard == resource.RLIM_INFINITY else min(limits[name], hard)
        resource.setrlimit(kind, (least, least))


def load_policy(order: dict[str, Any]) -> Any:
    """Return the agent: a registered one, or one of the code that the verifier was given."""
    from pathlib import Path

    import edge_marl.agents  # noqa: F401  (registers them)
    from edge_marl.agents.checkpoint import read_config
    from edge_marl.agents.registry import find
    from edge_marl.scenario import Scenario

    scenario = Scenario.model_validate_json(order["scenario"])
    folder = Path(order["folder"])
    named = read_config(folder)["agent"]
    if not order["code"] and ":" in str(named):
        raise ValueError("no code of a submission is run")
    kind = find(order["code"] or named)
    if order["code"]:
        kind.name = named  # its file may have lain elsewhere
    return kind.load(folder, scenario)


def answer(
    agent: Any, asked: BinaryIO, answers: BinaryIO, rows: int, observed: int, actions: int
) -> None:
    """Answer frames of observations (rows, observed) and masks (rows, actions)."""
    import numpy as np

    size = 4 * rows * observed
    while len(frame := asked.read(size + rows * actions)) == size + rows * actions:
        observation = np.frombuffer(frame[:size], "<f4").reshape(rows, observed).copy()
        mask = np.frombuffer(frame[size:], np.int8).reshape(rows, actions).copy()
        try:
            chosen = np.asarray(agent.act(observation, {"action_mask": mask}))
            if chosen.shape != (rows,) or not np.issubdtype(chosen.dtype, np.integer):
                raise ValueError(
                    f"act returned {chosen.dtype} {chosen.shape}: {rows} whole numbers"
                )
        except Exception as error:
            answers.write(b"\1" + one_line(error).encode() + b"\n")
            answers.flush()
            return
        answers.write(b"\0" + chosen.astype("<i8").tobytes())
        answers.flush()


if __name__ == "__main__":
    main()
