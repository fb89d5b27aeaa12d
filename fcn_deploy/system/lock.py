"""One build of a file at a time, between processes."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fcn_deploy.system.files import output_error
from fcn_deploy.system.progress import SILENT, Progress

POLL_S = 0.1


@contextmanager
def building(target: Path, progress: Progress = SILENT) -> Iterator[None]:
    """Hold `target`'s lock while the block runs; waits for another process that holds it, and says so.

    It is the system's lock on a hidden file beside the target, which goes at the end; a process that dies leaves none
    held. Where the file system has no locks the block runs without: then the later of two builds stands, and a plan
    beside another's sidecar shows by its hash.

    Raises:
        OutputError: the folder cannot be written.
    """
    path = target.with_name(f".{target.name}.lock")
    try:
        made = _make_folders(target.parent)
        descriptor = _acquire(path, f"another process is building {target}; waiting for it", progress)
    except OSError as error:
        raise output_error(target, error) from error
    try:
        yield
    finally:
        with suppress(OSError):  # Windows keeps what is open
            path.unlink()
        os.close(descriptor)
        for folder in made:
            with suppress(OSError):  # the engine stands in it
                folder.rmdir()


def _make_folders(folder: Path) -> list[Path]:
    """Make a folder and those above it; which ones were made, the innermost first."""
    missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return missing


def _acquire(path: Path, notice: str, progress: Progress) -> int:
    """An open descriptor of the locked file. Who waited for a file that is gone by now begins again."""
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            if not _lock(descriptor):
                progress.say(notice)
                while not _lock(descriptor):
                    time.sleep(POLL_S)
            if path.exists() and os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    """Whether the lock was granted, at once; True where the file system has none to give.

    The systems' own waiting is not used: that of Windows gives up after ten seconds.
    """
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return True
    return True
