"""Format numbers as the tables show them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table


NONE = "-"


def number(value: float | None, decimals: int) -> str:
    """Render a number as "12.34"; "-" for None and nan."""
    return NONE if value is None or math.isnan(value) else f"{value:,.{decimals}f}"


def milliseconds(value: float) -> str:
    """Format with about three significant digits: 0.123, 1.23, 12.3, 123."""
    decimals = 3 if value < 1 else 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:,.{decimals}f}"


def short_ms(ms: float) -> str:
    """Write three digits without an exponent: "0.0123", "21.4", "1,216"."""
    return f"{ms:,.0f}" if ms >= 1000 else f"{ms:.3g}"


def factor(value: float | None) -> str:
    """Write how many times as fast: 1.73, 12.3, 1,955; "-" for None."""
    return NONE if value is None else f"{value:,.{2 if value < 10 else 1 if value < 100 else 0}f}"


def share(agreed: int, pixels: int) -> str:
    """Format per cent with three decimals, rounded down so that 100 means all pixels; "-" of no pixels."""
    if pixels == 0:
        return NONE
    if agreed == pixels:
        return "100"
    return f"{math.floor(100_000 * agreed / pixels) / 1000:.3f}"


def points(value: float | None) -> str:
    """Format a signed difference in points; "0" only for no difference at all."""
    if value is None or math.isnan(value):
        return NONE
    return "0" if value == 0 else f"{value:+.2f}"


def count(number_of: int, word: str) -> str:
    """Render a count with its noun: "1 image", "2 images"."""
    return f"{number_of:,} {word}" + ("" if number_of == 1 else "s")


def some(names: Sequence[str], most: int) -> str:
    """Return the first `most` names, and how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more:,} more" if more > 0 else "")


def bare_table(gap: int = 0) -> Table:
    """Return a table with a line under its head and no frame, and `gap` blanks to the right of each cell."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    return Table(box=SIMPLE_HEAD, padding=(0, gap, 0, 0), pad_edge=False, show_edge=False)


def duration(seconds: float) -> str:
    """Return "3 minutes" or "2.5 hours"."""
    if seconds < 90 * 60:
        return count(round(seconds / 60), "minute")
    return f"{seconds / 3600:.1f} hours"
