"""The steps of one runner, timed one by one."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np

from fcn_deploy.benchmark.timing.timed_runner import InProcess
from tests.support.fake_runners import MS, FakeClock, FakeRunner, Sleeper

IMAGE = np.zeros((1, 33, 47, 3), np.uint8)


class AsynchronousRunner(FakeRunner):
    """Launching returns at once, as on a GPU, and the work takes 300 ms elsewhere; `waits`: execute waits for it."""

    def __init__(self, waits: bool) -> None:
        super().__init__("asynchronous")
        self._waits = waits

    def _execute(self) -> None:
        self._work = threading.Thread(target=time.sleep, args=(0.3,))
        self._work.start()
        if self._waits:
            self._work.join()

    def _download(self):
        self._work.join()
        return super()._download()


def test_each_step_gets_its_own_time():
    clock = FakeClock()
    with FakeRunner(steps_ms=(1, 20, 3), clock=clock) as runner:
        assert InProcess(runner, clock).time(IMAGE).host == (1 * MS, 20 * MS, 3 * MS)


def test_a_runner_that_sleeps_in_download_shows_it_in_download():
    clock = FakeClock()
    with FakeRunner(steps_ms=(0, 2, 50), clock=clock) as runner:
        assert InProcess(runner, clock).time(IMAGE).host == (0, 2 * MS, 50 * MS)


def test_work_on_another_thread_is_counted_where_the_runner_waits_for_it_and_never_lost():
    with AsynchronousRunner(waits=True) as honest:
        _, execute, _ = InProcess(honest).time(IMAGE).host
    with AsynchronousRunner(waits=False) as hasty:
        upload, launch, download = InProcess(hasty).time(IMAGE).host
    assert execute >= 300 * MS
    assert launch < 300 * MS
    assert upload + launch + download >= 300 * MS


BATCH = np.zeros((2, 33, 47, 3), np.uint8)


def test_the_harness_takes_less_than_a_hundredth_of_a_5_ms_call():
    class Own(FakeRunner):
        """Notes what its steps took by themselves."""

        own_ns = 0

        def _execute(self) -> None:
            start = time.perf_counter_ns()
            self._work()
            self.own_ns = time.perf_counter_ns() - start

        def _work(self) -> None:
            end = time.perf_counter_ns() + MS // 2
            while time.perf_counter_ns() < end:
                pass

        def _download(self) -> dict[str, Any]:
            return {}

    runner = Own()
    timed = InProcess(runner)
    overheads = [timed.time(BATCH).total_ns - runner.own_ns for _ in range(300)]
    assert np.median(overheads) < 0.01 * 5 * MS


def test_images_per_second_of_a_loop_are_those_of_one_inference_after_the_other():
    images, seconds = InProcess(Sleeper("execute")).saturate([BATCH], 0.1)
    assert images / seconds <= 2 / 0.005
    assert images >= 2


def test_what_fills_the_slots_is_not_counted_among_images_per_second():
    class SlowAtFirst(FakeRunner):
        def _execute(self) -> None:
            time.sleep(0.3 if len(self.shapes) == 1 else 0.001)

    images, seconds = InProcess(SlowAtFirst()).saturate([BATCH], 0.1)
    assert images == 2  # the time was up before the first result; one more is the least
    assert seconds < 0.3
