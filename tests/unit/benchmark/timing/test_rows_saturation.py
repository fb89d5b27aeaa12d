"""Images per second with a queue that is never empty."""

from __future__ import annotations

import numpy as np
import pytest

from fcn_deploy.benchmark.timing.rows import measure_saturation
from fcn_deploy.benchmark.timing.timed_runner import InProcess
from fcn_deploy.errors import RunnerError
from tests.support.fake_runners import FakeRunner
from tests.support.scripted_runners import Scripted

BATCH = np.zeros((2, 33, 47, 3), np.uint8)


def test_saturation_is_measured_in_turn_and_summed_over_its_stretches():
    fast, slow = Scripted("fast", [5]), Scripted("slow", [2000])
    found = measure_saturation([fast, slow], [BATCH], 0.3)
    assert found[0].windows == ((40, 0.1),) * 3  # 20 batches of two in each tenth of a second
    assert (found[0].images, found[0].seconds) == (120, pytest.approx(0.3))
    assert found[1].windows == ((2, 2.0),)  # one stretch was more than enough
    assert not found[0].streamed


def test_the_joules_of_each_runner_are_those_of_its_stretches():
    class Meter:
        def around(self, call):
            images, seconds = call()
            return (images, seconds), {"gpu 0": 100 * seconds}

    found = measure_saturation([Scripted("fast", [5]), Scripted("slow", [2000])], [BATCH], 0.3, meter=Meter())
    assert [one.joules for one in found] == [{"gpu 0": pytest.approx(30)}, {"gpu 0": pytest.approx(200)}]
    assert measure_saturation([Scripted("fast", [5])], [BATCH], 0.3)[0].joules == {}


def test_images_per_second_of_several_sizes_are_those_of_the_commonest():
    runner = Scripted("a", [100])
    measure_saturation([runner], [BATCH[:, ::2], BATCH, BATCH], 0.3)
    assert set(runner.shapes) == {BATCH.shape}


def test_a_runner_that_fails_under_load_gives_its_reason_and_the_others_go_on():
    broken, fine = Scripted("broken", [100], fail_at=2), Scripted("fine", [100])
    reason, saturated = measure_saturation([broken, fine], [BATCH], 0.3)
    assert reason == "broken ran out of memory"
    assert saturated.images == 6
    with pytest.raises(RunnerError, match="ran out of memory"):
        InProcess(FakeRunner("x", fail_at=2)).saturate([BATCH], 0.1)
