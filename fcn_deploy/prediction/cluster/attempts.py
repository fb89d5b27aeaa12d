"""Count how often tasks and images were started, to find an image that ends every worker."""

from __future__ import annotations

from collections import Counter
from typing import Any

# A worker can be lost for another reason than its image; an image that ends this many workers is at fault.
MAX_LOST_WORKERS = 3


class AttemptCounter:
    """Counts of started tasks and images. Ray runs it in an actor on the machine of the calling program."""

    def __init__(self) -> None:
        self._tasks: Counter[int] = Counter()
        self._images: Counter[tuple[int, int]] = Counter()

    def start_task(self, task: int) -> int:
        """Count a start of `task`; return how often it was started before."""
        self._tasks[task] += 1
        return self._tasks[task] - 1

    def start_image(self, task: int, index: int) -> int:
        """Count a start of image `index` of `task` alone; return how many workers started it and never finished."""
        self._images[task, index] += 1
        return self._images[task, index] - 1

    def finish_image(self, task: int, index: int) -> None:
        """Record that a worker survived the image."""
        self._images[task, index] -= 1

    def repeated_tasks(self) -> int:
        """Return how many tasks were started more than once: at least that many workers were lost."""
        return sum(1 for count in self._tasks.values() if count > 1)


def start_attempt_counter(ray: Any) -> Any:
    """Start an `AttemptCounter` on this machine, which survives the loss of others; return Ray's handle."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(node_id=ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(AttemptCounter).options(num_cpus=0, scheduling_strategy=here).remote()
