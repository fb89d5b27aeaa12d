"""Warm up until times are steady: the first runs of a shape allocate, tune and compile, and clocks rise."""

from __future__ import annotations

from collections.abc import Callable, Sequence

RECENT = 3
# Three runs in a row that improve on the best so far by less than this share do not improve.
GAIN = 0.03


def is_steady(times_ns: Sequence[int]) -> bool:
    """Whether the last three runs were no faster than the best before them, but for 3 %."""
    if len(times_ns) <= RECENT:
        return False
    return min(times_ns[-RECENT:]) >= (1 - GAIN) * min(times_ns[:-RECENT])


def warm_up(runs: Sequence[Callable[[], int | None]], least: int, ceilings_s: list[float]) -> None:
    """Call all of `runs` in turn until each is steady.

    Args:
        runs: one inference each, giving its nanoseconds, or None if it failed and need not be called again.
        least: calls of each; 0 for no call at all, steady or not.
        ceilings_s: what each may take beyond that, in seconds; what it took is subtracted.
    """
    times: list[list[int]] = [[] for _ in runs]
    going = list(range(len(runs))) if least > 0 else []
    while going:
        for index in list(going):
            taken = runs[index]()
            if taken is None:
                going.remove(index)
                continue
            times[index].append(taken)
            if len(times[index]) > least:
                ceilings_s[index] -= taken / 1e9
            if len(times[index]) >= least and (ceilings_s[index] <= 0 or is_steady(times[index])):
                going.remove(index)
