"""Opening a submission's policies, each in a process of its own.

What it prints can be kept in a file.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, Protocol

from edge_marl.agents.own_files import file_of
from edge_marl.agents.play import gateway_seed
from edge_marl.errors import SubmissionError, printable
from edge_marl.files import write_file
from edge_marl.layout import ObservationLayout
from edge_marl.leaderboards.policies.asking import Ask, Asking, InProcess, PolicyError
from edge_marl.leaderboards.policies.forks import Forks
from edge_marl.leaderboards.policies.sandbox import LIMITS
from edge_marl.leaderboards.policies.starting import starting_alone
from edge_marl.leaderboards.submission.ledger import Sandbox
from edge_marl.scenario import Scenario
from edge_marl.workload import Workload

__all__ = ["OpenGateways", "OpenPolicy", "policies_of"]

KEPT_OUTPUT = 2**20
"""Last bytes of what a policy printed that are kept."""

OpenPolicy = Callable[[int, Sequence[Workload]], AbstractContextManager[Ask]]
"""Opens the policy of a training seed at the start of episodes, one per workload.

A submitted policy is not told the workloads. They are handed over so that a test can give them to
one that plans with the whole future known, and show that it is found out.
"""


class OpenGateways(Protocol):
    """Opens a policy as `OpenPolicy` does, or some gateways of it."""

    def __call__(
        self,
        seed: int,
        workloads: Sequence[Workload],
        gateways: Sequence[int] = (),
        may_share: bool = False,
    ) -> AbstractContextManager[InProcess]:
        """Open the whole policy, or an agent for each of some gateways, in one process.

        If they may share, one that draws no lots is one for all of them (`play.Gateways`).
        """


def policies_of(
    folder: Path,
    scenario: Scenario,
    sandbox: Sandbox,
    code: str | None = None,
    output: Path | None = None,
    over: threading.Event | None = None,
) -> OpenGateways:
    """Return how the policies in a submission's folder are opened.

    Args:
        folder: the submission's.
        scenario: what they decide in.
        sandbox: where they run.
        code: `module:Class` or `file.py:Class` of an agent that is not registered; it runs in the
            policy's process only, and is one file.
        output: file that keeps what a policy that failed has printed.
        over: is set when no policy shall be waited for any more, by another thread.
    """
    over = over or threading.Event()
    if code is not None:
        place, _, name = code.rpartition(":")
        code = f"{file_of(place).resolve()}:{name}"

    start = starting_alone(sandbox, code)
    if code is None and sandbox != "container" and sys.platform == "linux":
        start = Forks(folder / "policy", sandbox, over).start

    @contextmanager
    def open_policy(
        seed: int,
        workloads: Sequence[Workload],
        gateways: Sequence[int] = (),
        may_share: bool = False,
    ) -> Iterator[InProcess]:
        policy = (folder / "policy" / f"seed-{seed}").resolve()
        order = {
            "scenario": scenario.model_dump_json(),
            "seeds": [gateway_seed(seed, gateway) for gateway in gateways] or [seed],
            "may_share": may_share,
            "observed": ObservationLayout(scenario).size,
            "actions": scenario.num_actions,
            "limits": LIMITS,
            "give_up_network": sandbox == "none",
            "filter": None,
            "forks": None,
        }
        with (
            tempfile.TemporaryFile() as noise,
            _keeping(noise, output),
            start(policy, order, noise) as process,
        ):
            yield Asking(process, order, over)

    return open_policy


@contextmanager
def _keeping(noise: IO[bytes], output: Path | None) -> Iterator[None]:
    """Keep what a policy that fails has printed, and say where it is."""
    try:
        yield
    except PolicyError as error:
        where = "what it printed is kept by --policy-output FILE"
        if output is not None:
            noise.seek(max(0, noise.seek(0, os.SEEK_END) - KEPT_OUTPUT))
            # Escaped: it may hold what a terminal obeys.
            lines = noise.read().decode("utf-8", "replace").splitlines()
            write_file(output, "\n".join(map(printable, lines)) + "\n", SubmissionError)
            where = f"what it printed is in {output}"
        raise SubmissionError(f"{error}; {where}") from None
