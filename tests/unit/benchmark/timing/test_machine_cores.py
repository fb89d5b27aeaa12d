from __future__ import annotations

import multiprocessing
import time

from fcn_deploy.benchmark.timing.machine import CpuClock, contended, other_cores


def test_what_is_neither_idle_nor_ours_is_others():
    before, after = CpuClock(10.0, 100.0, 5.0), CpuClock(14.0, 110.0, 9.0)
    # 4 s: 10 busy core-seconds, 4 of them ours
    assert other_cores(before, after) == 1.5


def test_a_span_too_short_for_the_systems_clock_says_nothing():
    assert other_cores(CpuClock(0, 0, 0), CpuClock(0.5, 2, 0)) is None
    assert not contended(None, 2, 2)


def test_others_matter_only_where_cores_run_short():
    assert not contended(6.0, 2, 8)
    assert contended(6.5, 2, 8)
    assert not contended(0.05, 2, 2)


def _spin(seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def test_a_busy_process_next_to_this_one_is_seen():
    worker = multiprocessing.get_context("spawn").Process(target=_spin, args=(30,))
    worker.start()
    try:
        time.sleep(0.5)
        before = CpuClock.read()
        time.sleep(1.1)
        others = other_cores(before, CpuClock.read())
    finally:
        worker.terminate()
        worker.join()
    # one core, or the share of one that a crowded machine leaves to it; an idle machine would show next to nothing
    assert others is not None
    assert others > 0.3
    assert other_cores(before, before) is None
