"""Stop long work at a safe point when the user presses Ctrl-C.

Python raises KeyboardInterrupt wherever it happens to be. In a weak reference's callback or a `__del__` (PyTorch runs
some in every inference) the exception is printed and lost, and the loop would go on.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any


@contextmanager
def interrupts() -> Iterator[Callable[[], None]]:
    """Yield a check that raises KeyboardInterrupt if Ctrl-C was pressed inside the block; the block's end checks too.

    A second Ctrl-C raises at once. Outside the main thread nothing changes.
    """
    with StopRequest(signal.SIGINT) as pressed:

        def check() -> None:
            if pressed:
                raise KeyboardInterrupt

        yield check
    check()


class StopRequest:
    """Note a SIGINT or SIGTERM inside the block in `signal`, so that a step can finish and be saved; else it is None.

    A second one has its usual effect. Outside the main thread, where Python takes no handlers, `signal` stays None.
    """

    def __init__(self, *numbers: signal.Signals) -> None:
        """`numbers` are other signals to note."""
        self._numbers = numbers or (signal.SIGINT, signal.SIGTERM)
        self.signal: int | None = None
        self._previous: dict[int, Any] = {}

    def __bool__(self) -> bool:
        return self.signal is not None

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            for number in self._numbers:
                self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._restore()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.signal = number
        self._restore()

    def _restore(self) -> None:
        while self._previous:
            number, handler = self._previous.popitem()
            signal.signal(number, handler)


def ignore_signals() -> None:
    """Ignore SIGINT, SIGTERM and a timer of `within_import` from here on: the result is there, or why there is none."""
    for name in ("SIGINT", "SIGTERM", "SIGALRM"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)


def within_import(frame: FrameType | None) -> bool:
    """Tell whether a module is being imported, where an exception can end the process: C++ code is half set up.

    Windows, which has no timer to look again, interrupts imports too.
    """
    while frame is not None and sys.platform != "win32":
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False
