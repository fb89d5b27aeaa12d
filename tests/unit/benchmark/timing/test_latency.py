from __future__ import annotations

import signal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcn_deploy.benchmark.timing.latency import MIN_ROUNDS, Budget, measure, order_of
from tests.support.fake_runners import MS, FakeRunner
from tests.support.scripted_runners import Scripted

IMAGE = np.zeros((1, 33, 47, 3), np.uint8)


def test_runners_take_turns_and_a_different_one_starts_each_round():
    log: list[str] = []
    runners = [FakeRunner(name, log=log) for name in "abc"]
    rounds, samples = measure(runners, [IMAGE], Budget(iterations=4, warmup=0, settle_ms=0))
    assert rounds == [0, 0, 0, 0]
    assert "".join(log) == "abc" + "bca" + "cab" + "abc"
    assert [len(sample.timings) for sample in samples] == [4, 4, 4]


def test_with_two_batches_and_two_runners_each_batch_meets_both_orders():
    orders = {(index % 2, tuple(order_of(index, 2, 2))) for index in range(4)}
    assert orders == {(0, (0, 1)), (0, (1, 0)), (1, (0, 1)), (1, (1, 0))}


@given(batches=st.integers(1, 7), runners=st.integers(1, 5))
def test_every_runner_starts_equally_often_on_every_batch(batches, runners):
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
    assert len(sample.timings) == 4


def test_the_time_budget_ends_the_rounds_but_not_before_three():
    rounds, _ = measure([FakeRunner()], [IMAGE], Budget(iterations=100, seconds=0, warmup=0, settle_ms=0))
    assert len(rounds) == MIN_ROUNDS == 3


def test_a_runner_that_fails_half_way_is_left_out_and_the_others_go_on():
    bad, good = FakeRunner("bad", fail_at=3), FakeRunner("good")
    rounds, samples = measure([bad, good], [IMAGE], Budget(iterations=5, warmup=1, settle_ms=0, warmup_seconds=0))
    assert samples[0].failure == "bad ran out of memory"
    assert samples[0].timings == []
    assert len(bad.shapes) == 3
    assert len(rounds) == len(samples[1].timings) == 5
    assert samples[1].failure is None


def test_timing_stops_when_all_have_failed():
    rounds, samples = measure([FakeRunner("bad", fail_at=1)], [IMAGE], Budget(iterations=50, warmup=0, settle_ms=0))
    assert len(rounds) == 1
    assert samples[0].failure == "bad ran out of memory"


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


def test_a_turn_starts_untimed_until_the_last_runners_threads_have_come_to_rest():
    slow = FakeRunner("slow", sleep_s=0.03)
    quick = FakeRunner("quick", sleep_s=0.001)
    _, samples = measure([slow, quick], [IMAGE], Budget(iterations=3, warmup=0, settle_ms=1))
    assert [len(sample.timings) for sample in samples] == [3, 3]
    # before its first sample the time of the slow one is unknown
    assert len(slow.shapes) == 3 + 1
    assert len(quick.shapes) >= 3 + 3


def test_a_runner_alone_does_not_wait_for_others():
    runner = FakeRunner()
    measure([runner], [IMAGE], Budget(iterations=3, warmup=0, settle_ms=50))
    assert len(runner.shapes) == 3


# allocates, tunes, and is steady from the fifth run on
RISING_CLOCKS = [80, 20, 9, 7, 5, 5, 5, 5, 5, 5, 5]


def test_warm_ups_are_kept_in_order_apart_from_the_rounds():
    _, (sample,) = measure([Scripted("a", RISING_CLOCKS)], [IMAGE], Budget(iterations=3, settle_ms=0))
    assert sample.warmup_ns == [ms * MS for ms in RISING_CLOCKS[:8]]
    assert sample.latency().execute_ns == (5 * MS,) * 3
