"""Write files whole or not at all, report what the file system refuses, and hash files."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from fcn_deploy.errors import FcnDeployError, OutputError
from fcn_deploy.system.apart import claim
from fcn_deploy.system.temporaries import alone_in, temporary

StrPath = str | os.PathLike[str]
_REASONS = {
    errno.ENOSPC: "no space is left on the device; free some or choose another folder",
    errno.EIO: "the device reports an error; check it, or choose another folder",
    errno.EDQUOT: "the disk quota is used up; free some space or choose another folder",
    errno.EACCES: "permission denied; choose a folder you may write to",
    errno.EPERM: "operation not permitted; choose a folder you may write to",
    errno.EROFS: "the file system is read-only; choose another folder",
    errno.ENOTDIR: "a part of its path is a file, not a folder",
    errno.EFBIG: "the file would be larger than the file system or a limit (`ulimit -f`) allows",
    errno.EEXIST: "a file of that name is in the way",
    errno.ENOENT: "there is no such file or folder",
    errno.EPIPE: "its reader is gone",
    errno.ELOOP: "its links lead to each other",
    errno.EISDIR: "it is a folder; give a file name",
    errno.ENAMETOOLONG: "it, or a name made of it, is longer than the file system takes (255 bytes, most often, and "
    "4096 with its folders); give a shorter one",
}


def os_error_line(error: OSError) -> str:
    """Say in one line what the system refused, on which file, and what to do."""
    if error.errno in (errno.EACCES, errno.EPERM):
        reason = "permission denied; ask its owner, or work as a user who may use it"
    else:
        reason = _REASONS.get(error.errno or 0, error.strerror or str(error))
    return f"{error.filename}: {reason}" if error.filename else reason


def check_current_folder() -> None:
    """Raise OutputError if the current folder was removed: libraries end the process there, and no path is relative."""
    try:
        Path.cwd()
    except FileNotFoundError as error:
        raise OutputError("the current folder was removed; change to another one (cd)") from error


def resolved(path: StrPath) -> Path:
    """Return the absolute path behind all links; a loop of links ends where it closes, and opening it is an OSError."""
    return Path(os.path.realpath(path))


def require_plain(path: Path) -> Path:
    """Return `path`; raise OSError if a pipe, socket or device is there, whose reader may wait for ever."""
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise OSError(errno.EINVAL, "it is a pipe, a socket or a device; expected a plain file", str(path))
    return path


def check_name(path: StrPath) -> None:
    """Raise FcnDeployError if a path is not UTF-8: no library that reads or writes models, and no TOML, takes such."""
    try:
        os.fspath(path).encode()
    except UnicodeEncodeError:
        raise FcnDeployError(
            f"the path {path} is not UTF-8, which models and recipes need; rename the file or its folder"
        ) from None


def output_error(path: Path, error: OSError) -> OutputError:
    """Turn a failed write of `path` into one line: what failed and what to do."""
    reason = _REASONS.get(error.errno or 0, error.strerror or str(error))
    return OutputError(f"cannot write {path}: {reason}")


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Yield a path of `target`'s name in a temporary folder next to it, and move it in place when the block succeeds.

    Whatever else the block wrote into that folder (external data of an ONNX file) is moved first. The parent folder is
    made if necessary. On any exception, Ctrl-C included, the temporary folder is removed and `target` is unchanged, so
    a half-written file never has its name.

    Raises:
        OutputError: the folder or the file cannot be written (the message has the reason and the fix).
        FcnDeployError: the path is not UTF-8.
    """
    check_name(target)
    with _write_errors(target):
        target = _regular(target).absolute()
    with ExitStack() as stack:
        with _write_errors(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            folder = stack.enter_context(temporary(target, folder=True))
        with _write_errors(target, folder):
            yield folder / target.name
        with _write_errors(target):
            _move_in_place(folder, target)


def _regular(target: Path) -> Path:
    """Return where a link at `target` points to; raise OSError or OutputError if no file or an input is there."""
    target = Path(target)
    claim(target)
    try:
        kind = target.lstat().st_mode
        if stat.S_ISLNK(kind):
            target = resolved(target)
            kind = target.stat().st_mode
    except FileNotFoundError:
        return target
    if stat.S_ISDIR(kind):
        raise IsADirectoryError(errno.EISDIR, "it is a folder")
    if not stat.S_ISREG(kind):
        raise OutputError(f"cannot write {target}: it is a device or a pipe; give a file name")
    return target


@contextmanager
def _write_errors(target: Path, folder: Path | None = None) -> Iterator[None]:
    """Turn a failed write, also one that a library reports in its own words, into OutputError.

    With `folder`, an error about a file outside of it is not about this write and passes.
    """
    try:
        yield
    except OSError as error:
        if folder is not None and error.filename is not None and not _inside(folder, error.filename):
            raise
        raise output_error(target, error) from error
    except FcnDeployError:
        raise
    except Exception as error:
        code = next((code for code in _REASONS if os.strerror(code).lower() in str(error).lower()), None)
        if code is None:
            raise
        raise output_error(target, OSError(code, os.strerror(code))) from error


def _inside(folder: Path, name: object) -> bool:
    return isinstance(name, (str, os.PathLike)) and folder in Path(name).parents


def _move_in_place(folder: Path, target: Path) -> None:
    """Move the other files first, so that `target` never refers to a file that is missing.

    Some libraries create files that only the owner can read; the folder shows what the umask grants.
    """
    granted = folder.stat().st_mode & 0o666
    files = sorted(folder.iterdir(), key=lambda path: path.name == target.name)
    claim(*(target.with_name(path.name) for path in files))
    for path in files:
        with path.open("r+b") as stream:  # Windows syncs only what may be written
            os.fsync(stream.fileno())
        path.chmod(granted)
    if len(files) == 1:
        files[0].replace(target.with_name(files[0].name))
        return
    with alone_in(target.parent), _set_aside(folder, target):
        for path in files:
            path.replace(target.with_name(path.name))


@contextmanager
def _set_aside(folder: Path, target: Path) -> Iterator[None]:
    """Put back an old `target` if the block fails; between two moves it would belong to the new companions."""
    old = folder / f".{secrets.token_hex(4)}"
    try:
        with suppress(FileNotFoundError):
            target.replace(old)
        yield
    except BaseException:
        if old.exists() and not target.exists():
            old.replace(target)
        raise


def write_bytes(target: Path, data: bytes) -> None:
    """Write `data` to `target` whole or not at all; OutputError as for `atomic_path`, which costs more."""
    with _write_errors(target):
        target = _regular(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        with temporary(target, folder=False) as path:
            with path.open("wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            path.replace(target)


def write_text(target: Path, text: str) -> None:
    """Write UTF-8 `text`, in which names of files keep their own bytes, as `write_bytes` does."""
    write_bytes(target, text.encode(errors="surrogateescape"))


def check_writable(target: Path) -> None:
    """Raise OutputError now, and not after an hour's work, if `target` cannot be written; leave nothing behind."""
    with _write_errors(target):
        folder = _regular(target).parent
        while not folder.exists():
            folder = folder.parent
        with temporary(folder / target.name, folder=True):
            pass


def digest(path: Path, algorithm: str) -> str:
    """Return the hexadecimal hash of a file ("sha256", "md5"), read in pieces."""
    state = hashlib.new(algorithm, usedforsecurity=False)
    with path.open("rb") as stream:
        while piece := stream.read(1 << 20):
            state.update(piece)
    return state.hexdigest()


def sha256(path: Path) -> str:
    """Return the hexadecimal SHA-256 of a file."""
    return digest(path, "sha256")


@contextmanager
def reading(path: Path, kind: type[FcnDeployError]) -> Iterator[None]:
    """Raise `kind` with one line where the block, or reaching `path` at all, meets an error of the file system.

    Below a folder without permission `Path.exists` and `is_file` raise up to Python 3.13 and return False from 3.14
    on, so `path` is looked at first. The block itself reports a path that does not exist.
    """
    try:
        with suppress(FileNotFoundError, NotADirectoryError):
            path.stat()
        yield
    except OSError as error:
        reason = error.strerror.lower() if error.strerror else str(error)
        raise kind(f"cannot read {error.filename or path}: {reason}") from error
