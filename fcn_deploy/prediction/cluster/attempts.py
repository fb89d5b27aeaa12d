"""What is remembered of images when the worker that had them is lost."""

from __future__ import annotations

from collections import Counter
from typing import Any

# A worker can be lost for no fault of an image's; one that takes so many with it is at fault.
MOST_LOST = 3


class Ledger:
    """Counts tasks and images that were begun. Ray keeps it in an actor beside the program that asks."""

    def __init__(self) -> None:
        self._tasks: Counter[int] = Counter()
        self._images: Counter[tuple[int, int]] = Counter()

    def begin_task(self, task: int) -> int:
        """How often `task` was begun before."""
        self._tasks[task] += 1
        return self._tasks[task] - 1

    def begin_image(self, task: int, index: int) -> int:
        """How many workers began image `index` of `task` by itself and never ended it."""
        self._images[task, index] += 1
        return self._images[task, index] - 1

    def end_image(self, task: int, index: int) -> None:
        """It did no worker any harm."""
        self._images[task, index] -= 1

    def repeated(self) -> int:
        """Tasks that were begun more than once, so how many workers were lost at work, at least."""
        return sum(1 for count in self._tasks.values() if count > 1)


def start_ledger(ray: Any) -> Any:
    """A handle of a ledger that lives on this machine, whatever happens to others."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(node_id=ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(Ledger).options(num_cpus=0, scheduling_strategy=here).remote()
