"""Signals that ask for the end: one request or two, noted, ignored, or handed to whoever handles them by then."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from fcn_deploy.system import interrupt
from fcn_deploy.system.interrupt import ENDING, StopRequest, heeded, interrupts


@pytest.fixture(autouse=True)
def heeded_signals() -> Iterator[None]:
    """What started the tests may ignore some."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in ENDING}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", ENDING)
def test_signals_in_quick_succession_are_one_request(number):
    with StopRequest() as stop:
        for _ in range(3):  # of `timeout`: to the process, then to its group
            signal.raise_signal(number)
        assert stop.signal == number


def test_a_later_signal_has_its_usual_effect(monkeypatch):
    def second(stop: StopRequest) -> None:
        monkeypatch.setattr(interrupt, "SAME_REQUEST_S", 0.0)
        signal.raise_signal(signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with StopRequest() as stop:
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            second(stop)
    assert signal.getsignal(signal.SIGINT) is before


def test_what_the_process_ignores_is_not_noted():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    assert signal.SIGINT not in heeded()
    with interrupts() as check:
        signal.raise_signal(signal.SIGINT)
        check()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
