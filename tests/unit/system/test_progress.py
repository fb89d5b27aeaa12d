"""Going through items with a line of progress."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from fcn_deploy.system.progress import Task, track


class Counted:
    """Keep the steps of every task and whether it was closed."""

    def __init__(self) -> None:
        self.title, self.steps, self.closed = "", 0.0, False

    @contextmanager
    def task(self, description: str, total: int | None) -> Iterator[Task]:
        self.title = f"{description} {total}"
        try:
            yield self
        finally:
            self.closed = True

    def advance(self, steps: float = 1, note: str = "") -> None:
        self.steps += steps

    def say(self, line: str) -> None:
        raise AssertionError(line)


def test_every_item_is_a_step():
    progress = Counted()
    assert list(track(progress, "reading", "abc", 3)) == ["a", "b", "c"]
    assert (progress.title, progress.steps, progress.closed) == ("reading 3", 3, True)


def test_ctrl_c_ends_the_loop_when_the_step_is_done():
    progress, done, before = Counted(), [], signal.getsignal(signal.SIGINT)

    def loop():
        for item in track(progress, "reading", "abc", 3):
            signal.raise_signal(signal.SIGINT)
            done.append(item)

    with pytest.raises(KeyboardInterrupt):
        loop()
    assert (done, progress.closed) == (["a"], True)
    assert signal.getsignal(signal.SIGINT) is before


def test_an_error_in_the_loop_closes_the_line_and_restores_ctrl_c_at_once():
    progress, before = Counted(), signal.getsignal(signal.SIGINT)
    try:
        for _ in track(progress, "reading", "abc", 3):
            raise ValueError("of the body")
    except ValueError:
        assert progress.closed
        assert signal.getsignal(signal.SIGINT) is before
