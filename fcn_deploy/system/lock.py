"""Build a file, or go on with a log, in one process at a time."""

from __future__ import annotations

import errno
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from fcn_deploy.system.files import output_error
from fcn_deploy.system.progress import SILENT, Progress

POLL_S = 0.1
NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL}  # of a file system without locks


@contextmanager
def building(target: Path, progress: Progress = SILENT, *, notice: str = "") -> Iterator[None]:
    """Hold `target`'s lock while the block runs; wait for another process that holds it, and report the wait.

    It is the system's lock on a hidden file next to the target, which is removed at the end; a process that dies holds
    nothing. Where the file system has no locks the block runs without: then the later of two builds remains, and a
    plan next to another's sidecar shows by its hash.

    Args:
        notice: the line that reports the wait; "" is that another process is building the file.

    Raises:
        OutputError: the folder cannot be written.
    """
    path = target.with_name(f".{target.name}.lock")
    lock = FileLock(path)
    try:
        words = notice or f"another process is building {target}; waiting for it"
        made = _acquire(lock, target.parent, words, progress)
    except OSError as error:
        raise output_error(target, error) from error
    except BaseException:  # a signal, perhaps between making the file and locking it
        with suppress(OSError, Timeout):
            lock.acquire(timeout=0)
            path.unlink()
        lock.release(force=True)
        raise
    try:
        yield
    finally:
        with suppress(OSError):  # Windows keeps what is open
            path.unlink()  # before the release: who waits for a removed file tries again with a new one
        lock.release()
        for folder in made:
            with suppress(OSError):  # the engine is in it
                folder.rmdir()


def _acquire(lock: FileLock, folder: Path, notice: str, progress: Progress) -> list[Path]:
    """Wait for the lock; return the folders that were made for it, the innermost first."""
    waits = False
    while True:
        made = [parent for parent in (folder, *folder.parents) if not parent.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
            return made
        except Timeout:
            if not waits:
                progress.say(notice)
            waits = True
            time.sleep(POLL_S)
        except FileNotFoundError:  # the other build failed, and removed the folder that it had made
            continue
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            return made
