"""The command `edge-marl reproduce`: one cell of a run again, compared metric by metric."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_marl.console import FAILED, print_rows, problems

if TYPE_CHECKING:
    from edge_marl.benchmarks.records.differences import Row

__all__ = ["reproduce"]


def reproduce(
    record: Annotated[Path, typer.Argument(help="A record's file, in the `cells` of a run.")],
) -> None:
    """Do the job of a record again, training included, and compare every number of it.

    Exits with 1 if any differs.

    Example: edge-marl reproduce results/smoke/cells/CELL.json
    """
    from edge_marl.benchmarks.plan.sources import code_now
    from edge_marl.benchmarks.records.differences import differences
    from edge_marl.benchmarks.records.records import Record, load_record
    from edge_marl.benchmarks.run.executors import run_in_process
    from edge_marl.benchmarks.run.task import Task
    from edge_marl.errors import RecordError

    try:
        before = load_record(record)
    except FileNotFoundError:
        raise RecordError(f"{record}: there is no such record") from None
    if before.failure is not None:
        raise RecordError(f"{record}: its job has failed, there is nothing to compare with")
    if (code := code_now(before.job)) != before.job.code:
        problems().print(
            f"made with other sources ({before.job.code[:12]}, now {code[:12]}; commit "
            f"{before.provenance.commit}): numbers may differ for that alone"
        )
    job = before.job.model_copy(update={"code": code})
    with problems().status("starting its process") as status:
        outcome = run_in_process(
            Task(job=job),
            lambda phase, done, total, _: status.update(f"{phase}, {done:,} of {total:,}"),
        )
    outcome.pop("agent", None)
    after = Record.model_validate({"job": job, **outcome})
    if after.failure is not None:
        raise RecordError(f"{record}: its job fails now: {after.failure.reason}")
    rows = differences(before, after)
    print_rows([("", "values", "different", "largest difference"), *map(_told, rows)])
    same = all(different == 0 for _, _, different, _ in rows)
    print_rows([(before.job.label, "reproduced to the last bit" if same else "DIFFERS")])
    if not same:
        raise typer.Exit(FAILED)


def _told(row: Row) -> tuple[str, ...]:
    name, values, different, largest = row
    return name, str(values), str(different), f"{largest:.3g}" if different else ""
