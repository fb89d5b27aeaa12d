"""Files written whole or not at all, and their hashes."""

from __future__ import annotations

import errno
import hashlib
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import OutputError

_REASONS = {
    errno.ENOSPC: "no space is left on the device; free some or choose another folder",
    errno.EDQUOT: "the disk quota is used up; free some space or choose another folder",
    errno.EACCES: "permission denied; choose a folder you may write to",
    errno.EPERM: "operation not permitted; choose a folder you may write to",
    errno.EROFS: "the file system is read-only; choose another folder",
    errno.ENOTDIR: "a part of its path is a file, not a folder",
    errno.EISDIR: "it is a folder; give a file name",
}


def output_error(path: Path, error: OSError) -> OutputError:
    """One line for a failed write of `path`: what failed and what to do."""
    reason = _REASONS.get(error.errno or 0, error.strerror or str(error))
    return OutputError(f"cannot write {path}: {reason}")


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside `target` that takes its name when the block ends without an exception.

    The folder is made if need be. On any exception, Ctrl-C included, the temporary file is removed and `target`
    stays as it was, so a half-written file never bears the name.

    Raises:
        OutputError: the folder or the file cannot be written (the reason and the mend are in the message).
    """
    target = Path(target)
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a folder")
        yield temporary
        _flush_to_disk(temporary)
        os.replace(temporary, target)
    except OSError as error:
        raise output_error(target, error) from error
    finally:
        temporary.unlink(missing_ok=True) if temporary.parent.is_dir() else None


def write_bytes(target: Path, data: bytes) -> None:
    """Write `data` to `target` whole or not at all; OutputError as for `atomic_path`."""
    with atomic_path(target) as temporary:
        temporary.write_bytes(data)


def write_text(target: Path, text: str) -> None:
    """Write UTF-8 `text` to `target` whole or not at all; OutputError as for `atomic_path`."""
    write_bytes(target, text.encode())


def check_writable(target: Path) -> None:
    """Raise OutputError now rather than after an hour's work if `target` could not be written."""
    with atomic_path(target.with_name(target.name + ".probe")) as probe:
        probe.write_bytes(b"")
    target.with_name(target.name + ".probe").unlink(missing_ok=True)


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file, read in pieces."""
    with path.open("rb") as stream:
        digest = hashlib.sha256()
        while piece := stream.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def _flush_to_disk(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
