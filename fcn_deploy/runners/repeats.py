"""Keep something costly for each of the few image shapes that come again and again."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from fcn_deploy.errors import RunnerError
from fcn_deploy.vocabulary import Shape, shape_text

CAPACITY = 4
# A shape that comes once should cost no more than its inference; one that came twice will most often come again.
RUNS_TO_EARN = 2
# If every image has a size of its own, the counts of this many shapes are dropped, and counting starts again.
MOST_COUNTED = 4096


class Costly(Protocol):
    """What is kept for a shape. `remark` says what it is, and what opening it took."""

    @property
    def remark(self) -> str: ...

    def close(self) -> None: ...


Kept = TypeVar("Kept", bound=Costly)


class RepeatedShapes(Generic[Kept]):
    """What `make` gives for a shape from its second run on, once it is worth it, for at most `capacity` shapes.

    Once all places are taken, a shape must come twice as often as the last one had to before it replaces the one that
    was used longest ago. So n runs cost at most capacity + log2(n) makings, in whatever order the shapes come.

    A shape for which `make` raises RunnerError is run without from then on.
    """

    def __init__(
        self,
        make: Callable[[Shape], Kept],
        *,
        what: str,
        capacity: int = CAPACITY,
        strict: bool = False,
        worth: Callable[[Shape], bool] = lambda shape: True,
    ) -> None:
        """Begin with nothing kept.

        Args:
            what: its name in the remarks.
            strict: whether an error of `make` is raised.
            worth: whether a shape that came again shall have it by now.
        """
        self._worth = worth
        self._make, self._what, self._capacity, self._strict = make, what, capacity, strict
        self._kept: OrderedDict[Shape, Kept] = OrderedDict()
        self._runs: Counter[Shape] = Counter()
        self._refused: set[Shape] = set()
        self._needed = RUNS_TO_EARN
        self._said: dict[str, None] = {}

    @property
    def remarks(self) -> tuple[str, ...]:
        """What was made and what went otherwise, each once, in the order of events."""
        return tuple(self._said)

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, shape: Shape) -> Kept | None:
        """Count a run of `shape`; return what it is to be run with, or None if it has nothing of its own."""
        if shape in self._kept:
            self._kept.move_to_end(shape)
            return self._kept[shape]
        if self._capacity == 0 or shape in self._refused:
            return None
        if shape not in self._runs and len(self._runs) >= MOST_COUNTED:
            self._runs.clear()
        self._runs[shape] += 1
        if self._runs[shape] < self._needed or not self._worth(shape):
            return None
        return self._earned(shape)

    def drop(self, reason: str) -> bool:
        """Close all that is kept and keep nothing more; return whether there was anything."""
        had = bool(self._kept)
        if had:
            self._say(f"gave up each shape's {self._what}: {reason}")
            self._capacity = 0
            self.close()
        return had

    def refuse(self, shape: Shape, reason: str) -> None:
        """Close what `shape` is run with, and run it without from then on."""
        self._refused.add(shape)
        self._kept.pop(shape).close()
        self._say(f"{shape_text(shape)} has lost its {self._what}: {reason}")

    def close(self) -> None:
        """Close all that is kept."""
        while self._kept:
            self._kept.popitem()[1].close()

    def _earned(self, shape: Shape) -> Kept | None:
        if len(self._kept) >= self._capacity:
            self._make_room()
        try:
            kept = self._make(shape)
        except RunnerError as error:
            if self._strict:
                raise
            self._refused.add(shape)
            self._say(f"{shape_text(shape)} has no {self._what}: {error}")
            return None
        self._kept[shape] = kept
        if kept.remark:
            self._say(f"{shape_text(shape)}: {kept.remark}")
        return kept

    def _make_room(self) -> None:
        """Close what was used longest ago; what all other shapes have earned so far is forgotten."""
        self._say(f"more than {self._capacity} shapes come again; only {self._capacity} have a {self._what} at a time")
        self._kept.popitem(last=False)[1].close()
        self._needed *= 2
        self._runs.clear()

    def _say(self, remark: str) -> None:
        self._said[remark] = None
