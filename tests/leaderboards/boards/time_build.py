"""How long `leaderboard build` takes: python -m tests.leaderboards.boards.time_build --count 200

No test: it times something. Makes the submissions (a dozen plays, each under many names), then
builds them twice and compares the bytes.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

import typer

from edge_marl.leaderboards.boards.build import build
from tests.worlds.made_up_submissions import write_submission


def main() -> None:
    """Print what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--tier", default="paper")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "submissions"
        for k in range(options.count):
            write_submission(
                root,
                options.tier,
                f"agent-{k:03d}",
                kind="learner",
                lots=0.02 * (k % 12),
                on=date(2026, 1, 1) + timedelta(days=k),
            )
        took = []
        for name in ("one", "two"):
            start, busy = time.perf_counter(), time.process_time()
            build(root, Path(folder) / name)
            took.append(
                f"{time.perf_counter() - start:.1f} s ({time.process_time() - busy:.1f} s of CPU)"
            )
        files = [_bytes(Path(folder) / name) for name in ("one", "two")]
        size = sum(len(content) for content in files[0].values()) / 2**20
    typer.echo(
        f"{options.count} submissions of {options.tier}, 3 runs each: built in {took[0]}, "
        f"again in {took[1]}; {len(files[0])} files, {size:.1f} MiB; "
        f"{'equal' if files[0] == files[1] else 'DIFFERENT'} bytes"
    )


def _bytes(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


if __name__ == "__main__":
    main()
