"""Find the image files behind folders, globs, lists, videos, standard input and object storage."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath
from typing import IO

from fcn_deploy.data.images import SUFFIXES
from fcn_deploy.data.pairs import read_list
from fcn_deploy.errors import DataError, OutputError
from fcn_deploy.prediction.images.storage import Storage, is_address
from fcn_deploy.prediction.images.video import VIDEO_SUFFIXES
from fcn_deploy.system.apart import reads_all
from fcn_deploy.system.files import reading, resolved

STDIN = "-"


@dataclass(frozen=True)
class ImageSource:
    """An image file or a video.

    Attributes:
        path: where it is; in object storage the name below `storage`.
        name: what its results are named after, "street/a.jpg": the path below the folder that was given.
        storage: the folder of object storage that it is in; None for a file of this machine.
    """

    path: Path
    name: PurePosixPath
    storage: Storage | None = None

    @property
    def is_video(self) -> bool:
        return self.path.suffix.lower() in VIDEO_SUFFIXES

    @property
    def address(self) -> str:
        """Where it is, for messages."""
        return str(self.path) if self.storage is None else self.storage.address_of(PurePosixPath(self.path))

    @contextmanager
    def local(self) -> Iterator[Path]:
        """Yield the file on this machine, for the duration of the block; DataError if it cannot be downloaded."""
        if self.storage is None:
            yield self.path
            return
        with self.storage.downloaded(PurePosixPath(self.path)) as copy:
            yield copy


def find_sources(
    given: Sequence[str], *, exclude: Path | Storage | None = None, stdin: IO[bytes] | None = None
) -> list[ImageSource]:
    """Return the files behind `given`, in its order; nothing is decoded and a listed file may be missing.

    A folder gives its images and those of its sub-folders, by name; hidden files are passed over. A glob gives the
    files that match ("**" for any depth), a list its first column, "-" the paths on `stdin`, one a line or each
    ended by a zero byte. Names are paths below the folder, below the part before the glob's first wildcard, or
    as the list has them; a file by itself has its own name. "s3://bucket/folder" is a folder, or a file, of object
    storage.

    Args:
        leave_out: a folder (that of the results) whose images no folder and no glob above it gives.

    Raises:
        DataError: one of `given` does not exist, is of no known kind, or has no images.
        OutputError: a folder is `exclude` itself.
    """
    found: list[ImageSource] = []
    for text in given:
        with reading(Path(text), DataError):
            if text == STDIN:
                found += _stdin_sources(text, stdin)
            elif is_address(text):
                found += _storage_sources(Storage.of(text), exclude if isinstance(exclude, Storage) else None)
            else:
                found += _sources_of(text, exclude if isinstance(exclude, Path) else None)
    reads_all(lambda: (source.path for source in found if source.storage is None))
    if not found:
        raise DataError("no images were given; expected files, folders, globs, lists, or - for standard input")
    return found


def _sources_of(text: str, exclude: Path | None) -> list[ImageSource]:
    path = Path(text)
    if path.is_dir():
        return _folder(path, exclude)
    if not path.exists():
        if glob.has_magic(text):
            return _glob_sources(text, exclude)
        raise DataError(f"{text} does not exist; expected an image, a folder, a glob, a list or a video")
    if path.suffix.lower() in SUFFIXES | VIDEO_SUFFIXES:
        return [ImageSource(path, PurePosixPath(path.name))]
    return [ImageSource(image, _relative(image, path.parent)) for image, _ in read_list(path)]


def _folder(folder: Path, exclude: Path | None) -> list[ImageSource]:
    if exclude is not None and exclude.exists() and exclude.samefile(folder):
        raise _overlap_error(str(folder))
    return _require_any(str(folder), [ImageSource(path, _relative(path, folder)) for path in _walk(folder, exclude)])


def _storage_sources(storage: Storage, exclude: Storage | None) -> list[ImageSource]:
    """Return the images below a folder of object storage, or the one file at that address."""
    names = storage.files()
    if names == [PurePosixPath()]:
        folder, name = storage.split()
        return [ImageSource(Path(name), name, folder)]
    here = storage.address_of(PurePosixPath())
    excluded = None if exclude is None else exclude.address_of(PurePosixPath())
    if excluded == here:
        raise _overlap_error(here)
    found = [
        ImageSource(Path(name), name, storage)
        for name in names
        if name.suffix.lower() in SUFFIXES
        and not _hidden(name)
        and (excluded is None or not storage.address_of(name).startswith(f"{excluded}/"))
    ]
    return _require_any(here, found)


def _overlap_error(place: str) -> OutputError:
    return OutputError(f"the results would lie among the images of {place}; choose another folder (-o)")


def _require_any(place: str, found: list[ImageSource]) -> list[ImageSource]:
    """Return `found`; DataError if it is empty."""
    if not found:
        raise DataError(f"{place} holds no image files ({', '.join(sorted(SUFFIXES))})")
    return found


def _walk(folder: Path, exclude: Path | None) -> Iterator[Path]:
    excluded = None if exclude is None else os.path.realpath(exclude)
    for parent, folders, files in os.walk(folder, onerror=_refuse):
        kept = (name for name in folders if not name.startswith("."))
        folders[:] = sorted(name for name in kept if os.path.realpath(Path(parent, name)) != excluded)
        for name in sorted(files):
            if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES:
                yield Path(parent, name)


def _refuse(error: OSError) -> None:
    raise error


def _glob_sources(pattern: str, exclude: Path | None) -> list[ImageSource]:
    parts = Path(pattern).parts
    fixed = next(index for index, part in enumerate(parts) if glob.has_magic(part))
    root = Path(*parts[:fixed])
    files = sorted(
        path for path in root.glob(str(Path(*parts[fixed:]))) if path.is_file() and not _hidden(path.relative_to(root))
    )
    if exclude is not None and exclude.exists() and not exclude.samefile(root):
        excluded = resolved(exclude)
        files = [path for path in files if not resolved(path.parent).is_relative_to(excluded)]
    found = [
        ImageSource(path, _relative(path, root)) for path in files if path.suffix.lower() in SUFFIXES | VIDEO_SUFFIXES
    ]
    if not found:
        raise DataError(f"{pattern} matches no image or video; ** matches any depth")
    return found


def _hidden(below: PurePath) -> bool:
    return any(part.startswith(".") for part in below.parts)


def _stdin_sources(text: str, stdin: IO[bytes] | None) -> list[ImageSource]:
    """Read the paths on standard input as `find` prints them; blanks belong to the path."""
    data = b"" if stdin is None else stdin.read()
    lines = data.split(b"\0") if b"\0" in data else data.splitlines()
    listed = [os.fsdecode(line) for line in lines if line.strip()]
    if not listed:
        raise DataError(f"{text}: standard input lists no images; expected one path per line")
    return [_source_of_line(path) for path in listed]


def _source_of_line(text: str) -> ImageSource:
    if not is_address(text):
        return ImageSource(Path(text), _relative(Path(text), Path()))
    folder, name = Storage.of(text).split()
    return ImageSource(Path(name), name, folder)


def _relative(path: Path, root: Path) -> PurePosixPath:
    """Return the path below `root`; for one elsewhere, the path without drive, root and '..'."""
    below = path.relative_to(root) if path.is_relative_to(root) else path
    return PurePosixPath(*(part for part in below.parts if part not in (below.anchor, "..")))
