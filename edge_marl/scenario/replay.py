"""The section on recorded workloads."""

from __future__ import annotations

import itertools
import math
from datetime import date, datetime
from fractions import Fraction
from typing import Annotated, Literal, Self

from pydantic import Field, PlainSerializer, PlainValidator, model_validator

from edge_marl.scenario.section import Positive, Section

__all__ = ["Replay", "Tokens", "Windows"]


def _moment(value: object) -> datetime | float:
    """A moment of a recorded trace: a date with or without time of day, or seconds."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError("must be a date such as 2024-12-04 or a number of seconds") from None
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    if isinstance(value, datetime):
        if value.tzinfo:
            raise ValueError("must have no time zone: windows are in the trace's own time")
        if not 1700 <= value.year < 2200:
            raise ValueError("must be a date of the years 1700 to 2199")
        return value
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1e11:
        return float(value)
    raise ValueError("must be a date such as 2024-12-04 or a number of seconds")


def _write_moment(moment: datetime | float) -> str | float:
    return moment.isoformat() if isinstance(moment, datetime) else moment


Moment = Annotated[datetime | float, PlainValidator(_moment), PlainSerializer(_write_moment)]
SPANS = ("train", "validation", "test")


class Windows(Section):
    """Parts of a recorded trace, from the first moment up to (without) the second, one per split.

    All in dates, or all in seconds after the trace's first request (of a `csv`: as its times are).
    """

    train: tuple[Moment, Moment]
    validation: tuple[Moment, Moment]
    test: tuple[Moment, Moment]

    @property
    def dated(self) -> bool:
        """Whether the moments are dates."""
        return isinstance(self.train[0], datetime)

    @model_validator(mode="after")
    def _never_overlap(self) -> Self:
        spans = {name: getattr(self, name) for name in SPANS}
        if len({type(moment) for span in spans.values() for moment in span}) > 1:
            raise ValueError("has dates and seconds: give all six in one of the two")
        for name, (start, end) in spans.items():
            if not start < end:
                raise ValueError(f"{name} = [{start}, {end}]: must end after its start")
        order = sorted(SPANS, key=lambda name: spans[name][0])
        for name, after in itertools.pairwise(order):
            if spans[after][0] < spans[name][1]:
                raise ValueError(
                    f"{after} starts at {spans[after][0]}, before {name} ends at {spans[name][1]}: "
                    "no request may be in two splits"
                )
        return self


class Tokens(Section):
    """What a request to a language model asks of a server, from its numbers of tokens."""

    block: Positive
    """Tokens, of prompt and answer together, that count as one step of demand."""
    prefill_per_s: Annotated[float, Field(ge=1e-6, le=1e9)]
    """Tokens of the prompt that the reference model on the reference device reads in a second."""
    decode_per_s: Annotated[float, Field(ge=1e-6, le=1e9)]
    """Tokens of the answer that it writes in a second."""
    prompt_bounds: tuple[Positive, ...] = ()
    """Where types end: type k is of prompts shorter than the k-th bound, the last of all others."""

    @model_validator(mode="after")
    def _go_up(self) -> Self:
        if any(b <= a for a, b in itertools.pairwise(self.prompt_bounds)):
            raise ValueError(f"prompt_bounds = {list(self.prompt_bounds)}: must go up")
        return self


class Replay(Section):
    """Requests from a recorded trace in place of drawn ones (`docs/data.md`).

    What the trace does not tell comes from the other sections, and what it tells is cut to the
    largest demand, run time and sizes that `tasks` states.
    """

    trace: (
        Literal[
            "gentd26", "azure-code", "azure-conv", "mooncake-conversation", "mooncake-synthetic"
        ]
        | None
    ) = None
    """A trace of a registered data set (`edge-marl data list`)."""
    csv: str | None = None
    """Instead of it, the path of a file of one's own."""
    sha256: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""
    """What the file's SHA-256 must be, if stated: then the digest stands for its content too."""
    windows: Windows
    window_s: Annotated[float, Field(ge=0.001, le=1e9)]
    """Recorded time that an episode replays."""
    compress: Annotated[float, Field(ge=1e-3, le=1e6)] = 1.0
    """Recorded seconds that pass in a second of the episode; run times stay as they are."""
    tokens: Tokens | None = None
    """Needed by, and only by, traces of language models."""
    places: Literal["eua-melbourne"] | None = None
    """Put servers and gateways at recorded places instead of drawn ones."""
    own_quality: Annotated[float, Field(ge=0, le=1000)] | None = None
    """Baseline quality of service v for tasks of type v: the model that the user asked for."""

    @property
    def length_ms(self) -> int:
        """Time of an episode in which requests arrive, in milliseconds."""
        # By fractions: 1000 * 0.069 is a float above 69.
        window, compress = (Fraction(repr(number)) for number in (self.window_s, self.compress))
        return math.ceil(1000 * window / compress)

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.trace is None) == (self.csv is None):
            raise ValueError("needs either trace or csv")
        if self.sha256 and self.csv is None:
            raise ValueError("sha256 is of a csv: registered traces have theirs in the registry")
        asks_tokens = self.trace is not None and self.trace != "gentd26"
        if asks_tokens != (self.tokens is not None):
            verb = "needs" if asks_tokens else "has no use for"
            raise ValueError(f"{self.trace or 'csv'} {verb} a section tokens")
        dated = self.trace in ("gentd26", "azure-code", "azure-conv")
        if self.windows.dated and not dated:
            raise ValueError(f"{self.trace or 'csv'} has no dates: give its windows in seconds")
        return self

    @model_validator(mode="after")
    def _episodes_fit(self) -> Self:
        for name in SPANS:
            start, end = getattr(self.windows, name)
            length = (end - start).total_seconds() if self.windows.dated else end - start
            if length < self.window_s:
                raise ValueError(
                    f"window_s = {self.window_s:g}: the window {name} is only {length:g} s long"
                )
        return self
