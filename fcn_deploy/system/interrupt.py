"""Stop long work at a safe point when the user presses Ctrl-C, or the system asks for its end.

Python raises KeyboardInterrupt wherever it happens to be. In a weak reference's callback or a `__del__` (PyTorch runs
some in every inference) the exception is printed and lost, and the loop would go on.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

# Ctrl-C, what `kill` and `timeout` send, and the end of a terminal or a connection.
ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
# Signals within this time are one request: `timeout` sends one to a process and then to its group, and a key is pressed
# twice. Each on its own would also interrupt the removal of temporary files, or the saving of a training run.
SAME_REQUEST_S = 0.5
PATIENCE_S = 5.0  # after a second request, or at the end of the work: a library may compute for minutes, or for ever
SOON_S = 0.02
_requested = [-SAME_REQUEST_S]  # when the first signal of the last request came


def heeded() -> tuple[signal.Signals, ...]:
    """Return those of `ENDING` that this process does not ignore, as it does after `nohup` and in the background."""
    return tuple(number for number in ENDING if signal.getsignal(number) is not signal.SIG_IGN)


def repeats_request() -> bool:
    """Tell whether a signal that has come belongs to a request that an earlier one made."""
    now = time.monotonic()
    if now - _requested[0] < SAME_REQUEST_S:
        return True
    _requested[0] = now
    return False


def new_request() -> None:
    """Let the next signal be a request of its own, however soon it comes."""
    _requested[0] = -SAME_REQUEST_S


@contextmanager
def interrupts() -> Iterator[Callable[[], None]]:
    """Yield a check that raises KeyboardInterrupt if Ctrl-C was pressed inside the block; the block's end checks too.

    A second Ctrl-C, from `SAME_REQUEST_S` later on, raises at once. Outside the main thread nothing changes.
    """
    with StopRequest(signal.SIGINT) as pressed:

        def check() -> None:
            if pressed:
                raise KeyboardInterrupt

        yield check
    check()


class StopRequest:
    """Note a signal of `ENDING` inside the block in `signal`, so that a step can finish and be saved; else it is None.

    A second one, from `SAME_REQUEST_S` later on, has its usual effect. Outside the main thread, where Python takes no
    handlers, `signal` stays None.
    """

    def __init__(self, *numbers: signal.Signals) -> None:
        """`numbers` are those of them to note; none of what the process ignores is noted."""
        self._numbers = tuple(number for number in heeded() if number in (numbers or ENDING))
        self.signal: int | None = None
        self._previous: dict[int, Any] = {}

    def __bool__(self) -> bool:
        return self.signal is not None

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            new_request()
            for number in self._numbers:
                self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._restore()

    def _note(self, number: int, frame: FrameType | None) -> None:
        if repeats_request():
            return
        if self.signal is None:
            self.signal = number
            return
        self._restore()
        new_request()
        signal.raise_signal(number)

    def _restore(self) -> None:
        while self._previous:
            number, handler = self._previous.popitem()
            signal.signal(number, handler)


def ignore_signals() -> None:
    """Ignore `ENDING` and a timer of `within_import` from here on: the result is there, or why there is none."""
    for number in (*ENDING, *([signal.SIGALRM] if hasattr(signal, "SIGALRM") else [])):
        signal.signal(number, signal.SIG_IGN)


def end_on_insistence(end: Callable[[int], None]) -> None:
    """Call `end`, from another thread, `PATIENCE_S` after the second request to stop, whatever this process is in then.

    Python runs its handlers between two of its own steps, and not while the main thread waits for a library or for
    another thread. What is being written stays under its hidden name, which the next run removes.
    """
    if sys.platform == "win32":
        return
    receiver, sender = os.pipe()
    os.set_blocking(sender, False)
    signal.set_wakeup_fd(sender, warn_on_full_buffer=False)
    os.register_at_fork(after_in_child=lambda: signal.set_wakeup_fd(-1))
    threading.Thread(target=_await_second, args=(receiver, end), daemon=True).start()


def _await_second(receiver: int, end: Callable[[int], None]) -> None:
    """Read the numbers of signals as they come."""
    first = None
    while True:
        for number in os.read(receiver, 64):
            if number in ENDING:
                first = first or time.monotonic()
                if time.monotonic() - first >= SAME_REQUEST_S:
                    end_later(number, end)
                    return


def end_later(number: int, end: Callable[[int], None]) -> None:
    """Let the process go on ending in its own way for `PATIENCE_S`, at most; then call `end` with the signal."""
    timer = threading.Timer(PATIENCE_S, end, (number,))
    timer.daemon = True
    timer.start()


def send_again_where_lost() -> None:
    """Send a signal again where Python has lost its exception: in a destructor, it only prints it. Print nothing.

    `main` raises KeyboardInterrupt for SIGINT and SystemExit for the others, wherever Python is.
    """
    if sys.platform == "win32":
        return

    def hook(found: sys.UnraisableHookArgs) -> None:
        number = _number_of(found.exc_value)
        if number is None:
            sys.__unraisablehook__(found)
            return
        new_request()
        timer = threading.Timer(SOON_S, os.kill, (os.getpid(), number))
        timer.daemon = True
        timer.start()

    sys.unraisablehook = hook


def _number_of(error: BaseException | None) -> int | None:
    """Return the signal that an exception was raised for; None of any other."""
    if isinstance(error, KeyboardInterrupt):
        return signal.SIGINT
    code = error.code if isinstance(error, SystemExit) else None
    return next((number for number in ENDING if code == 128 + number), None)


def within_import(frame: FrameType | None) -> bool:
    """Tell whether a module is being imported, where an exception can end the process: C++ code is half set up.

    Windows, which has no timer to look again, interrupts imports too.
    """
    while frame is not None and sys.platform != "win32":
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False
