"""Where a policy's process runs: what it sees, what it may use, and how it is ended.

Three kinds. `bwrap` (bubblewrap) gives it namespaces of its own for processes, files, network, IPC
and users, a read-only root of what it needs, a small /tmp, no capabilities and no way to start
another process. `container` asks podman or docker for as much. `none` only limits memory, time and
files: a policy can then read and write what the user who verifies can.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO

import edge_marl
import edge_marl.agents
from edge_marl._version import __version__
from edge_marl.errors import SubmissionError
from edge_marl.leaderboards.policies.no_processes import no_processes
from edge_marl.leaderboards.submission.ledger import Sandbox

__all__ = ["LIMITS", "SANDBOXES", "Command", "command_of", "usable_sandbox"]

SANDBOXES: dict[Sandbox, str] = {
    "bwrap": "in a sandbox of bubblewrap: no network, no files but its own, no other processes",
    "container": "in a container: no network, no files but its own, no other processes",
    "none": "WITHOUT A SANDBOX: it could read and write what you can",
}
"""What each kind is, for people."""

LIMITS = {
    "address_space": 12 * 2**30,
    "cpu_s": 3600,
    "file_size": 64 * 2**20,
    "open_files": 256,
    "core_size": 0,
}
"""Of a policy's process: bytes, seconds, bytes of a file that it writes, files open at once, bytes
of a memory dump."""

TMP_SIZE = 64 * 2**20
"""Bytes of a sandbox's /tmp, the one place that a policy can write to; as much of /dev/shm."""

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
KEPT = ("LANG", "LC_ALL", "LD_LIBRARY_PATH", "NPY_DISABLE_CPU_FEATURES", "OPENBLAS_CORETYPE")
"""What of the environment a policy's process keeps: where libraries are, and which instructions
they may use. No tokens, no proxies, no home."""

PROCESS = Path(__file__).with_name("process.py")
IMAGE = f"edge-marl-policy:{__version__}"
ENGINES = ("podman", "docker")


@dataclass(frozen=True)
class Command:
    """How a policy's process is started."""

    argv: list[str]
    env: dict[str, str]
    folder: str
    """Of its config and weights, as the process sees it."""
    code: str | None
    """`file.py:Class` of its agent, likewise."""
    pass_fds: tuple[int, ...] = ()


def usable_sandbox(asked: Sandbox | None = None) -> Sandbox:
    """Return the sandbox that is asked for; None is bubblewrap where that works, else none.

    Raises:
        SubmissionError: it does not work here: why, and what to do.
    """
    if asked == "container":
        _engine()
    problem = _problem_of_bwrap() if asked in (None, "bwrap") else None
    if asked == "bwrap" and problem is not None:
        raise SubmissionError(
            f"sandbox 'bwrap': {problem}: install bubblewrap (apt-get install bubblewrap), allow "
            "user namespaces, or take --sandbox container"
        )
    return asked or ("bwrap" if problem is None else "none")


@contextmanager
def command_of(
    kind: Sandbox, folder: Path, code: str | None, may_fork: bool = False
) -> Iterator[Command]:
    """Give the command that starts a policy's process in a sandbox.

    Args:
        kind: of the sandbox.
        folder: of the policy's config and weights; it alone of the submission is there inside.
        code: `file.py:Class` of an agent that is not registered; this one file is there inside.
        may_fork: whether the process may start others, of itself; they give that up by themselves.
    """
    file, _, name = code.rpartition(":") if code else ("", "", "")
    inside = f"/agent/{Path(file).name}:{name}" if code else None
    bound = {str(folder): "/policy"} | ({file: f"/agent/{Path(file).name}"} if code else {})
    with tempfile.TemporaryDirectory() as home, tempfile.TemporaryFile() as filtered:
        if kind == "bwrap":
            argv = _bwrap(bound, None if may_fork else filtered)
            passed = () if may_fork else (filtered.fileno(),)
            yield Command(argv, {}, "/policy", inside, passed)
        elif kind == "container":
            yield Command(_container(bound), dict(os.environ), "/policy", inside)
        else:
            argv = [sys.executable, "-P", str(PROCESS)]
            yield Command(argv, _environment(os.environ, home), str(folder), code)


def _bwrap(bound: Mapping[str, str], filtered: IO[bytes] | None) -> list[str]:
    """Return bubblewrap's command line; its filter of system calls is written to a file.

    What may start processes has none. It ends with who started it, but not as all others do, with
    the thread that did: it is to see its socket closed (`forks.py`).
    """
    # By its path: the environment that it is started with has none to look it up in.
    argv = [
        shutil.which("bwrap") or "bwrap",
        "--unshare-all",
        "--unshare-user",
        "--disable-userns",
        "--cap-drop",
        "ALL",
    ]
    argv += ["--uid", "65534", "--gid", "65534", "--hostname", "policy"]
    argv += ["--new-session", "--as-pid-1"]
    if filtered is not None:
        filtered.write(no_processes())
        filtered.seek(0)
        argv += ["--die-with-parent", "--seccomp", str(filtered.fileno())]
    argv += ["--clearenv"]
    for name, value in _environment(os.environ, "/tmp").items():
        argv += ["--setenv", name, value]
    argv += ["--proc", "/proc", "--dev", "/dev"]
    for place in ("/tmp", "/dev/shm"):
        argv += ["--size", str(TMP_SIZE), "--tmpfs", place]
    there = {path: path for path in _needed()} | dict(bound)  # after /tmp: some may lie in it
    for source, place in there.items():
        argv += ["--ro-bind", source, place]
    argv += ["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/tmp"]
    return [*argv, sys.executable, "-P", str(PROCESS)]


def _container(bound: Mapping[str, str]) -> list[str]:
    """Return the command line of podman or docker (docs/submitting.md says how to make its image).

    The process's own file comes from the image, with the package: `python -m` finds it there.
    """
    argv = [_engine(), "run", "--rm", "--interactive", "--network=none", "--ipc=private"]
    argv += ["--read-only", f"--tmpfs=/tmp:rw,size={TMP_SIZE}", "--user=65534:65534"]
    argv += ["--cap-drop=ALL", "--security-opt=no-new-privileges", "--pids-limit=64"]
    argv += [f"--memory={LIMITS['address_space']}", "--workdir=/tmp"]
    argv += [f"--ulimit=nofile={LIMITS['open_files']}:{LIMITS['open_files']}"]
    for name, value in _environment({}, "/tmp").items():
        argv += [f"--env={name}={value}"]
    for source, place in bound.items():
        argv += [f"--volume={source}:{place}:ro"]
    return [*argv, IMAGE, "python", "-P", "-m", f"{__package__}.{PROCESS.stem}"]


def _environment(whole: Mapping[str, str], home: str) -> dict[str, str]:
    kept = {name: value for name, value in whole.items() if name in KEPT}
    return kept | dict.fromkeys(THREADS, "1") | {"HOME": home, "TMPDIR": home, "USER": "nobody"}


def _needed() -> list[str]:
    """Return the files and folders that Python and the package are made of, each once."""
    paths = [sys.executable, os.path.realpath(sys.executable), f"{sys.prefix}/pyvenv.cfg"]
    paths += ["/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache"]
    paths += [sysconfig.get_path("stdlib"), sysconfig.get_config_var("LIBDIR") or ""]
    paths += [p for p in sys.path if Path(p).name in ("site-packages", "dist-packages")]
    paths += [*edge_marl.__path__, *edge_marl.agents.__path__, str(PROCESS)]
    there = dict.fromkeys(path for path in paths if path and os.path.exists(path))
    return [path for path in there if not any(_is_in(path, other) for other in there)]


def _is_in(path: str, folder: str) -> bool:
    return path != folder and Path(path).is_relative_to(folder)


@cache
def _problem_of_bwrap() -> str | None:
    """Return why bubblewrap does not work here, found by trying; None if it does."""
    if shutil.which("bwrap") is None:
        return "it is not installed"
    with tempfile.TemporaryFile() as filtered:
        argv = [*_bwrap({}, filtered)[:-1], "-c", "pass"]
        try:
            tried = subprocess.run(
                argv, capture_output=True, timeout=60, pass_fds=(filtered.fileno(),)
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"it does not start ({error})"
    said = " ".join(tried.stderr.decode("utf-8", "replace").split())[:200]
    return None if tried.returncode == 0 else f"it does not start a process ({said})"


def _engine() -> str:
    for engine in ENGINES:
        if shutil.which(engine) is not None:
            return engine
    raise SubmissionError(
        f"sandbox 'container': neither {' nor '.join(ENGINES)} is installed: install one and make "
        f"the image {IMAGE}, as docs/submitting.md says"
    )
