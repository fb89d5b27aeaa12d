from __future__ import annotations

import signal
import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcn_deploy.benchmark.batches import BATCH_BYTES, batches_of, check_bytes
from fcn_deploy.benchmark.timing.latency import MIN_ROUNDS, Budget, measure, order_of
from fcn_deploy.benchmark.timing.timed_runner import time_once
from fcn_deploy.errors import DataError
from tests.support.fake_runners import MS, FakeClock, FakeRunner

IMAGE = np.zeros((1, 33, 47, 3), np.uint8)
FEEDS = {"image": IMAGE}


class AsynchronousRunner(FakeRunner):
    """Launching returns at once, as on a GPU, and the work takes 30 ms elsewhere; `waits`: execute waits for it."""

    def __init__(self, waits: bool) -> None:
        super().__init__("asynchronous")
        self._waits = waits

    def _execute(self) -> None:
        self._work = threading.Thread(target=time.sleep, args=(0.03,))
        self._work.start()
        if self._waits:
            self._work.join()

    def _download(self):
        self._work.join()
        return super()._download()


def test_each_step_gets_its_own_time():
    clock = FakeClock()
    with FakeRunner(steps_ms=(1, 20, 3), clock=clock) as runner:
        assert time_once(runner, FEEDS, clock) == (1 * MS, 20 * MS, 3 * MS)


def test_a_runner_that_sleeps_in_download_shows_it_in_download():
    clock = FakeClock()
    with FakeRunner(steps_ms=(0, 2, 50), clock=clock) as runner:
        assert time_once(runner, FEEDS, clock) == (0, 2 * MS, 50 * MS)


def test_work_on_another_thread_is_counted_where_the_runner_waits_for_it_and_never_lost():
    with AsynchronousRunner(waits=True) as honest:
        _, execute, _ = time_once(honest, FEEDS)
    with AsynchronousRunner(waits=False) as hasty:
        upload, launch, download = time_once(hasty, FEEDS)
    assert execute >= 30 * MS
    assert launch < 30 * MS
    assert upload + launch + download >= 30 * MS


def test_runners_take_turns_and_a_different_one_begins_each_round():
    log: list[str] = []
    runners = [FakeRunner(name, log=log) for name in "abc"]
    rounds, samples = measure(runners, [IMAGE], Budget(iterations=4, warmup=0, settle_ms=0))
    assert rounds == [0, 0, 0, 0]
    assert "".join(log) == "abc" + "bca" + "cab" + "abc"
    assert [len(sample.execute_ns) for sample in samples] == [4, 4, 4]


def test_with_two_batches_and_two_runners_each_batch_meets_both_orders():
    orders = {(index % 2, tuple(order_of(index, 2, 2))) for index in range(4)}
    assert orders == {(0, (0, 1)), (0, (1, 0)), (1, (0, 1)), (1, (1, 0))}


@given(batches=st.integers(1, 7), runners=st.integers(1, 5))
def test_every_runner_begins_equally_often_on_every_batch(batches, runners):
    orders = [order_of(index, batches, runners) for index in range(batches * runners)]
    for batch in range(batches):
        assert sorted(order[0] for order in orders[batch::batches]) == list(range(runners))
    assert all(sorted(order) == list(range(runners)) for order in orders)


def test_warmups_are_kept_apart_and_cover_every_shape():
    tall = np.zeros((1, 47, 33, 3), np.uint8)
    runner = FakeRunner()
    rounds, (sample,) = measure(
        [runner], [IMAGE, tall, IMAGE], Budget(iterations=4, warmup=2, settle_ms=0, warmup_seconds=0)
    )
    assert len(sample.warmup_ns) == 4
    assert runner.shapes[:4] == [IMAGE.shape, IMAGE.shape, tall.shape, tall.shape]
    assert rounds == [0, 1, 2, 0]
    assert len(sample.upload_ns) == len(sample.execute_ns) == len(sample.download_ns) == 4


def test_the_time_budget_ends_the_rounds_but_not_before_three():
    rounds, _ = measure([FakeRunner()], [IMAGE], Budget(iterations=100, seconds=0, warmup=0, settle_ms=0))
    assert len(rounds) == MIN_ROUNDS == 3


def test_a_runner_that_fails_half_way_is_left_out_and_the_others_go_on():
    bad, good = FakeRunner("bad", fail_at=3), FakeRunner("good")
    rounds, samples = measure([bad, good], [IMAGE], Budget(iterations=5, warmup=1, settle_ms=0, warmup_seconds=0))
    assert samples[0].failure == "bad ran out of memory"
    assert samples[0].execute_ns == []
    assert len(bad.shapes) == 3
    assert len(rounds) == len(samples[1].execute_ns) == 5
    assert samples[1].failure is None


def test_timing_stops_when_all_have_failed():
    rounds, samples = measure([FakeRunner("bad", fail_at=1)], [IMAGE], Budget(iterations=50, warmup=0, settle_ms=0))
    assert len(rounds) == 1
    assert samples[0].failure == "bad ran out of memory"


def test_batches_hold_one_shape_and_are_filled_up_with_its_first_images():
    wide = [np.full((33, 47, 3), value, np.uint8) for value in (1, 2, 3)]
    tall = [np.full((47, 33, 3), 9, np.uint8)]
    batches = batches_of([wide[0], *tall, wide[1], wide[2]], 2)
    assert [batch.shape for batch in batches] == [(2, 33, 47, 3), (2, 33, 47, 3), (2, 47, 33, 3)]
    assert [batch[:, 0, 0, 0].tolist() for batch in batches] == [[1, 2], [3, 1], [9, 9]]


def test_garbage_collection_is_off_while_timing_and_on_again_after():
    import gc

    seen = []

    class Watcher(FakeRunner):
        def _execute(self) -> None:
            seen.append(gc.isenabled())

    assert gc.isenabled()
    measure([Watcher()], [IMAGE], Budget(iterations=2, warmup=0, settle_ms=0))
    assert gc.isenabled()
    assert seen == [False, False]


def test_ctrl_c_is_not_swallowed():
    class Interrupted(FakeRunner):
        def _execute(self) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure([Interrupted()], [IMAGE], Budget(iterations=2, settle_ms=0))


def test_ctrl_c_is_not_lost_where_python_ignores_exceptions():
    class Doomed:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGINT)

    class Careless(FakeRunner):
        def _execute(self) -> None:
            Doomed()

    runner = Careless()
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        measure([runner], [IMAGE], Budget(iterations=20, warmup=0, settle_ms=0))
    assert len(runner.shapes) == 1
    assert signal.getsignal(signal.SIGINT) is before


def test_a_turn_begins_untimed_until_the_last_runners_threads_have_come_to_rest():
    slow = FakeRunner("slow", sleep_s=0.03)
    quick = FakeRunner("quick", sleep_s=0.001)
    _, samples = measure([slow, quick], [IMAGE], Budget(iterations=3, warmup=0, settle_ms=1))
    assert [len(sample.execute_ns) for sample in samples] == [3, 3]
    # before its first sample nobody knows how long the slow one takes
    assert len(slow.shapes) == 3 + 1
    assert len(quick.shapes) >= 3 + 3


def test_a_runner_alone_has_nobody_to_wait_for():
    runner = FakeRunner()
    measure([runner], [IMAGE], Budget(iterations=3, warmup=0, settle_ms=50))
    assert len(runner.shapes) == 3


def test_batches_of_many_sizes_may_not_take_more_memory_together_than_is_stated():
    image = np.zeros((1, 1 << 20, 3), np.uint8)
    most = BATCH_BYTES // image.nbytes
    with pytest.raises(DataError, match=rf"batches of {most} images take 4092 MiB, more than the 2048 MiB"):
        batches_of([image, image.reshape(1 << 20, 1, 3)], most)
    huge = np.broadcast_to(np.zeros(3, np.uint8), (40_000, 40_000, 3))
    check_bytes([huge], 1)  # a single image is what the user has
