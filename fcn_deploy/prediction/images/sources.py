"""From what a user names (folders, globs, lists, videos, standard input) to files with names of their own."""

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
from fcn_deploy.system.files import reading

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
        return str(self.path) if self.storage is None else self.storage.at(PurePosixPath(self.path))

    @contextmanager
    def local(self) -> Iterator[Path]:
        """The file on this machine, for as long as the block lasts; DataError if it cannot be fetched."""
        if self.storage is None:
            yield self.path
            return
        with self.storage.fetched(PurePosixPath(self.path)) as copy:
            yield copy


def find_sources(
    given: Sequence[str], *, leave_out: Path | Storage | None = None, stdin: IO[bytes] | None = None
) -> list[ImageSource]:
    """The files behind `given`, in its order; nothing is decoded and a listed file may be missing.

    A folder gives its images and those of its sub-folders, by name; hidden files are passed over. A glob gives the
    files that match ("**" for any depth), a list its first column, "-" the paths on `stdin`, one a line or each
    ended by a zero byte. Names are paths below the folder, below what stands before the glob's first wildcard, or
    as the list has them; a file by itself has its own name. "s3://bucket/folder" is a folder, or a file, of object
    storage.

    Args:
        leave_out: a folder (that of the results) whose images no folder and no glob above it gives.

    Raises:
        DataError: one of `given` does not exist, is of no known kind, or has no images.
        OutputError: a folder is `leave_out` itself.
    """
    found: list[ImageSource] = []
    for text in given:
        with reading(Path(text), DataError):
            if text == STDIN:
                found += _listed(text, stdin)
            elif is_address(text):
                found += _stored(Storage.of(text), leave_out if isinstance(leave_out, Storage) else None)
            else:
                found += _of(text, leave_out if isinstance(leave_out, Path) else None)
    if not found:
        raise DataError("no images were given; needed files, folders, globs, lists, or - for standard input")
    return found


def _of(text: str, leave_out: Path | None) -> list[ImageSource]:
    path = Path(text)
    if path.is_dir():
        return _folder(path, leave_out)
    if not path.exists():
        if glob.has_magic(text):
            return _matches(text, leave_out)
        raise DataError(f"{text} does not exist; needed an image, a folder, a glob, a list or a video")
    if path.suffix.lower() in SUFFIXES | VIDEO_SUFFIXES:
        return [ImageSource(path, PurePosixPath(path.name))]
    return [ImageSource(image, _relative(image, path.parent)) for image, _ in read_list(path)]


def _folder(folder: Path, leave_out: Path | None) -> list[ImageSource]:
    if leave_out is not None and leave_out.exists() and leave_out.samefile(folder):
        raise _among(str(folder))
    return _some(str(folder), [ImageSource(path, _relative(path, folder)) for path in _walk(folder, leave_out)])


def _stored(storage: Storage, leave_out: Storage | None) -> list[ImageSource]:
    """The images below a folder of object storage, or the one that is there."""
    names = storage.files()
    if names == [PurePosixPath()]:
        folder, name = storage.split()
        return [ImageSource(Path(name), name, folder)]
    here = storage.at(PurePosixPath())
    avoided = None if leave_out is None else leave_out.at(PurePosixPath())
    if avoided == here:
        raise _among(here)
    found = [
        ImageSource(Path(name), name, storage)
        for name in names
        if name.suffix.lower() in SUFFIXES
        and not _hidden(name)
        and (avoided is None or not storage.at(name).startswith(f"{avoided}/"))
    ]
    return _some(here, found)


def _among(place: str) -> OutputError:
    return OutputError(f"the results would lie among the images of {place}; choose another folder (-o)")


def _some(place: str, found: list[ImageSource]) -> list[ImageSource]:
    """`found`; DataError if that is nothing."""
    if not found:
        raise DataError(f"{place} holds no image files ({', '.join(sorted(SUFFIXES))})")
    return found


def _walk(folder: Path, leave_out: Path | None) -> Iterator[Path]:
    avoided = None if leave_out is None else os.path.realpath(leave_out)
    for parent, folders, files in os.walk(folder, onerror=_refuse):
        kept = (name for name in folders if not name.startswith("."))
        folders[:] = sorted(name for name in kept if os.path.realpath(Path(parent, name)) != avoided)
        for name in sorted(files):
            if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES:
                yield Path(parent, name)


def _refuse(error: OSError) -> None:
    raise error


def _matches(pattern: str, leave_out: Path | None) -> list[ImageSource]:
    parts = Path(pattern).parts
    fixed = next(index for index, part in enumerate(parts) if glob.has_magic(part))
    root = Path(*parts[:fixed])
    files = sorted(
        path for path in root.glob(str(Path(*parts[fixed:]))) if path.is_file() and not _hidden(path.relative_to(root))
    )
    if leave_out is not None and leave_out.exists() and not leave_out.samefile(root):
        avoided = leave_out.resolve()
        files = [path for path in files if not path.parent.resolve().is_relative_to(avoided)]
    found = [
        ImageSource(path, _relative(path, root)) for path in files if path.suffix.lower() in SUFFIXES | VIDEO_SUFFIXES
    ]
    if not found:
        raise DataError(f"{pattern} matches no image or video; ** matches any depth")
    return found


def _hidden(below: PurePath) -> bool:
    return any(part.startswith(".") for part in below.parts)


def _listed(text: str, stdin: IO[bytes] | None) -> list[ImageSource]:
    """The paths on standard input as `find` prints them; blanks belong to the path."""
    data = b"" if stdin is None else stdin.read()
    lines = data.split(b"\0") if b"\0" in data else data.splitlines()
    listed = [os.fsdecode(line) for line in lines if line.strip()]
    if not listed:
        raise DataError(f"{text}: standard input lists no images; needed one path a line")
    return [_listed_one(path) for path in listed]


def _listed_one(text: str) -> ImageSource:
    if not is_address(text):
        return ImageSource(Path(text), _relative(Path(text), Path()))
    folder, name = Storage.of(text).split()
    return ImageSource(Path(name), name, folder)


def _relative(path: Path, root: Path) -> PurePosixPath:
    """The path below `root`; of one elsewhere all but what leads up (the drive, the root, '..')."""
    below = path.relative_to(root) if path.is_relative_to(root) else path
    return PurePosixPath(*(part for part in below.parts if part not in (below.anchor, "..")))
