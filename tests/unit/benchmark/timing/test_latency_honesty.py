"""What the benchmark must show of runners whose faults are known."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from fcn_deploy.benchmark.record.stability import stability
from fcn_deploy.benchmark.timing.latency import Budget, measure
from fcn_deploy.benchmark.timing.saturation import measure_saturation
from fcn_deploy.benchmark.timing.timed_runner import InProcess, saturate
from fcn_deploy.errors import RunnerError
from tests.support.fake_runners import MS, FakeRunner
from tests.support.scripted_runners import Scripted

BATCH = np.zeros((2, 33, 47, 3), np.uint8)
BUDGET = Budget(iterations=20, seconds=60, warmup=1, settle_ms=0, warmup_seconds=0)


class Sleeper(FakeRunner):
    """Sleeps in one of the three steps."""

    def __init__(self, step: str, seconds: float = 0.005) -> None:
        super().__init__(f"sleeps in {step}")
        self._step, self._seconds = step, seconds

    def _sleep(self, step: str) -> None:
        if step == self._step:
            time.sleep(self._seconds)

    def _upload(self, image: Any) -> None:
        self._sleep("upload")
        super()._upload(image)

    def _execute(self) -> None:
        self._sleep("execute")

    def _download(self) -> dict[str, Any]:
        self._sleep("download")
        return super()._download()


class Device(FakeRunner):
    """Submitting returns at once; a worker of its own takes 5 ms a batch, one batch at a time."""

    SLOTS = 3

    def __init__(self) -> None:
        super().__init__("asynchronous")
        self._worker = ThreadPoolExecutor(1)

    def stream(self, images: Iterable[Any]) -> Iterator[dict[str, Any]]:
        waiting: deque[Future[dict[str, Any]]] = deque()
        for image in images:
            if len(waiting) == self.SLOTS:
                yield waiting.popleft().result()
            waiting.append(self._worker.submit(self._work, image))
        while waiting:
            yield waiting.popleft().result()

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
    _, (sample,) = measure([Sleeper(step)], [BATCH], BUDGET)
    times = {name: getattr(sample, f"{name}_ns") for name in ("upload", "execute", "download")}
    # A sleep is never shorter than asked for; on a busy machine it is longer, so its shortest is held to 1 ms.
    assert 5 * MS <= min(times[step]) < 6 * MS
    assert all(np.median(times[other]) < 1 * MS for other in times if other != step)


def test_an_asynchronous_runner_that_returns_at_once_is_timed_by_its_completion():
    with Device() as runner:
        _, (sample,) = measure([runner], [BATCH], BUDGET)
        images, seconds = saturate(runner, [BATCH], 0.2)
    assert min(sample.total_ns) >= 5 * MS
    # Two images in 5 ms; the first result is where the clock starts, so the filling of the slots lends nothing.
    assert images / seconds <= 2 / 0.005
    assert images >= 4 * len(BATCH)


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


def test_a_noisy_runner_is_unstable_and_a_steady_one_beside_it_is_not():
    noisy = Scripted("noisy", np.random.default_rng(3).lognormal(1.6, 0.5, 97))
    steady = Scripted("steady", np.random.default_rng(4).normal(5, 0.05, 97))
    _, samples = measure([noisy, steady], [BATCH], Budget(iterations=300, warmup=0, settle_ms=0))
    assert stability(samples[0].total_ns).reasons != ()
    assert stability(samples[1].total_ns).reasons == ()


def test_images_a_second_of_a_loop_are_those_of_one_inference_after_the_other():
    images, seconds = saturate(Sleeper("execute"), [BATCH], 0.1)
    assert images / seconds <= 2 / 0.005
    assert images >= 2


def test_what_fills_the_slots_is_not_counted_among_images_a_second():
    class SlowAtFirst(FakeRunner):
        def _execute(self) -> None:
            time.sleep(0.3 if len(self.shapes) == 1 else 0.001)

    images, seconds = saturate(SlowAtFirst(), [BATCH], 0.1)
    assert images == 2  # the time was up before the first result; one more is the least
    assert seconds < 0.3


def test_saturation_is_measured_in_turn_and_summed_over_its_stretches():
    fast, slow = Scripted("fast", [5]), Scripted("slow", [2000])
    found = measure_saturation([fast, slow], [BATCH], 0.3)
    assert found[0].windows == ((40, 0.1),) * 3  # 20 batches of two in each tenth of a second
    assert (found[0].images, found[0].seconds) == (120, pytest.approx(0.3))
    assert found[1].windows == ((2, 2.0),)  # one stretch was more than enough
    assert not found[0].streamed


def test_images_a_second_of_several_sizes_are_those_of_the_commonest():
    runner = Scripted("a", [100])
    measure_saturation([runner], [BATCH[:, ::2], BATCH, BATCH], 0.3)
    assert set(runner.shapes) == {BATCH.shape}


def test_a_runner_that_fails_under_load_gives_its_reason_and_the_others_go_on():
    broken, fine = Scripted("broken", [100], fail_at=2), Scripted("fine", [100])
    reason, saturated = measure_saturation([broken, fine], [BATCH], 0.3)
    assert reason == "broken ran out of memory"
    assert saturated.images == 6
    with pytest.raises(RunnerError, match="ran out of memory"):
        saturate(FakeRunner("x", fail_at=2), [BATCH], 0.1)
