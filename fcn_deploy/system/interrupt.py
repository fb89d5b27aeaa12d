"""Ctrl-C between two inferences and not within one.

Python raises KeyboardInterrupt wherever it happens to be, and where that is a weak reference's callback or a `__del__`
(PyTorch runs some in every inference) the exception is printed and lost: the loop would go on as if nobody had asked.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def interrupts() -> Iterator[Callable[[], None]]:
    """Yield a check that raises KeyboardInterrupt if Ctrl-C was pressed inside the block; so does the block's end.

    A second Ctrl-C raises at once, wherever that is. Outside the main thread nothing changes.
    """
    pressed = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal pressed
        pressed = True
        signal.signal(signal.SIGINT, previous)

    def check() -> None:
        if pressed:
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield check
        return
    previous = signal.signal(signal.SIGINT, note)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, previous)
    check()
