"""Text of others, for pages, tables and terminals: it is seen, and read as it was written."""

from __future__ import annotations

import ipaddress
import unicodedata
from collections.abc import Iterator
from typing import Annotated, Any, NoReturn
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, HttpUrl, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from edge_marl.errors import SubmissionError

__all__ = ["Link", "LongText", "Settings", "Slug", "Text", "checked_text"]

MOST_MARKS = 4
"""Combining marks in a row: a pile of them covers the lines above and below."""

BLANK = frozenset(
    map(
        chr,
        (
            *(0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0),
            *range(0x180B, 0x1810),
            *range(0xFE00, 0xFE10),
            *range(0xE0100, 0xE01F0),
        ),
    )
)
"""Letters, marks and symbols that show nothing: fillers, selectors of variants, empty Braille."""

MOST_DEPTH = 8
MOST_VALUES = 1_000
"""Of all settings together; keys, lists and tables count as well."""
LARGEST_WHOLE = 2**64

LONGEST = 200
WEB: TypeAdapter[HttpUrl] = TypeAdapter(HttpUrl)


def _refuse(reason: str) -> NoReturn:
    raise PydanticCustomError("text", "{reason}", {"reason": reason})


def _line(text: str) -> str:
    """Return a text if all of it is seen, in one line."""
    _check_ends(text)
    _check_characters(text)
    return text


def _lines(text: str) -> str:
    """Return a text of several lines if all of it is seen; none at all will do."""
    if text:
        _check_ends(text)
    for line in text.split("\n"):
        _check_characters(line.strip(" "))
    return text


def _check_ends(text: str) -> None:
    if text != text.strip():
        _refuse("begins or ends with a space or a line break")
    if not any(unicodedata.category(c)[0] in "LN" and c not in BLANK for c in text):
        _refuse("holds no letter and no digit")


def _check_characters(line: str) -> None:
    marks = MOST_MARKS  # a mark that begins a line would sit on what stands before it
    for character in line:
        kind = unicodedata.category(character)[0]
        if kind == "C" or (kind == "Z" and character != " ") or character in BLANK:
            name = unicodedata.name(character, "a control or no character")
            _refuse(f"holds U+{ord(character):04X} ({name}), which nobody sees as it is")
        marks = marks + 1 if kind == "M" else 0
        if marks > MOST_MARKS:
            _refuse(f"begins with a combining mark, or has more than {MOST_MARKS} in a row")


Text = Annotated[str, Field(min_length=1, max_length=LONGEST), AfterValidator(_line)]
"""A line that is seen as it is: a letter or a digit at least; no control, format, private or
unassigned characters, no space but U+0020, and that not at its ends; no pile of marks."""

LongText = Annotated[str, Field(max_length=4000), AfterValidator(_lines)]
"""Lines of that kind, or none."""

ONE_LINE: TypeAdapter[str] = TypeAdapter(Text)


def checked_text(what: str, text: str) -> str:
    """Return a text from the command line if it is a `Text`.

    Raises:
        SubmissionError: it is none: what it is, and what is wrong with it.
    """
    try:
        return ONE_LINE.validate_python(text)
    except ValidationError as error:
        reason = error.errors(include_url=False)[0]["msg"]
        raise SubmissionError(f"{what} {text[:60]!r}: {reason}") from None


Slug = Annotated[str, Field(pattern=r"^[a-z0-9]+([.-][a-z0-9]+)*$", max_length=60)]


def _address(text: str) -> str:
    """Return a link if it leads to the host that it shows, and to nothing else."""
    _line(text)
    try:
        url = WEB.validate_python(text)
        host = url.host or ""
        shown = urlsplit(text).netloc.lower()
    except ValidationError as error:
        _refuse(error.errors(include_url=False)[0]["msg"])
    except ValueError as error:
        _refuse(f"no address of the web ({error})")
    # Two readers of the address agree on it, so that there is no name or password before the host.
    alone = {host, url.unicode_host()}
    if not _is_host(host):
        _refuse(f"'{host[:60]}' is no host on the web: a name with a dot, or an IP address")
    if not url.port:
        _refuse("port 0 is none: 1 to 65535")
    if shown not in alone | {f"{one}:{url.port}" for one in alone}:
        _refuse(f"'{shown[:60]}' must be the host '{host[:60]}', with its port or without, alone")
    return text


def _is_host(host: str) -> bool:
    """Whether it is an IP address, or a name of two labels or more (ASCII)."""
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        labels = host.split(".")
        return 1 < len(labels) <= len(host) < 254 and all(map(_is_label, labels))
    return True


def _is_label(label: str) -> bool:
    ends = label[:1].isalnum() and label[-1:].isalnum()
    return ends and label.replace("-", "").isalnum() and len(label) < 64


Link = Annotated[
    str,
    Field(pattern=r"^https?://[^\s<>\"'`\\]+$", max_length=300),
    AfterValidator(_address),
]
"""An address of the web: http or https, a host that can be one, no name and password."""


def _settings(given: dict[str, Any]) -> dict[str, Any]:
    """Return settings if they are few, flat enough, and their texts are seen."""
    for number, value in enumerate(_inside(given, 0)):
        if number == MOST_VALUES:
            _refuse(f"more than {MOST_VALUES} values")
        if isinstance(value, str):
            if len(value) > LONGEST:
                _refuse(f"'{value[:20]}...' has more than {LONGEST} characters")
            _line(value)
        elif isinstance(value, int) and abs(value) > LARGEST_WHOLE:
            _refuse("a whole number beyond 2**64")
    return given


def _inside(value: object, depth: int) -> Iterator[object]:
    """Yield a value and all that is in it, keys too."""
    if depth > MOST_DEPTH:
        _refuse(f"nested more than {MOST_DEPTH} deep")
    yield value
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from _inside(inner, depth + 1)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _inside(inner, depth + 1)


Settings = Annotated[dict[str, Any], AfterValidator(_settings)]
"""What JSON can say, keys and texts as `Text`, up to 8 deep and 1,000 values."""
