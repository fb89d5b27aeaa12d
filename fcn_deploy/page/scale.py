"""Map values to pixels, and choose round numbers to write next to them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from fcn_deploy.page.svg import line, text

# A range this wide reads better by its ratios than by its differences.
WIDE = 3.0


@dataclass(frozen=True)
class Scale:
    """A map of values `low` to `high` to pixels `start` to `end`, by their logarithms if `log`."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        low, high, value = (math.log(x) if self.log else x for x in (self.low, self.high, value))
        return self.start + (self.end - self.start) * (value - low) / (high - low)

    def ticks(self, most: int = 5) -> list[float]:
        """Return up to about `most` round values within the range, at least two."""
        rounds = _decades(self.low, self.high, most) if self.log else []
        return rounds if len(rounds) >= 3 else _steps(self.low, self.high, most)


def positive(values: Iterable[float], start: float, end: float) -> Scale:
    """Return a scale for times and sizes: logarithmic where the largest is 3 times the smallest or more."""
    known = [value for value in values if value > 0] or [1.0]
    low, high = min(known), max(known)
    if high >= WIDE * low:
        return Scale(low / 1.12, high * 1.12, start, end, log=True)
    room = 0.06 * (high - low) or 0.1 * high
    return Scale(max(0.0, low - room), high + room, start, end)


def centred(values: Sequence[float], start: float, end: float, least: float) -> Scale:
    """Return a scale for shares and differences, at least `least` wide, so noise is not drawn as tall as a loss."""
    low, high = min(values), max(values)
    spare = max(0.16 * (high - low), (least - (high - low)) / 2)
    return Scale(low - spare, high + spare, start, end)


def from_zero(values: Iterable[float], start: float, end: float) -> Scale:
    """Return a scale for amounts, which starts at 0."""
    return Scale(0.0, 1.08 * max(values, default=0.0) or 1.0, start, end)


def across(scale: Scale, top: float, bottom: float, ticks: Sequence[float] | None = None) -> Markup:
    """Draw vertical rules with their values below, for a horizontal scale."""
    return Markup("").join(
        line(scale(tick), top, scale(tick), bottom)
        + text(scale(tick), bottom + 14, f"{tick:,g}", "faint small", "middle")
        for tick in (scale.ticks() if ticks is None else ticks)
    )


def up(scale: Scale, left: float, right: float, write: Callable[[float], str] = "{:,g}".format) -> Markup:
    """Draw horizontal rules with their values at the left, for a vertical scale."""
    return Markup("").join(
        line(left, scale(tick), right, scale(tick)) + text(left - 6, scale(tick) + 4, write(tick), "faint small", "end")
        for tick in scale.ticks()
    )


def _decades(low: float, high: float, most: int) -> list[float]:
    """Return 1, 2 and 5 times the powers of ten; only the powers where that would be too many."""
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1, 2, 5), (1, 3), (1,)):
        found = [factor * 10.0**exponent for exponent in exponents for factor in factors]
        found = [value for value in found if low <= value <= high]
        if len(found) <= most + 1:
            return found
    return found


def _steps(low: float, high: float, most: int) -> list[float]:
    raw = (high - low) / most
    size = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * size for factor in (1, 2, 5, 10) if factor * size >= raw)
    first = math.ceil(low / step - 1e-9)
    return [round(index * step, 12) for index in range(first, math.floor(high / step + 1e-9) + 1)]
