"""Times by events on the device, on the fake GPU and on events that are counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from fcn_deploy.benchmark.timing.timed_runner import InProcess
from fcn_deploy.runners.registry import open_runner
from fcn_deploy.runners.step_events import DOWNLOAD, EXECUTE, UPLOAD, StepEvents
from tests.support.fakes.machine import Machine
from tests.support.tensorrt_nets import *  # noqa: F403  (fixtures)
from tests.support.tensorrt_nets import PROFILES, noise


@pytest.fixture
def machine(monkeypatch):
    made = Machine(monkeypatch)
    yield made
    made.check()


class CountedEvent:
    """Reached at whatever the clock says when it is recorded."""

    clock_ms = 0.0

    def record(self, stream: object) -> None:
        self.at, self.stream, self.waited = CountedEvent.clock_ms, stream, False

    def synchronize(self) -> None:
        self.waited = True


def test_each_step_is_the_time_between_its_two_events():
    def elapsed(begin: CountedEvent, end: CountedEvent) -> float:
        assert end.waited, "an event that was not reached has no time"
        return end.at - begin.at

    events = StepEvents(CountedEvent, elapsed)
    for step, ms in ((UPLOAD, 0.25), (EXECUTE, 4.0), (DOWNLOAD, 1.5)):
        with events.around(step, "a stream"):
            CountedEvent.clock_ms += ms
        CountedEvent.clock_ms += 100  # the host at something else
    assert events.read() == (250_000, 4_000_000, 1_500_000)


def test_an_engines_steps_are_timed_on_its_streams_when_somebody_asks(machine, net, reference):
    image = noise((2, 40, 60))
    with open_runner("tensorrt", str(machine.build(net, PROFILES))) as runner:
        runner.infer({"image": image})
        assert runner.device_ns is None
        timing = InProcess(runner).time(image)
        assert timing.device is not None
        # The fake GPU computes inside the compute stream's work, within what the host waits for.
        assert 0 < timing.device[EXECUTE] < timing.host[EXECUTE]
        assert all(0 <= device <= host for device, host in zip(timing.device, timing.host, strict=True))
        assert np.array_equal(runner.infer({"image": image})["labels"], reference(image)["labels"])
