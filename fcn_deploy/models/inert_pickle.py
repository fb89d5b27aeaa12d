"""Read the tensors of PyTorch's files without importing, calling or building anything that the file names.

A pickle names classes and functions; here each becomes a `Stub`, which takes any arguments and state and does nothing.
Within reach of the pickle are stubs, plain containers and `View`s, descriptions of tensors; the tensors are made after
the pickle has ended, over the mapped file. So `argparse.Namespace` and a payload are read alike: as data.
"""

from __future__ import annotations

import pickle
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, NamedTuple

import torch
from torch import Tensor

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C  # the first of the pickles in a file of before 2020
DEPTH = 6  # of mappings that are searched for tensors

_DTYPES = {
    "DoubleStorage": torch.float64, "FloatStorage": torch.float32, "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16, "LongStorage": torch.int64, "IntStorage": torch.int32,
    "ShortStorage": torch.int16, "CharStorage": torch.int8, "ByteStorage": torch.uint8, "BoolStorage": torch.bool,
    "ComplexFloatStorage": torch.complex64, "ComplexDoubleStorage": torch.complex128,
}  # fmt: skip


class _Storage(NamedTuple):
    key: str
    dtype: torch.dtype
    offset: int = 0


class View(NamedTuple):
    """A tensor that the file describes: which of its storages, and offset, size and strides in elements."""

    storage: _Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


class Stub(dict[Any, Any]):
    """Stand in for an object of a class, or the result of a function, that is not imported; its state are its items."""

    path = ""  # the class or function

    def __new__(cls, *_arguments: object, **_named: object) -> Stub:
        return super().__new__(cls)

    def __init__(self, *_arguments: object, **_named: object) -> None:
        super().__init__()

    __hash__ = object.__hash__  # type: ignore[assignment]  # a stub may be a key or in a set

    def __call__(self, *_arguments: object, **_named: object) -> Stub:
        return self

    def __setstate__(self, state: object) -> None:
        if isinstance(state, dict):
            self.update(state)

    def append(self, *_values: object) -> None:
        """Take what a list or set would, and drop it."""

    extend = add = append


class _Unpickler(pickle.Unpickler):
    def __init__(self, stream: IO[bytes], stubs: dict[str, type[Stub]], dtypes: dict[str, torch.dtype]) -> None:
        super().__init__(stream, encoding="latin1")
        self._stubs, self._dtypes, self._known = stubs, dtypes, _known()

    def find_class(self, module: str, name: str) -> Any:
        if module in ("torch", "torch.cuda") and name in _DTYPES:
            return _DTYPES[name]
        path = f"{module}.{name}"
        if path in self._known:
            return self._known[path]
        return self._stubs.setdefault(path, type("Stub", (Stub,), {"path": path}))

    def persistent_load(self, pid: Any) -> Any:
        if pid[0] == "module":  # a class and its source, in files of before 2020
            return pid[1]
        _, dtype, key, _, _, *view = pid
        self._dtypes[str(key)] = dtype
        return _Storage(str(key), dtype, view[0][1] if view and view[0] else 0)


def _known() -> dict[str, Callable[..., Any]]:
    """Return what a pickle may call: functions made for it alone, so that nothing it sets on them remains."""

    def view(storage: _Storage, offset: int, size: Any, stride: Any, *_rest: object) -> View:
        return View(storage, storage.offset + offset, tuple(size), tuple(stride))

    def first(value: Any, *_rest: object) -> Any:
        return value

    def apply(function: Any, _kind: object, arguments: Any, *_rest: object) -> Any:
        return function(*arguments)

    return {
        "collections.OrderedDict": OrderedDict,  # immutable, being built in
        "torch._utils._rebuild_tensor": view,
        "torch._utils._rebuild_tensor_v2": view,
        "torch._utils._rebuild_parameter": first,
        "torch._utils._rebuild_parameter_with_state": first,
        "torch._tensor._rebuild_from_type_v2": apply,
    }


def read_pickle(path: Path, *, zipped: bool) -> tuple[Any, tuple[str, ...]]:
    """Return what a file of `torch.save` holds, with its tensors mapped from the file, and the names that became stubs.

    Raises:
        EOFError: the file ends before its contents do.
        Exception: whatever a damaged file makes `pickle` and `zipfile` raise.
    """
    stubs: dict[str, type[Stub]] = {}
    content, records = (_read_zip if zipped else _read_legacy)(path, stubs)
    mapped = torch.from_file(str(path), shared=False, size=path.stat().st_size, dtype=torch.uint8)
    return _with_tensors(content, mapped, records, DEPTH, set()), tuple(stubs)


Records = dict[str, tuple[int, int]]  # storage -> its first byte in the file, and the byte behind its last


def _read_zip(path: Path, stubs: dict[str, type[Stub]]) -> tuple[Any, Records]:
    records: Records = {}
    with zipfile.ZipFile(path) as archive, path.open("rb") as stream:
        infos = {
            info.filename.rpartition("/data/")[2]: info for info in archive.infolist() if "/data/" in info.filename
        }
        main = next(name for name in archive.namelist() if name.rpartition("/")[2] == "data.pkl")
        with archive.open(main) as pickled:
            content = _Unpickler(pickled, stubs, {}).load()
        order = main.replace("data.pkl", "byteorder")
        if order in archive.namelist() and archive.read(order) != sys.byteorder.encode():
            raise ValueError(f"its numbers are in {archive.read(order).decode('latin1')}-endian order")
        for key, info in infos.items():
            if info.compress_type == zipfile.ZIP_STORED:
                stream.seek(info.header_offset + 26)
                lengths = stream.read(4)
                start = info.header_offset + 30 + sum(int.from_bytes(lengths[at : at + 2], "little") for at in (0, 2))
                records[key] = (start, start + info.file_size)
    return content, records


def _read_legacy(path: Path, stubs: dict[str, type[Stub]]) -> tuple[Any, Records]:
    records: Records = {}
    dtypes: dict[str, torch.dtype] = {}
    with path.open("rb") as stream:

        def load() -> Any:
            return _Unpickler(stream, stubs, dtypes).load()

        content = load()
        if content != LEGACY_MAGIC:
            return content, {}  # a pickle that PyTorch did not write has no storages
        _, _, content, keys = load(), load(), load(), load()
        at = stream.tell()
        for key in map(str, keys):
            stream.seek(at)
            start, at = at + 8, at + 8 + int.from_bytes(stream.read(8), "little") * dtypes[key].itemsize
            records[key] = (start, at)
    return content, records


def _with_tensors(value: Any, mapped: Tensor, records: Records, depth: int, seen: set[int]) -> Any:
    """Return `value` with tensors for the views in it; mappings that are nested too deep stay as they are."""
    if isinstance(value, View):
        return _tensor(value, mapped, records)
    if depth and isinstance(value, dict) and id(value) not in seen:
        seen.add(id(value))
        for key, inner in value.items():
            if isinstance(inner, (View, dict)):
                value[key] = _with_tensors(inner, mapped, records, depth - 1, seen)
    return value


def _tensor(view: View, mapped: Tensor, records: Records) -> Tensor:
    start, end = records[view.storage.key]
    if end > mapped.numel():
        raise EOFError
    size, dtype = view.storage.dtype.itemsize, view.storage.dtype
    raw = mapped[start : start + (end - start) // size * size]
    values = (raw.clone() if start % size else raw).view(dtype)
    last = view.offset + sum((count - 1) * step for count, step in zip(view.size, view.stride, strict=True))
    if view.offset < 0 or min(view.stride, default=0) < 0 or (0 not in view.size and last >= values.numel()):
        raise ValueError("a tensor lies outside its storage")
    return values.as_strided(view.size, view.stride, values.storage_offset() + view.offset)
