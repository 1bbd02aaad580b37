"""Random changes of bytes and of texts that keep most of a file's structure.

All draw from a `random.Random`: a seeded one in the long run, one of Hypothesis's in the suite,
which then shrinks what it finds.
"""

from __future__ import annotations

import re
from functools import lru_cache
from random import Random

__all__ = ["change", "change_bytes", "change_text", "rounds"]

TOKEN = re.compile(r'"(?:[^"\\\n]|\\.)*"|[\w.+-]+|[^\w\s]|\n')
"""A string, a word or number, a sign, or the end of a line: of TOML, JSON and tables alike."""

ODD = (
    *("0", "-1", "1", "2", "1.5", "-0.0", "1e-400", "1e400", "-1e400", "1e308", "0.0009", "1e18"),
    *("2147483648", "-2147483649", "9223372036854775807", "9223372036854775808", "1" + "0" * 400),
    *("9" * 5000, "nan", "NaN", "inf", "-inf", "Infinity", "-Infinity", "true", "false", "null"),
    *("[]", "{}", "[[]]", "[0]", '[""]', "[null]", '{"a":1}', "{a=1}", "[1,[2,[3]]]", '""', '"a"'),
    *('"0"', '"1"', r'"\u0000"', r'"\ud800"', r'"a\nb"', r'"\u001b[31m"', r'"\u202e"', '"٤٨"'),
    *('"²"', "٤٨", "\uff14\uff18", "1_000", "0x10", "1.", ".5", "+1", "--1", "1e", "01"),
    *("2024-02-30", "2024-12-04", "2024-12-04T00:00:00Z", '"2024-12-04"', "0001-01-01"),
    *("12:30:00", "\ufeff", "\x00", "\x1b[31m", "\r", "\u2028", "\x85"),
    *('"' + "x" * 3000 + '"', "y" * 3000, "[" * 2000),
    *("{" * 2000, '{"a":' * 2000, "[" * 400 + "]" * 400, '"', "'", "#", ",", ":", "=", "\n\n"),
)  # fmt: skip
"""What stands in for a token: values of every type, far out of range, and texts that hurt."""


def rounds(rng: Random) -> range:
    """How many changes in a row: mostly one, seldom many."""
    return range(1 if rng.random() < 0.6 else rng.randint(2, 6))


def change(rng: Random, content: bytes) -> bytes:
    """Change a text by its tokens, or now and then by its bytes."""
    alike = change_bytes if rng.random() < 0.2 else change_text
    for _ in rounds(rng):
        content = alike(rng, content)
    return content


def change_bytes(rng: Random, content: bytes) -> bytes:
    """Flip a bit, set a byte, cut, put in, double, swap or end early."""
    at = rng.randint(0, len(content))
    long = min(rng.choice((1, 2, 4, 8, 40, 400)), len(content) - at)
    before, part, after = content[:at], content[at : at + long], content[at + long :]
    kind = rng.randint(0, 6)
    if kind == 0 and part:
        return before + bytes([part[0] ^ 1 << rng.randint(0, 7)]) + part[1:] + after
    if kind == 1:
        return before + bytes([rng.choice((0, 1, 127, 128, 255, 10, 34, 45))]) + part[1:] + after
    if kind == 2:
        return before + after
    if kind == 3:
        return (
            before
            + bytes(rng.randint(0, 255) for _ in range(rng.choice((1, 4, 16))))
            + content[at:]
        )
    if kind == 4:
        return before + part * rng.choice((2, 3, 50)) + after
    if kind == 5:
        return after + part + before
    return before


def change_text(rng: Random, content: bytes) -> bytes:
    """Replace, cut, double, swap or move tokens of a text."""
    text = content.decode("utf-8", "surrogateescape")
    tokens = _tokens(text)
    if not tokens:
        return rng.choice(ODD).encode()
    (start, end), other = rng.choice(tokens), rng.choice(tokens)
    kind = rng.randint(0, 7)
    if kind <= 3:
        new = rng.choice(ODD)
    elif kind == 4:
        new = text[slice(*other)]
    elif kind == 5:
        new = text[start:end] * 2
    elif kind == 6:  # from one token to another is out, or there twice
        start, end = sorted((start, other[0]))
        new = text[start:end] * rng.choice((0, 2))
    else:
        line = text.rfind("\n", 0, start) + 1
        start, end = line, (text.find("\n", start) + 1) or len(text)
        new = text[start:end] * rng.choice((0, 2))
    return (text[:start] + new + text[end:]).encode("utf-8", "surrogateescape")


@lru_cache(maxsize=64)
def _tokens(text: str) -> list[tuple[int, int]]:
    """Where the tokens of a text are; kept for the files that all changes start from."""
    return [match.span() for match in TOKEN.finditer(text)]
