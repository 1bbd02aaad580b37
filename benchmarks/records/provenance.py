"""How a record comes about: versions, commit, hardware, threads, clock and energy of a process."""

from __future__ import annotations

import math
import os
import platform
import subprocess
import time
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path

from edge_marl.benchmarks.records.records import Hardware, Provenance

__all__ = ["Meter", "processor_s", "usable_cores"]

PACKAGES = (
    "edge-marl",
    "gymnasium",
    "numba",
    "numpy",
    "ray",
    "scipy",
    "tensordict",
    "tianshou",
    "torch",
    "torchrl",
)

POWERCAP = Path("/sys/class/powercap")


class Meter:
    """Starts its clocks when it is made.

    Args:
        threads: that the process was given.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._started = datetime.now(UTC).isoformat(timespec="seconds")
        self._wall, self._cpu = time.monotonic(), processor_s()
        self._energy = _energy_uj()

    def read(self) -> Provenance:
        """Return what is known of the process by now."""
        return Provenance(
            started=self._started,
            wall_s=round(time.monotonic() - self._wall, 3),
            cpu_s=round(processor_s() - self._cpu, 3),
            energy_j=self._spent_j(),
            threads=self._threads,
            hardware=_hardware(),
            versions=_versions(),
            commit=_commit(),
        )

    def _spent_j(self) -> float | None:
        now = _energy_uj()
        if not self._energy or now.keys() != self._energy.keys():
            return None
        spent = 0
        for package, (value, largest) in now.items():
            before = self._energy[package][0]
            spent += value - before if value >= before else value + largest - before
        return round(spent / 1e6, 3)


def usable_cores() -> int:
    """Logical cores that this process may use: as many as it may run on, and has a share of."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, math.ceil(min(cores or 1, _quota())))


def _quota(group: Path = Path("/sys/fs/cgroup")) -> float:
    """Cores' worth of time that a control group (v2 or v1) allows; infinite without a limit."""
    try:
        quota, period = (group / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = (group / "cpu" / "cpu.cfs_quota_us").read_text().strip()
            period = (group / "cpu" / "cpu.cfs_period_us").read_text().strip()
        except OSError:
            return math.inf
    return int(quota) / int(period) if quota.isdigit() else math.inf


def processor_s() -> float:
    """Return the processor time of this process and of its children that have ended, in seconds."""
    return sum(os.times()[:4])


def _energy_uj() -> dict[str, tuple[int, int]]:
    """Counter and largest value of every processor package, in µJ; empty where not readable."""
    try:
        return {
            zone.name: (
                int((zone / "energy_uj").read_text()),
                int((zone / "max_energy_range_uj").read_text()),
            )
            for zone in sorted(POWERCAP.glob("intel-rapl:[0-9]"))
        }
    except (OSError, ValueError):
        return {}


@cache
def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions


@cache
def _commit() -> str | None:
    """Commit of the checkout that this file lies in, if it lies in one of this project's."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        head, status = (
            subprocess.run(
                ["git", "-C", str(root), *command],
                capture_output=True,
                text=True,
                check=True,
                timeout=10,
            ).stdout.strip()
            for command in (("rev-parse", "HEAD"), ("status", "--porcelain", "-uno"))
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return f"{head}-dirty" if status else head


@cache
def _hardware() -> Hardware:
    return Hardware(
        cpu=_cpu_name(),
        cores=usable_cores(),
        memory_gb=_memory_gb(),
        system=f"{platform.system()} {platform.machine()}",
        gpus=_gpus(),
    )


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _memory_gb() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    except (AttributeError, OSError, ValueError):
        return None


def _gpus() -> tuple[str, ...]:
    """Names of the GPUs that torch sees, if the job has loaded torch."""
    import sys

    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return ()
    return tuple(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))
