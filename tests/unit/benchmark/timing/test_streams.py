"""Images that arrive by a schedule, whether or not the runner keeps up."""

from __future__ import annotations

import numpy as np
import pytest

from fcn_deploy.benchmark.record.measurement import StreamTest
from fcn_deploy.benchmark.timing.isolated import InChild
from fcn_deploy.benchmark.timing.streams import answer_arrivals, load_of, schedule, search, seconds_for
from fcn_deploy.errors import RunnerError
from fcn_deploy.runners.tickets import Ticket
from tests.support.fake_runners import MS, FakeClock, FakeRunner
from tests.support.onnx_files import write_graph

IMAGE = np.zeros((1, 33, 47, 3), np.uint8)


def answered(runner, clock, arrivals_s, patience_s=100.0):
    """Milliseconds from each arrival to its labels, on a clock that passes while the runner works or sleeps."""

    def sleep(seconds):
        clock.now += round(1e9 * seconds)

    return [taken / MS for taken in answer_arrivals(runner, [IMAGE], arrivals_s, patience_s, clock, sleep)]


def test_each_stream_has_its_images_and_they_do_not_start_at_once():
    arrivals = schedule(4, 10.0, 5.0)
    assert arrivals == sorted(arrivals)
    assert len(arrivals) == pytest.approx(4 * 10 * 5, abs=2)
    assert 0 <= arrivals[0] < arrivals[-1] < 5
    assert arrivals[:4] == pytest.approx([0, 0.025, 0.05, 0.075], abs=0.001)


def test_one_stream_has_equal_distances():
    assert np.diff(schedule(1, 30.0, 10.0)) == pytest.approx(1 / 30)


def test_the_images_of_two_streams_pass_each_other_while_the_test_runs():
    arrivals = schedule(2, 20.0, 5.0)
    distances = np.diff(arrivals)
    assert distances.min() < 0.005 < 0.045 < distances.max()


def test_a_number_of_streams_runs_for_300_images_within_5_to_10_seconds():
    assert (seconds_for(1, 30), seconds_for(2, 30), seconds_for(8, 30), seconds_for(1, 0.1)) == (10, 5, 5, 10)


def test_time_counts_from_the_arrival_and_not_from_the_start_of_an_inference():
    clock = FakeClock()
    slow_once = FakeRunner(steps_ms=(0, 10, 0), clock=clock)
    assert answered(slow_once, clock, [0, 0.1, 0.2]) == [10, 10, 10]
    # 4 images at once: the last waits for the three before it
    assert answered(slow_once, clock, [0, 0, 0, 0]) == [10, 20, 30, 40]


def test_a_pause_of_the_runner_is_met_by_every_image_that_arrives_meanwhile():
    clock = FakeClock()

    class Pauses(FakeRunner):
        def _execute(self):
            clock.now += (100 if len(self.shapes) == 2 else 1) * MS

    # a loop that sends one after the other would report 100 ms once
    assert answered(Pauses(clock=clock), clock, [0, 0.01, 0.02, 0.03]) == [1, 100, 91, 82]


def test_an_image_beyond_all_patience_ends_the_test():
    clock = FakeClock()
    taken = answered(FakeRunner(steps_ms=(0, 100, 0), clock=clock), clock, [0.01 * at for at in range(100)], 0.5)
    assert len(taken) == 6
    assert taken[-1] == 550


class TwoSlots:
    """Works on two images at the same time, 30 ms each."""

    name, slots = "two", 2

    def __init__(self, clock):
        self.clock, self.ready, self.most = clock, {}, 0

    def submit(self, image):
        ticket = Ticket(len(self.ready))
        self.ready[ticket] = self.clock.now + 30 * MS
        self.most = max(self.most, len(self.ready))
        return ticket

    def result(self, ticket):
        self.clock.now = max(self.clock.now, self.ready.pop(ticket))


def test_a_runner_with_slots_has_as_many_under_way():
    clock = FakeClock()
    runner = TwoSlots(clock)
    assert answered(runner, clock, [0, 0, 0, 0]) == [30, 30, 60, 60]
    assert runner.most == 2


def test_a_failure_leaves_no_ticket_open():
    class Fails(TwoSlots):
        def result(self, ticket):
            super().result(ticket)
            raise RunnerError("out of memory")

    clock = FakeClock()
    runner = Fails(clock)
    with pytest.raises(RunnerError, match="out of memory"):
        answered(runner, clock, [0, 0, 0])
    assert not runner.ready


@pytest.mark.parametrize(
    ("holding", "most", "guess", "tried"),
    [
        (3, 8, 3, [3, 4]),
        (3, 8, 4, [4, 3]),
        (8, 8, 30, [8]),
        (0, 8, 0, [1]),
        (0, 8, 5, [5, 4, 2, 1]),
        (8, 8, 1, [1, 2, 5, 7, 8]),
        (5, 8, 1, [1, 2, 5, 7, 6]),
        (1, 1, 9, [1]),
    ],
)
def test_few_numbers_are_tried_until_the_largest_that_holds_is_known(holding, most, guess, tried):
    asked = []
    search(lambda streams: asked.append(streams) or streams <= holding, most, guess)
    assert asked == tried


def test_a_load_keeps_what_each_image_took_and_whether_it_was_given_up():
    test = StreamTest(4, 30.0, 0.05)
    whole = load_of(2, test, lambda arrivals, patience: [round(1e9 * patience)] * len(arrivals))
    assert (whole.streams, whole.seconds, whole.given_up) == (2, 5.0, False)
    assert set(whole.latency_ns) == {10**9}
    assert len(whole.latency_ns) == pytest.approx(300, abs=2)
    assert load_of(2, test, lambda arrivals, patience: [1, 2]).given_up


def test_images_arrive_in_a_process_of_its_own_too(tmp_path):
    with InChild("one", "onnxruntime", str(write_graph(tmp_path / "m.onnx")), threads=1) as one:
        taken = one.answer([IMAGE], [0.0, 0.05, 0.1], 60.0)
    assert len(taken) == 3
    assert min(taken) > 0
