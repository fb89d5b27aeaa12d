"""What the benchmark must show of runners whose faults are known."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from fcn_deploy.benchmark.record.stability import stability
from fcn_deploy.benchmark.timing.latency import Budget, measure
from fcn_deploy.benchmark.timing.timed_runner import InProcess
from fcn_deploy.runners.tickets import Tickets
from tests.support.fake_runners import MS, FakeRunner, Sleeper
from tests.support.scripted_runners import Scripted

BATCH = np.zeros((2, 33, 47, 3), np.uint8)
BUDGET = Budget(iterations=20, seconds=60, warmup=1, settle_ms=0, warmup_seconds=0)


class Device(FakeRunner):
    """Submitting returns at once; a worker of its own takes 5 ms a batch, one batch at a time."""

    slots = 3

    def __init__(self) -> None:
        super().__init__("asynchronous")
        self._worker = ThreadPoolExecutor(1)
        self._tickets = Tickets("asynchronous", [{} for _ in range(self.slots)])

    def _start(self, slot: Any, image: Any, on_gpu: bool) -> None:
        slot["begun"] = self._worker.submit(self._work, image)

    def _finish(self, slot: Any) -> dict[str, Any]:
        return slot["begun"].result()

    def _work(self, image: Any) -> dict[str, Any]:
        time.sleep(0.005)
        return {"labels": image[..., 0]}

    def _execute(self) -> None:
        self._begun = self._worker.submit(self._work, self._image)  # returns at once

    def _download(self) -> dict[str, Any]:
        return self._begun.result()

    def _close(self) -> None:
        self._worker.shutdown()


@pytest.mark.parametrize("step", ["upload", "execute", "download"])
def test_a_runner_that_sleeps_5_ms_shows_them_where_it_sleeps(step):
    for _ in range(20):  # a sleep is never shorter than asked for; on a busy machine it is longer until a quiet moment
        _, (sample,) = measure([Sleeper(step)], [BATCH], BUDGET)
        times = dict(zip(("upload", "execute", "download"), sample.latency().steps, strict=True))
        if min(times[step]) < 6 * MS:
            break
    assert 5 * MS <= min(times[step]) < 6 * MS
    assert all(np.median(times[other]) < 1 * MS for other in times if other != step)


def test_an_asynchronous_runner_that_returns_at_once_is_timed_by_its_completion():
    with Device() as runner:
        _, (sample,) = measure([runner], [BATCH], BUDGET)
        images, seconds = InProcess(runner).saturate([BATCH], 0.2)
    assert min(sample.total_ns) >= 5 * MS
    # Two images in 5 ms; the first result is where the clock starts, so the filling of the slots lends nothing.
    assert images / seconds <= 2 / 0.005
    assert images >= 4 * len(BATCH)


def test_a_noisy_runner_is_unstable_and_a_steady_one_next_to_it_is_not():
    noisy = Scripted("noisy", np.random.default_rng(3).lognormal(1.6, 0.5, 97))
    steady = Scripted("steady", np.random.default_rng(4).normal(5, 0.05, 97))
    _, samples = measure([noisy, steady], [BATCH], Budget(iterations=300, warmup=0, settle_ms=0))
    assert stability(samples[0].total_ns).reasons != ()
    assert stability(samples[1].total_ns).reasons == ()
