"""Texts of others: what may be in a name, a link, a setting."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from edge_marl.errors import SubmissionError
from edge_marl.leaderboards.submission.make import read_about
from edge_marl.leaderboards.submission.texts import Link, LongText, Settings, Text

DEEP: Any = [[[[[[[[[1]]]]]]]]]


def problem(kind: Any, value: object) -> str:
    """Return what is wrong with a value; nothing if it is taken as it is."""
    try:
        assert TypeAdapter(kind).validate_python(value) == value
    except ValidationError as error:
        [only] = error.errors(include_url=False)
        return only["msg"]
    return ""


@pytest.mark.parametrize(
    "text", ["Ada", "7", "Ngô Bảo Châu", "Ngô Bảo", "किताब", "数学", "Z. (O'Neil-Müller) & Co. ©"]
)
def test_what_people_are_called_is_taken(text: str) -> None:
    assert not problem(Text, text)
    assert not problem(LongText, "")
    assert not problem(LongText, f"{text}\n\n---\n  {text}")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "at least 1 character"),
        ("x" * 201, "at most 200 characters"),
        ("...", "holds no letter and no digit"),
        ("\u3164", "holds no letter and no digit"),
        (" Ada", "begins or ends with a space"),
        ("Ada ", "begins or ends with a space"),
        ("A\u202eda", "U+202E (RIGHT-TO-LEFT OVERRIDE)"),
        ("A\u2067da", "U+2067 (RIGHT-TO-LEFT ISOLATE)"),
        ("A\u200dda", "U+200D (ZERO WIDTH JOINER)"),
        ("A\u00adda", "U+00AD (SOFT HYPHEN)"),
        ("A\u00a0da", "U+00A0 (NO-BREAK SPACE)"),
        ("A\u2028da", "U+2028 (LINE SEPARATOR)"),
        ("A\nda", "U+000A"),
        ("A\x1b[2Jda", "U+001B"),
        ("A\ue000da", "U+E000"),
        ("A\U000e0041da", "U+E0041"),
        ("A\u3164da", "U+3164 (HANGUL FILLER)"),
        ("A\ufe0fda", "U+FE0F (VARIATION SELECTOR-16)"),
        ("A\u0378da", "U+0378"),
        ("\u0301Ada", "begins with a combining mark"),
        ("Ad" + "\u0301" * 5 + "a", "more than 4 in a row"),
    ],
)
def test_what_nobody_sees_is_refused(text: str, says: str) -> None:
    assert says in problem(Text, text)
    if text and "\n" not in text and len(text) < 200:
        assert problem(LongText, text)
        assert problem(Settings, {"a": [{"b": text}]})
        assert problem(Settings, {"a": [{text: 1}]})
        assert problem(Link, f"https://example.org/{text}") or "U+" not in says


@pytest.mark.parametrize(
    "link",
    [
        "https://example.org",
        "http://127.0.0.1:8080/a",
        "http://[::1]/",
        "https://EXAMPLE.org:443/a?b=1&c=(2)#d",
        "https://bücher.de/ü",
        "https://xn--bcher-kva.de/",
    ],
)
def test_links_to_a_host_are_taken(link: str) -> None:
    assert not problem(Link, link)


@pytest.mark.parametrize(
    "link",
    [
        "javascript:alert(1)",
        "ftp://example.org/",
        "https:///x",
        "http://[::1",
        "https://user:pw@example.org/",
        "https://@example.org/",
        "https://good.org\\@evil.org/",
        "http:example.org",
        "https://localhost/",
        "https://a..org/",
        "https://-a.org/",
        "https://a_b.org/",
        "https://" + "a" * 64 + ".org/",
        "https://exa%6dple.org/",
        "https://e\uff0eorg/",
        "http://0x7f.1/",
        "https://example.org:/",
        "https://example.org:0/",
        "https://example.org:65536/",
        "https://example.org:0443/",
        "https://example.org/a b",
        "https://example.org/" + "a" * 300,
    ],
)
def test_links_to_no_host_or_to_another_than_is_seen_are_refused(link: str) -> None:
    assert problem(Link, link)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"a": None, "b": True, "c": 1e-3, "hidden": [256, 256], "d": {"e": "relu"}}, ""),
        ({"a": DEEP}, "nested more than 8 deep"),
        ({"a": list(range(1000))}, "more than 1000 values"),
        ({"a": [[]] * 1000}, "more than 1000 values"),
        ({"a": 10**30}, "a whole number beyond 2**64"),
        ({"a": "x" * 201}, "has more than 200 characters"),
    ],
)
def test_settings_are_bounded(settings: dict[str, Any], says: str) -> None:
    found = problem(Settings, settings)
    assert (says in found) if says else not found


def test_what_authors_say_is_read_from_toml(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('authors = ["Ada"]\n[training]\ndata = "logs"\nbudget = 0\n')
    assert read_about(tmp_path / "a.toml")["training"] == {"data": "logs", "budget": 0}
    (tmp_path / "b.toml").write_text("authors =")
    with pytest.raises(SubmissionError, match="not TOML"):
        read_about(tmp_path / "b.toml")
