"""Writing the ledger: what was taken in keeps its seal, and its level never falls."""

from __future__ import annotations

import json
from pathlib import Path

from edge_marl.errors import SubmissionError
from edge_marl.files import write_file
from edge_marl.leaderboards.submission.files import LEDGER, read_ledger
from edge_marl.leaderboards.submission.ledger import Ledger
from edge_marl.leaderboards.submission.schema import LEVELS
from edge_marl.leaderboards.verification.verify import Verdict

__all__ = ["record_verdict"]


def record_verdict(root: Path, verdict: Verdict) -> None:
    """Add a submission's verification to the ledger, or raise its level there.

    Raises:
        SubmissionError: if it reached no level, or the ledger has another seal of it.
    """
    verification = verdict.verification
    if verification is None:
        raise SubmissionError(f"{verdict.entry}: reached no level: nothing to record")
    ledger = read_ledger(root)
    known = ledger.entries.get(verdict.entry)
    if known and known.seal != verification.seal:
        raise SubmissionError(f"{root / LEDGER}: {verdict.entry} has another seal there")
    if known and LEVELS.index(known.counts_as) > LEVELS.index(verification.counts_as):
        return
    entries = dict(sorted({**ledger.entries, verdict.entry: verification}.items()))
    write_file(root / LEDGER, _text(Ledger(entries=entries)), SubmissionError)


def _text(ledger: Ledger) -> str:
    """Return a ledger as JSON, a line for each entry: outcomes have thousands of numbers."""
    entries = ledger.model_dump(mode="json", exclude_none=True)["entries"]
    lines = [f"{json.dumps(name)}: {json.dumps(facts)}" for name, facts in entries.items()]
    head = f'{{"schema_version": {ledger.schema_version}, "entries": {{\n'
    return head + ",\n".join(lines) + "\n}}\n"
