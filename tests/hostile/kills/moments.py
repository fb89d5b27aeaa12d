"""Choose the moments at which a command is stopped: spread over its operations on files and over its time."""

from __future__ import annotations

import errno
import random
import signal
from collections.abc import Iterator

from tests.hostile.kills.attempts import Moment, Undisturbed
from tests.hostile.kills.shim import Fault

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
# A disk that stays full, and one that fails once.
ERRORS = ((errno.ENOSPC, True), (errno.EIO, False))


def moments(count: int, wanted: Undisturbed, seed: int) -> list[Moment]:
    """Return `count` moments: half at operations by a signal, a third by an error, the rest at times."""
    chosen = random.Random(seed)
    by_time = count // 6
    by_error = count // 3
    found = [
        Moment(Fault(at, signal=SIGNALS[index % len(SIGNALS)]))
        for index, at in enumerate(_spread(count - by_time - by_error, wanted.operations, chosen))
    ]
    for index, at in enumerate(_spread(by_error, wanted.operations, chosen)):
        error, onwards = ERRORS[index % 2]
        found.append(Moment(Fault(at, error=error, onwards=onwards)))
    for index in range(by_time):
        seconds = wanted.seconds * (index + chosen.random()) / by_time
        found.append(Moment(after_s=seconds, signal=SIGNALS[index % len(SIGNALS)]))
    return found


def _spread(count: int, operations: int, chosen: random.Random) -> Iterator[int]:
    """Yield `count` operations: each of them in turn if there are few, else one at random from equal parts."""
    order = list(range(1, operations + 1))
    chosen.shuffle(order)
    yield from (order[index % operations] for index in range(count))
