"""Write next to a file under a hidden name, and remove what killed processes left under such names.

Whoever writes holds the system's lock on what it writes; the system drops the lock of a process that dies, `kill -9`
included, so the next process that writes the same file can distinguish what is left from what is being written.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

if sys.platform != "win32":
    import fcntl

_LONGEST_NAME = 240  # bytes of the target's name in a temporary one
_TEMPORARY = re.compile(r"\.(.+)\.[0-9a-f]{8}\.tmp", re.DOTALL)
_kept_from_forks = set[int]()  # descriptors of locked folders
# Folders that this process has written into -> name of a target -> what was left of it then.
_left: dict[Path, dict[str, list[Path]]] = {}


@contextmanager
def temporary(target: Path, *, folder: bool) -> Iterator[Path]:
    """Yield a new folder or an empty file next to `target`, which is removed at the end if it is there still.

    What killed processes left of the same target is removed first.

    Raises:
        OSError: it cannot be made.
    """
    _remove_left(target)
    path, held = temporary_path(target), None
    try:
        while True:
            path.mkdir() if folder else path.touch(exist_ok=False)
            held = _hold(path)
            if held is not None:
                break
            path = temporary_path(target)  # another process took it for a leftover before it was locked
        yield path
    finally:
        remove_temporary(path)
        if held is not None and held >= 0:
            os.close(held)


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Let one process at a time move files that belong together into `folder`: it waits for the others."""
    with _locked(folder, wait=True):
        yield


@contextmanager
def first_in(folder: Path) -> Iterator[bool]:
    """Yield whether no other process is in such a block of `folder`; where the file system has no locks, it is so."""
    with _locked(folder, wait=False) as first:
        yield first


@contextmanager
def _locked(folder: Path, *, wait: bool) -> Iterator[bool]:
    """Lock a folder; yield False if another process has the lock and this one should not `wait` for it."""
    if sys.platform == "win32":
        yield True
        return
    file, locked = os.open(folder, os.O_RDONLY), True
    _kept_from_forks.add(file)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:  # else the file system has no locks
            locked = not isinstance(error, BlockingIOError)
        yield locked
    finally:
        _kept_from_forks.discard(file)
        os.close(file)


def _close_after_fork() -> None:
    """Let a process that is forked hold no lock of the one that it comes from, which it may outlive."""
    while _kept_from_forks:
        os.close(_kept_from_forks.pop())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_after_fork)


def choose_temporary_folder() -> None:
    """Choose the folder of `tempfile` in its order, without the file that it writes to try each, which may stay."""
    places = [os.environ.get(name, "") for name in ("TMPDIR", "TEMP", "TMP")]
    for place in filter(None, [*places, "/tmp", "/var/tmp"] if sys.platform != "win32" else []):
        with suppress(OSError):
            usable = Path(place).is_dir() and os.access(place, os.W_OK | os.X_OK)
            if usable and os.statvfs(place).f_bavail > 0:
                tempfile.tempdir = str(Path(place).absolute())
                return


def temporary_path(target: Path) -> Path:
    """Return a hidden name next to `target`; file names may have 255 bytes, so a long one is cut."""
    return target.with_name(f".{_cut(target.name)}.{secrets.token_hex(4)}.tmp")


def target_of_temporary(name: str) -> str:
    """Return the name of the file that was written as `name`, which `temporary_path` made; "" for any other name."""
    match = _TEMPORARY.fullmatch(name)
    return match[1] if match else ""


def remove_temporary(path: Path) -> None:
    """Remove a temporary file or folder, also if a signal interrupts that; ignore what cannot be removed."""
    try:
        _remove(path)
    except BaseException:
        _remove(path)
        raise


def remove_abandoned(path: Path) -> None:
    """Remove a temporary file or folder unless another process holds it, or it is another user's."""
    if sys.platform == "win32":  # what is open cannot be removed there
        remove_temporary(path)
        return
    with suppress(OSError):
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            if os.fstat(file).st_uid == os.getuid():
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                remove_temporary(path)
        finally:
            os.close(file)


def remove_leftovers(target: Path) -> None:
    """Remove what killed processes were writing below `target`, whatever it was."""
    for parent, folders, files in os.walk(target):
        for name in filter(target_of_temporary, (*files, *folders)):
            remove_abandoned(Path(parent, name))
        folders[:] = [name for name in folders if not target_of_temporary(name)]


def _hold(path: Path) -> int | None:
    """Lock `path` and return its descriptor; None if another process has removed it, -1 where there are no locks."""
    if sys.platform == "win32":
        return -1
    try:
        file = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(file).st_nlink > 0:
            return file
    except BlockingIOError:  # by the process that is about to remove it
        pass
    except OSError:  # the file system has no locks
        return file
    os.close(file)
    return None


def _remove_left(target: Path) -> None:
    """Remove what is left of `target`; the folder is listed once per process, as it may have many files."""
    if target.parent not in _left:
        found = _left[target.parent] = {}
        with suppress(OSError), os.scandir(target.parent) as entries:
            for entry in entries:
                if name := target_of_temporary(entry.name):
                    found.setdefault(name, []).append(Path(entry.path))
    for path in _left[target.parent].pop(_cut(target.name), ()):
        remove_abandoned(path)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def _cut(name: str) -> str:
    return os.fsdecode(os.fsencode(name)[:_LONGEST_NAME])
