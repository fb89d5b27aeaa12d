"""What is at the other end of a standard stream (a file, a reader that ends, a terminal), and full file systems."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import shutil
import struct
import subprocess
import tempfile
import termios
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path

FILE, HEAD, GONE, TERMINAL = "file", "head -n 1", "head -c 0", "terminal"


@contextlib.contextmanager
def stream(kind: str, file: Path, *, limited: bool) -> Iterator[str]:
    """Yield the path of a stream; what is read of it is in `file` at the end."""
    if kind == TERMINAL:
        with _terminal(file) as path:
            yield path
    elif kind in (HEAD, GONE) or (kind == FILE and limited):
        path = file.with_suffix(".pipe")
        os.mkfifo(path)
        words = kind if kind != FILE else "cat"
        with subprocess.Popen(["sh", "-c", f"exec {words} <{path} >{file}"]) as reader:
            yield str(path)
            with contextlib.suppress(OSError):  # the reader waits still if nobody has written
                os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
            reader.wait()
    else:
        yield str(file) if kind == FILE else kind


@contextlib.contextmanager
def _terminal(file: Path) -> Iterator[str]:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 20, 0, 0))

    def drain() -> None:
        with file.open("wb") as stream:
            while True:
                try:
                    stream.write(os.read(ours, 65536))
                except OSError:  # the other end is closed
                    return

    reader = threading.Thread(target=drain)
    reader.start()
    try:
        yield os.ttyname(theirs)
    finally:
        os.close(theirs)
        reader.join()
        os.close(ours)


@contextlib.contextmanager
def tiny(folder: Path, size: int) -> Iterator[None]:
    """Put a file system of `size` bytes over a folder; OSError for who may not."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", folder], check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


@cache
def can_mount() -> bool:
    """Tell whether a file system can be mounted, as root may where nothing forbids it."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        return False
    with tempfile.TemporaryDirectory() as folder:
        try:
            with tiny(Path(folder), 4096):
                return True
        except subprocess.CalledProcessError:
            return False
