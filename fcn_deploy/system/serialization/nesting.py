"""Refuse data that is nested deeper than the functions that go through it can follow."""

from __future__ import annotations

from typing import Any

MOST = 100  # Python's own limit is about ten times that, and one level takes some of these functions two calls
TOO_DEEP = f"its lists or tables are nested more than {MOST} deep"


def check_nesting(value: Any) -> None:
    """Raise RecursionError if lists and dicts in each other are too deep."""
    level = [value]
    for _ in range(MOST + 1):
        holders = [held for held in level if isinstance(held, (dict, list))]
        if not holders:
            return
        level = [inner for held in holders for inner in (held.values() if isinstance(held, dict) else held)]
    raise RecursionError(TOO_DEEP)
