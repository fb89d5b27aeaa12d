"""The process's standard streams as C and C++ code writes to them, past Python's own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any


@contextmanager
def led_to(sink: IO[Any], descriptor: int) -> Iterator[None]:
    """What is written to `descriptor` (1 is standard output, 2 standard error) inside the block goes into `sink`."""
    kept = os.dup(descriptor)
    try:
        os.dup2(sink.fileno(), descriptor)
        yield
    finally:
        os.dup2(kept, descriptor)
        os.close(kept)
