"""Check before the first image is decoded that results collide neither with each other nor with the user's files."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from fcn_deploy.data.writing import is_marked
from fcn_deploy.errors import DataError, OutputError
from fcn_deploy.prediction.images.sources import ImageSource
from fcn_deploy.prediction.images.storage import Storage
from fcn_deploy.prediction.outputs import Outputs


def check_names(outputs: Outputs, sources: Iterable[ImageSource], *, skip: bool = False) -> None:
    """Check the names of all results.

    Args:
        skip: whether images that have whole results are left out.

    Raises:
        DataError: two sources would share a result, or one's result needs a folder where another's file is.
        OutputError: a result would replace a source, or a file that `predict` did not write.
    """
    taken: dict[Path, ImageSource] = {}
    folders: dict[Path, ImageSource] = {}
    for source in sources:
        for path in _claimed(outputs, source):
            if path in taken:
                raise DataError(_collision(taken[path], source, path))
            taken[path] = source
            if path.parent not in folders:
                folders.update(dict.fromkeys(path.parents, source))
    for path in taken.keys() & folders.keys():
        raise DataError(_collision(taken[path], folders[path], path))
    if outputs.storage is not None:
        _check_stored(outputs.storage, taken)
    elif there := list(_there(taken)):
        _check_sources(there, (source.path for source in taken.values() if source.storage is None))
        _check_foreign(outputs, there, taken, skip)


def _claimed(outputs: Outputs, source: ImageSource) -> tuple[Path, ...]:
    return (outputs.target / source.name,) if source.is_video else outputs.paths(source.name)


def _there(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield those that exist; each folder is listed once, for there may be a million paths."""
    by_folder = defaultdict[Path, list[Path]](list)
    for path in paths:
        by_folder[path.parent].append(path)
    for folder, wanted in by_folder.items():
        try:
            names = {path.name for path in folder.iterdir()}
        except OSError:  # none, or one that whoever writes there reports
            continue
        yield from (path for path in wanted if path.name in names)


def _check_sources(there: Iterable[Path], sources: Iterable[Path]) -> None:
    """Raise OutputError if a result would replace a source, by whatever name or link."""
    found = {identity: path for path in there if (identity := _identity(path)) is not None}
    for source in sources:
        identity = _identity(source)
        if identity is not None and (path := found.get(identity)) is not None:
            raise OutputError(f"{path} would replace the image {source}; choose another folder (-o)")


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_dev, state.st_ino


def _check_foreign(outputs: Outputs, there: Iterable[Path], sources: dict[Path, ImageSource], skip: bool) -> None:
    """Raise OutputError if a file that `predict` did not write would be replaced."""
    for path in there:
        if sources[path].is_video:
            results = [each for each in path.rglob("*") if each.suffix in (".png", ".npy", ".jpg")]
        else:
            results = [] if skip and outputs.exist(sources[path].name) else [path]
        for each in results:
            if each.is_file() and not is_marked(each):
                raise OutputError(
                    f"{each} is there and has no mark of a result of predict; move it away, or choose another folder "
                    "(-o)"
                )


def _check_stored(storage: Storage, taken: dict[Path, ImageSource]) -> None:
    sources = {source.address for source in taken.values() if source.storage is not None}
    for path in taken:
        address = storage.address_of(PurePosixPath(path))
        if address in sources:
            raise OutputError(f"{address} would replace an image; choose another folder (-o)")


def _collision(first: ImageSource, second: ImageSource, path: Path) -> str:
    return (
        f"{first.address} and {second.address} would both be written to {path}; give the folder above them, rename "
        "one, or keep the suffixes in the names (--keep-suffix)"
    )
