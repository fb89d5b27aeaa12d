"""Time several ways to the same result in one run, turn by turn."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

WARM_UPS = 3


def keep_to(cores: int) -> None:
    """Restrict this process to `cores` cores, so that every library starts that many threads by default."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    torch.set_num_threads(cores)


def time_ms(
    cases: Mapping[str, Callable[[], object]],
    rounds: int,
    *,
    warm_ups: int = WARM_UPS,
    pause_s: float = 0.0,
    settle_ms: float = 0.0,
) -> dict[str, list[float]]:
    """Return the milliseconds of each call: `rounds` rounds, each case once per round, so that other load affects all.

    Args:
        pause_s: before each call. Threads of the call before may spin for a while and would take a core from this one.
        settle_ms: how long each call runs untimed before, as in a stream of frames: caches are warm, and a GPU that
            waited for the program before is awake. Not for calls that take longer by themselves.
    """
    for _ in range(warm_ups):
        for call in cases.values():
            call()
    samples: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, call in cases.items():
            time.sleep(pause_s)
            if samples[name] and samples[name][-1] < settle_ms:
                end = time.perf_counter() + settle_ms / 1e3
                while time.perf_counter() < end:
                    call()
            start = time.perf_counter_ns()
            call()
            samples[name].append((time.perf_counter_ns() - start) / 1e6)
    return samples


def row(question: str, samples: Mapping[str, Sequence[float]], ours: str) -> dict[str, Any]:
    """Return the record of one question: raw samples, medians, and how many times faster `ours` is than each other."""
    medians = {name: statistics.median(values) for name, values in samples.items()}
    faster = {name: medians[name] / medians[ours] for name in medians if name != ours}
    return {"question": question, "ours": ours, "median_ms": medians, "times_faster": faster, "samples_ms": samples}
