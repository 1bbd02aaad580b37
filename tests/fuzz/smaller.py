"""Making a file smaller that still breaks its reader in the same way."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["smaller"]

MOST_TRIES = 400


def smaller(content: bytes, breaks: Callable[[bytes], bool]) -> bytes:
    """Return a part of a file that still breaks: halves are taken out, then quarters, and so on.

    Args:
        content: the file.
        breaks: whether a file breaks the reader like it.
    """
    tries, long = 0, max(1, len(content) // 2)
    while tries < MOST_TRIES:
        at = 0
        while at < len(content) and tries < MOST_TRIES:
            less = content[:at] + content[at + long :]
            tries += 1
            if breaks(less):
                content = less
            else:
                at += long
        if long == 1:
            break
        long = max(1, long // 2)
    return content
