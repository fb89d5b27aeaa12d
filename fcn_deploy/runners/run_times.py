"""Time the runs of each shape: the first, in which kernels are chosen, and those after it."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from fcn_deploy.runners.repeats import MOST_COUNTED
from fcn_deploy.system.formatting import count
from fcn_deploy.vocabulary import Shape


class RunTimes:
    """Seconds of the first run of each shape, and of all later ones together."""

    def __init__(self, opening_s: float = 0.0) -> None:
        """Begin with none; `opening_s` is what opening the runner took."""
        self.opening_s = opening_s
        self._costs: tuple[int, float, float] = 0, float("inf"), 0.0
        self._first: dict[Shape, float] = {}
        self._later: defaultdict[Shape, float] = defaultdict(float)

    @contextmanager
    def timed(self, shape: Shape) -> Iterator[None]:
        """Time the block, a run of `shape`, unless it fails."""
        started = time.perf_counter()
        yield
        taken = time.perf_counter() - started
        if shape in self._first:
            self._later[shape] += taken
            return
        if len(self._first) >= MOST_COUNTED:
            self._first.clear()
            self._later.clear()
        self._first[shape] = taken
        number, least, most = self._costs
        self._costs = number + 1, min(least, taken), max(most, taken)

    def repaid(self, shape: Shape) -> bool:
        """Return whether the later runs of `shape` have taken as long as opening and its first run did.

        Something that costs about as much to open, and makes runs shorter, is then worth it: whether the shape comes
        once more or a million times, both together take no more than twice the time of the better choice.
        """
        return shape in self._first and self._later[shape] >= self.opening_s + self._first[shape]

    @property
    def remark(self) -> tuple[str, ...]:
        """Say what first runs cost; () without any."""
        number, least, most = self._costs
        if not number:
            return ()
        each = f"{least:.2f} s" if number == 1 else f"{least:.2f} to {most:.2f} s"
        return (f"the first run of a shape chooses kernels: {each} for {count(number, 'shape')}",)
