"""Give folders for temporary files that do not stay behind, whatever ends the process that made them.

A folder's lock is next to it and held while the folder is in use. The system lets go of it when the process dies,
`kill -9` included, and the next process that needs a folder then removes what was left.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from fcn_deploy.system.lock import NO_LOCKS
from fcn_deploy.system.temporaries import remove_temporary

PREFIX, LOCK_SUFFIX = "fcn-deploy-", ".lock"
_swept: set[Path] = set()


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Yield a new folder, for this user alone, in the system's folder for temporary files (TMPDIR).

    It is removed at the end. The first call of a process removes those of processes that were killed, too.

    Raises:
        OSError: it cannot be made.
    """
    parent = sweep()
    path, lock = _name(parent), None
    try:
        while lock is None:
            lock = _hold(path)
            path = path if lock is not None else _name(parent)
        folder = _folder_of(path)
        folder.mkdir(mode=0o700)
        yield folder
    finally:
        _remove(_folder_of(path), path)
        if lock is not None:
            lock.release()


def sweep() -> Path:
    """Remove what dead processes left, once per process; return the system's folder for temporary files."""
    parent = Path(tempfile.gettempdir())
    if parent not in _swept:
        _swept.add(parent)
        remove_abandoned(parent)
    return parent


def remove_abandoned(parent: Path) -> None:
    """Remove the folders in `parent` that this user's dead processes left; ignore what cannot be removed."""
    for path in parent.glob(f"{PREFIX}*{LOCK_SUFFIX}"):
        with suppress(OSError, Timeout):
            if not _own(path):
                continue
            lock = FileLock(path)
            lock.acquire(timeout=0)
            _remove(_folder_of(path), path)
            lock.release()


def _name(parent: Path) -> Path:
    return parent / f"{PREFIX}{secrets.token_hex(8)}{LOCK_SUFFIX}"


def _hold(path: Path) -> FileLock | None:
    """Hold the lock of a new name; None if another process found it before it was locked, and removes it."""
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return None
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        return lock  # without locks no process removes the folder of another one
    if path.exists():
        return lock
    lock.release()
    return None


def _own(path: Path) -> bool:
    """Tell whether `path` is a file of this user and no link."""
    found = os.lstat(path)
    return Path(path).is_file() and not path.is_symlink() and (not hasattr(os, "getuid") or found.st_uid == os.getuid())


def _folder_of(lock: Path) -> Path:
    return lock.with_suffix("")


def _remove(folder: Path, lock: Path) -> None:
    try:
        remove_temporary(folder)
    finally:
        remove_temporary(lock)
