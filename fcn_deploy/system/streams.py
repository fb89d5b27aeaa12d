"""Make standard streams that a program can write to whatever its caller made of them: closed, full or without a reader.

A reader that has seen enough (`| head -1`) is no error: what comes after is dropped, and the work goes on to its own
exit code. As a signal or an exception it would end a command in the middle of what it writes.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Buffer


def prepare_streams() -> None:
    """Open closed standard streams as /dev/null; drop what has no reader, and what standard error does not take.

    Output and error print '?' for characters that they cannot show.
    """
    open_closed()
    for name, ignored in (("stdout", BrokenPipeError), ("stderr", OSError)):  # there is no place to report the latter
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper) and stream is getattr(sys, f"__{name}__"):
            setattr(sys, name, _lasting(stream, ignored))
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def discard_output() -> None:
    """Send what standard output did not take to /dev/null; else it raises again when Python flushes it at the end."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Raw(io.FileIO):
    """A descriptor for writing; what an ignored error keeps it from writing is dropped."""

    def __init__(self, descriptor: int, ignored: type[OSError]) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self._ignored = ignored

    def write(self, data: Buffer, /) -> int:
        try:
            return super().write(data)
        except self._ignored:
            return memoryview(data).nbytes
        except OSError as error:
            error.filename = "standard output"
            raise


def _lasting(stream: io.TextIOWrapper, ignored: type[OSError]) -> io.TextIOWrapper:
    stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(_Raw(stream.fileno(), ignored)),
        encoding=stream.encoding,
        errors="replace",
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def open_closed() -> None:
    """Open /dev/null where a standard stream is closed; else the next file that is opened would get its output."""
    for descriptor, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(descriptor, mode, encoding="utf-8", closefd=False))
