"""Read and write files in object storage, through PyArrow's file systems (and its way to find credentials)."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from fcn_deploy.errors import DataError, FcnDeployError, OutputError, UnknownNameError, first_line
from fcn_deploy.system.optional import require
from fcn_deploy.system.scratch import scratch_folder

# Stores that show a file only when it is complete, so that its existence means that it is whole.
SCHEMES = ("s3", "gs", "abfs", "abfss")
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://.*", re.DOTALL)
_PIECE = 1 << 20


def is_address(text: str) -> bool:
    """Return whether `text` is "scheme://...", not a path."""
    return _ADDRESS.fullmatch(text) is not None


@dataclass(frozen=True)
class Storage:
    """A folder of an object store; a value that travels between processes, each of which connects by itself.

    Attributes:
        address: "s3://bucket/folder", with PyArrow's options after a "?" (region, endpoint_override, scheme, ...).
    """

    address: str

    @classmethod
    def of(cls, address: str) -> Storage:
        """Check the scheme of `address` without connecting; UnknownNameError if it is not one of `SCHEMES`."""
        match = _ADDRESS.fullmatch(address)
        scheme = match[1].lower() if match else ""
        if scheme not in SCHEMES:
            raise UnknownNameError.of("store", scheme, SCHEMES)
        return cls(address)

    def __str__(self) -> str:
        return self.address

    def address_of(self, name: PurePosixPath) -> str:
        """Return the address of file `name` below this folder, without options, for messages and comparisons."""
        base = self.address.partition("?")[0].rstrip("/")
        return f"{base}/{name}" if name.parts else base

    def split(self) -> tuple[Storage, PurePosixPath]:
        """Return the folder that contains this one, and its name there."""
        base, mark, options = self.address.partition("?")
        parent, _, name = base.rstrip("/").rpartition("/")
        return Storage(f"{parent}{mark}{options}"), PurePosixPath(name)

    def files(self) -> list[PurePosixPath]:
        """Return the names of all files below, sorted; one empty name if this is a file; DataError if neither."""
        with self._errors(DataError, "read", self.address_of(PurePosixPath())):
            system, base = _connect(self.address)
            if system.get_file_info(base).is_file:
                return [PurePosixPath()]
            found = system.get_file_info(_pyarrow_fs().FileSelector(base, recursive=True))
            return sorted(PurePosixPath(info.path).relative_to(base) for info in found if info.is_file)

    def exists(self, name: PurePosixPath) -> bool:
        """Return whether a file of that name exists; DataError if the store does not answer."""
        with self._errors(DataError, "read", self.address_of(name)):
            system, base = _connect(self.address)
            return bool(system.get_file_info(f"{base}/{name}").is_file)

    @contextmanager
    def downloaded(self, name: PurePosixPath) -> Iterator[Path]:
        """Yield a copy of file `name` on this machine, for the duration of the block.

        Raises:
            DataError: it cannot be read; or the block's own, which names the file and not the copy.
        """
        with scratch_folder() as folder:
            copy = Path(folder, name.name)
            self.download(name, copy)
            try:
                yield copy
            except DataError as error:
                raise type(error)(str(error).replace(str(copy), self.address_of(name))) from error

    def download(self, name: PurePosixPath, target: Path) -> None:
        """Copy file `name` to `target` on this machine; DataError if it cannot be read."""
        with self._errors(DataError, "read", self.address_of(name)):
            system, base = _connect(self.address)
            with system.open_input_stream(f"{base}/{name}") as stream, target.open("wb") as copy:
                shutil.copyfileobj(stream, copy, _PIECE)

    def upload(self, source: Path, name: PurePosixPath) -> None:
        """Copy a file of this machine to `name`, whole or not at all; OutputError if it cannot be written."""
        with self._errors(OutputError, "write", self.address_of(name)):
            system, base = _connect(self.address)
            with source.open("rb") as stream, system.open_output_stream(f"{base}/{name}") as copy:
                shutil.copyfileobj(stream, copy, _PIECE)

    @contextmanager
    def _errors(self, kind: type[FcnDeployError], doing: str, address: str) -> Iterator[None]:
        """Raise `kind` with one line for any error of PyArrow's (OSError, and ValueError for an address)."""
        try:
            yield
        except (OSError, ValueError) as error:
            raise kind(f"cannot {doing} {address}: {first_line(error)}") from error


def _pyarrow_fs() -> Any:
    """Import PyArrow's module of file systems; MissingDependencyError without PyArrow."""
    require("pyarrow")
    return require("pyarrow.fs")


@lru_cache(maxsize=8)
def _connect(address: str) -> tuple[Any, str]:
    """Return PyArrow's file system of `address` and the path in it."""
    system, path = _pyarrow_fs().FileSystem.from_uri(address)
    return system, path.rstrip("/")
