"""Asking several policies at a time: their processes work, and who asks them mostly waits."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

__all__ = ["side_by_side"]

Item = TypeVar("Item")
Found = TypeVar("Found")


def side_by_side(
    ask: Callable[[Item], Found], items: Iterable[Item], at_once: int, over: threading.Event
) -> list[Found]:
    """Return what is found for each item.

    Args:
        ask: asks a policy, in another thread.
        items: what it is called with.
        at_once: how many of them at a time.
        over: is set if one of them fails, or is interrupted: then no policy is waited for any more
            (`asking.policies_of`).

    Raises:
        Exception: what the first item raised, in their order, of those that failed by themselves.
    """
    with ThreadPoolExecutor(at_once) as pool:
        asked = [pool.submit(ask, item) for item in items]
        try:
            return [one.result() for one in asked]
        except BaseException:
            over.set()
            pool.shutdown(cancel_futures=True)
            raise
