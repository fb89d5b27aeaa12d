"""Read and make DLPack capsules, by which libraries pass an array on without a copy: dmlc.github.io/dlpack/latest.

The structs are those of dlpack.h, of the first version, which every library still gives and takes.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

import numpy as np

CPU, CUDA, CUDA_MANAGED = 1, 2, 13  # DLDeviceType
_KINDS = {0: "int", 1: "uint", 2: "float", 4: "bfloat", 5: "complex", 6: "bool"}  # DLDataTypeCode
_NAME = b"dltensor"


class _DLTensor(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


class _DLManagedTensor(ctypes.Structure):
    _fields_ = (("tensor", _DLTensor), ("context", ctypes.c_void_p), ("deleter", ctypes.c_void_p))


def _api(name: str, result: Any, *arguments: Any) -> Any:
    return ctypes.PYFUNCTYPE(result, *arguments)((name, ctypes.pythonapi))


_new = _api("PyCapsule_New", ctypes.py_object, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
_is_valid = _api("PyCapsule_IsValid", ctypes.c_int, ctypes.py_object, ctypes.c_char_p)
_pointer = _api("PyCapsule_GetPointer", ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)
# A destructor gets a capsule that is no longer alive: its bare address, which must not become a Python object.
_is_valid_at = _api("PyCapsule_IsValid", ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p)
_pointer_at = _api("PyCapsule_GetPointer", ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)


@dataclass(frozen=True)
class Described:
    """What a capsule says of an array; `strides` in elements, None for a row-major array."""

    address: int
    shape: tuple[int, ...]
    strides: tuple[int, ...] | None
    dtype: str
    device: tuple[int, int]


def read_capsule(capsule: Any) -> Described:
    """Read a capsule, which must be kept as long as the array is used; ValueError if it is not one."""
    if not _is_valid(capsule, _NAME):
        raise ValueError(f"{type(capsule).__name__} is no DLPack capsule, or was used before")
    tensor = ctypes.cast(_pointer(capsule, _NAME), ctypes.POINTER(_DLManagedTensor)).contents.tensor
    strides = tuple(tensor.strides[: tensor.ndim]) if tensor.strides else None
    kind = _KINDS.get(tensor.code, "type") + ("" if tensor.code == 6 else str(tensor.bits))
    dtype = kind if tensor.lanes == 1 else f"{kind}x{tensor.lanes}"
    address = (tensor.data or 0) + tensor.byte_offset
    return Described(
        address, tuple(tensor.shape[: tensor.ndim]), strides, dtype, (tensor.device_type, tensor.device_id)
    )


# Address of a struct that was given away -> what must live as long as it.
_given: dict[int, tuple[Any, ...]] = {}


def _release(managed: int) -> None:
    """Let go of what a consumer has done with."""
    _given.pop(managed, None)


def _drop(capsule: int) -> None:
    """Let go of what no consumer took; one that takes it renames the capsule."""
    if _is_valid_at(capsule, _NAME):
        _release(_pointer_at(capsule, _NAME))


_DELETER, _DESTRUCTOR = (ctypes.CFUNCTYPE(None, ctypes.c_void_p)(function) for function in (_release, _drop))


def make_capsule(
    address: int, shape: tuple[int, ...], dtype: np.dtype[Any], device: tuple[int, int], owner: Any
) -> Any:
    """Return a capsule of a row-major array that `owner` keeps alive; `device` is DLPack's (type, number)."""
    dims = (ctypes.c_int64 * len(shape))(*shape)
    code = {"i": 0, "u": 1, "f": 2}[dtype.kind]
    managed = _DLManagedTensor()
    managed.tensor = _DLTensor(address, *device, len(shape), code, 8 * dtype.itemsize, 1, dims, None, 0)
    managed.deleter = ctypes.cast(_DELETER, ctypes.c_void_p)
    where = ctypes.addressof(managed)
    _given[where] = (managed, dims, owner)
    return _new(where, _NAME, ctypes.cast(_DESTRUCTOR, ctypes.c_void_p))
