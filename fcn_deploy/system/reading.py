"""Telling a file or folder that may not be read from one that is not there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fcn_deploy.errors import FcnDeployError


@contextmanager
def reading(path: Path, kind: type[FcnDeployError]) -> Iterator[None]:
    """Raise `kind` with one line where the block, or reaching `path` at all, meets an error of the file system.

    `Path.exists` and its kin raise below a folder without permission up to Python 3.13 and say False from 3.14 on,
    so `path` is asked for first. A path that does not exist is the block's to tell.
    """
    try:
        with suppress(FileNotFoundError, NotADirectoryError):
            path.stat()
        yield
    except OSError as error:
        reason = error.strerror.lower() if error.strerror else str(error)
        raise kind(f"cannot read {error.filename or path}: {reason}") from error
