"""What `benchmarks/measure/overhead.py` makes of records and a runner's clock."""

import pytest

from edge_marl.benchmarks.measure.overhead import Shares, shares_at, shares_of
from edge_marl.benchmarks.plan.cells import Anchors, Cell
from edge_marl.benchmarks.records.records import Record
from edge_marl.errors import SuiteError
from tests.worlds import fakes


def timed(job: Cell | Anchors, train_s: float, evaluate_s: float, wall_s: float) -> Record:
    provenance = fakes.PROVENANCE.model_copy(update={"wall_s": wall_s})
    if isinstance(job, Anchors):
        return fakes.anchors_record(job).model_copy(update={"provenance": provenance})
    record = fakes.cell_record(job, 50.0)
    assert record.result is not None
    result = record.result.model_copy(update={"train_s": train_s, "evaluate_s": evaluate_s})
    return record.model_copy(update={"result": result, "provenance": provenance})


def measured() -> list[Record]:
    """A run of three jobs: anchors, a heuristic and one training of 1,000 decisions."""
    anchors, greedy, student = fakes.plan(seeds=1).jobs()
    return [timed(anchors, 0, 0, 1.0), timed(greedy, 0, 2.0, 2.5), timed(student, 10.0, 3.0, 14.0)]


def test_the_harness_is_all_that_is_neither_training_nor_evaluation() -> None:
    shares = shares_of(measured(), run_s=20.0, reports_s=5.0)
    assert shares == Shares(10.0, 5.0, cells_s=2.5, runner_s=2.5, reports_s=5.0)
    assert shares.total_s == 25.0
    assert shares.harness == pytest.approx(0.4)


def test_a_longer_training_takes_its_time_and_the_harness_what_it_took() -> None:
    records = measured()
    shares = shares_of(records, run_s=20.0, reports_s=5.0)
    # Not measured: as the other learner.
    other = fakes.LEARNER.model_copy(update={"agent": "other"})
    whole = fakes.plan(fakes.HEURISTIC, fakes.LEARNER, other, seeds=2).model_copy(
        update={"budget": 5000}
    )
    jobs = len(whole.jobs())
    assert jobs == 6
    expected = Shares(200.0, 14.0, cells_s=5.0, runner_s=5.0, reports_s=5.0)
    assert shares_at(whole, shares, records, records) == expected
    cell = whole.cells(fakes.ARENA, fakes.LEARNER)[0]
    longer = [timed(cell, 20.0, 0.0, 21.0)]  # 4 ms a decision instead of 10
    assert shares_at(whole, shares, records, longer).train_s == pytest.approx(80.0)


def test_an_agent_of_a_kind_that_was_not_measured_is_refused() -> None:
    records = measured()[:2]
    shares = shares_of(records, 5.0, 1.0)
    with pytest.raises(SuiteError, match="agent 'student': none that is like it was measured"):
        shares_at(fakes.plan(), shares, records, records)
