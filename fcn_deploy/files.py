"""Files written whole or not at all, and their hashes."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import FcnDeployError, OutputError

_REASONS = {
    errno.ENOSPC: "no space is left on the device; free some or choose another folder",
    errno.EDQUOT: "the disk quota is used up; free some space or choose another folder",
    errno.EACCES: "permission denied; choose a folder you may write to",
    errno.EPERM: "operation not permitted; choose a folder you may write to",
    errno.EROFS: "the file system is read-only; choose another folder",
    errno.ENOTDIR: "a part of its path is a file, not a folder",
    errno.EFBIG: "the file would be larger than the file system or a limit (`ulimit -f`) allows",
    errno.EISDIR: "it is a folder; give a file name",
}


def output_error(path: Path, error: OSError) -> OutputError:
    """One line for a failed write of `path`: what failed and what to do."""
    reason = _REASONS.get(error.errno or 0, error.strerror or str(error))
    return OutputError(f"cannot write {path}: {reason}")


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Yield a path of `target`'s name in a temporary folder beside it; when the block ends well, it moves in place.

    Whatever else the block wrote into that folder (external data of an ONNX file) moves with it, before it. The
    parent folder is made if need be. On any exception, Ctrl-C included, the temporary folder is removed and `target`
    stays as it was, so a half-written file never bears the name.

    Raises:
        OutputError: the folder or the file cannot be written (the reason and the mend are in the message).
    """
    target = Path(target)
    folder = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        with _write_errors(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.is_dir():
                raise IsADirectoryError(errno.EISDIR, "it is a folder")
            folder.mkdir()
        with _write_errors(target):
            yield folder / target.name
        with _write_errors(target):
            _move_in_place(folder, target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _write_errors(target: Path) -> Iterator[None]:
    """Turn a failed write, also one that a library tells in its own words, into OutputError."""
    try:
        yield
    except OSError as error:
        raise output_error(target, error) from error
    except FcnDeployError:
        raise
    except Exception as error:
        code = next((code for code in _REASONS if os.strerror(code).lower() in str(error).lower()), None)
        if code is None:
            raise
        raise output_error(target, OSError(code, os.strerror(code))) from error


def _move_in_place(folder: Path, target: Path) -> None:
    """The companions first, so that `target` never names a file that is not there.

    Some libraries create their files readable by the owner alone; the folder shows what the umask grants.
    """
    granted = folder.stat().st_mode & 0o666
    for path in sorted(folder.iterdir(), key=lambda path: path.name == target.name):
        with path.open("rb") as stream:
            os.fsync(stream.fileno())
        path.chmod(granted)
        path.replace(target.with_name(path.name))


def write_bytes(target: Path, data: bytes) -> None:
    """Write `data` to `target` whole or not at all; OutputError as for `atomic_path`."""
    with atomic_path(target) as temporary:
        temporary.write_bytes(data)


def write_text(target: Path, text: str) -> None:
    """Write UTF-8 `text` to `target` whole or not at all; OutputError as for `atomic_path`."""
    write_bytes(target, text.encode())


def check_writable(target: Path) -> None:
    """Raise OutputError now rather than after an hour's work if `target` could not be written."""
    probe = target.with_name(f"{target.name}.{uuid.uuid4().hex[:8]}.probe")
    write_bytes(probe, b"")
    probe.unlink(missing_ok=True)


def digest(path: Path, algorithm: str) -> str:
    """Hexadecimal hash of a file ("sha256", "md5"), read in pieces."""
    state = hashlib.new(algorithm, usedforsecurity=False)
    with path.open("rb") as stream:
        while piece := stream.read(1 << 20):
            state.update(piece)
    return state.hexdigest()


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    return digest(path, "sha256")
