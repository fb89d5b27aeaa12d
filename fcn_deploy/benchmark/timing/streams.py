"""Measure how many streams of images a runner serves within a deadline.

The load is open: a schedule that is fixed beforehand says when each image arrives, whether or not those before it are
done, and its time counts from there. A loop that sends the next image once the last is done would slow down with the
runner and never see a queue (coordinated omission).

Each stream has images at equal distances. The streams start evenly spread, and the clocks of neighbours differ a
little, so that their images pass each other while the test runs, as those of cameras without a common trigger do.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import cycle

from fcn_deploy.benchmark.images import Image
from fcn_deploy.benchmark.record.measurement import StreamLoad, StreamTest
from fcn_deploy.errors import RunnerError
from fcn_deploy.runners.base import Runner
from fcn_deploy.runners.tickets import Ticket

# Images of one number of streams, of which p99 leaves out three, and the seconds that this may take.
IMAGES, SHORTEST_S, LONGEST_S = 300, 5.0, 10.0
# The clocks of two streams differ by no more than this share.
MOST_DRIFT = 0.02
# An image that takes so many deadlines, and a second, shows that the queue grows.
PATIENCE, PATIENCE_S = 4, 1.0


def schedule(streams: int, fps: float, seconds: float) -> list[float]:
    """Return when images arrive, in seconds from the start, in order."""
    drift = min(1 / seconds, MOST_DRIFT / 2 * fps)
    arrivals: list[float] = []
    for stream in range(streams):
        rate = fps + drift * ((stream + 1) % 3 - 1)
        count = int(rate * seconds - stream / streams) + 1
        arrivals += [(image + stream / streams) / rate for image in range(count)]
    return sorted(at for at in arrivals if at < seconds)


def seconds_for(streams: int, fps: float) -> float:
    """Return how long to run a number of streams."""
    return min(max(IMAGES / (streams * fps), SHORTEST_S), LONGEST_S)


def patience_of(deadline_s: float) -> float:
    """Return the seconds after which an image shows that no further ones need to be waited for."""
    return max(PATIENCE * deadline_s, PATIENCE_S)


def answer_arrivals(
    runner: Runner,
    batches: Sequence[Image],
    arrivals_s: Sequence[float],
    patience_s: float,
    clock: Callable[[], int] = time.perf_counter_ns,
    sleep: Callable[[float], None] = time.sleep,
    check: Callable[[], None] = lambda: None,
) -> list[int]:
    """Run an inference for each arrival, first come first served, as many under way as the runner has slots.

    Args:
        batches: uint8[1, H, W, 3], which are taken in turn.
        arrivals_s: seconds from the start, in order.
        patience_s: what an image may take; after one that takes longer the rest is left out.
        check: called after each image.

    Returns:
        Nanoseconds from each image's arrival to its labels.
    """
    images, start = cycle(batches), clock()
    due = deque(start + round(1e9 * at) for at in arrivals_s)
    running, taken = deque[tuple[int, Ticket]](), list[int]()
    try:
        while due or running:
            wait = due[0] - clock() if due else 0
            if due and len(running) < runner.slots and (wait <= 0 or not running):
                if wait > 0:
                    sleep(wait / 1e9)
                arrived = due.popleft()
                running.append((arrived, runner.submit(next(images))))
                continue
            arrived, ticket = running.popleft()
            runner.result(ticket)
            taken.append(clock() - arrived)
            if taken[-1] > 1e9 * patience_s:
                break
            check()
    finally:
        for _, ticket in running:
            with suppress(RunnerError):  # the slot is free again either way
                runner.result(ticket)
    return taken


def search(try_streams: Callable[[int], bool], most: int, guess: int) -> None:
    """Call `try_streams` until it is known how many of 1 to `most` hold: `guess`, its neighbour, then halves."""
    held, missed = 0, most + 1
    at = min(max(guess, 1), most)
    neighbour = True
    while missed - held > 1:
        if try_streams(at):
            held = at
            at = at + 1 if neighbour else (held + missed) // 2
        else:
            missed = at
            at = at - 1 if neighbour else (held + missed) // 2
        neighbour = False


def load_of(streams: int, test: StreamTest, answer: Callable[[list[float], float], list[int]]) -> StreamLoad:
    """Run so many streams: `answer` takes the arrivals and the patience, and gives the nanoseconds of each image."""
    seconds = seconds_for(streams, test.fps)
    arrivals = schedule(streams, test.fps, seconds)
    taken = answer(arrivals, patience_of(test.deadline_s))
    return StreamLoad(streams, seconds, tuple(taken), given_up=len(taken) < len(arrivals))
