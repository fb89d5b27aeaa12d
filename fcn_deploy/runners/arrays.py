"""Take images on the host or on a GPU, from any library, and give arrays on a GPU to any.

On a GPU an array is known by one of two protocols: DLPack (`__dlpack__`, `__dlpack_device__`) or the CUDA Array
Interface (`__cuda_array_interface__`, numba.readthedocs.io/en/stable/cuda/cuda_array_interface.html).
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.errors import RunnerError, ShapeError, one_line
from fcn_deploy.runners.dlpack import CUDA, CUDA_MANAGED, Described, make_capsule, read_capsule
from fcn_deploy.runners.driver_calls import allocate, free, let_wait, ordinal_of, primary_context
from fcn_deploy.vocabulary import INPUT, Shape


class GpuArray:
    """A row-major array in the memory of GPU number `device`; `owner` keeps its memory.

    CuPy, Numba, PyTorch and others take it without a copy: `cupy.asarray(it)`, `torch.from_dlpack(it)`. What it holds
    is there: no stream needs to be waited for. `it[0]` is the first of a batch.
    """

    def __init__(
        self, address: int, shape: tuple[int, ...], dtype: np.dtype[Any], device: int, owner: object = None
    ) -> None:
        self.address, self.shape, self.dtype, self.device, self.owner = address, shape, dtype, device, owner

    @classmethod
    def empty(cls, shape: tuple[int, ...], dtype: np.dtype[Any], device: int) -> GpuArray:
        """Return memory of its own, freed with the last reference; RunnerError if there is too little.

        Call it while the primary context is current.
        """
        array = cls(0, shape, dtype, device)
        array.address = allocate(array.nbytes)
        # The process frees what it holds at its end, when the driver may be gone already.
        weakref.finalize(array, free, device, array.address).atexit = False
        return array

    @property
    def nbytes(self) -> int:
        return int(np.prod(self.shape)) * self.dtype.itemsize

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        data, dtype = (self.address, False), self.dtype.str
        return {"shape": self.shape, "typestr": dtype, "data": data, "strides": None, "stream": None, "version": 3}

    def __dlpack_device__(self) -> tuple[int, int]:
        return CUDA, self.device

    def __dlpack__(
        self,
        *,
        stream: int | None = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        if copy or dl_device not in (None, self.__dlpack_device__()):
            raise BufferError("it is given as it is on its GPU; copy it afterwards")
        return make_capsule(self.address, self.shape, self.dtype, self.__dlpack_device__(), self)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: int) -> GpuArray:
        if not 0 <= index < len(self):
            raise IndexError(f"index {index} of {len(self)}")
        part = GpuArray(self.address, self.shape[1:], self.dtype, self.device, self)
        part.address += index * part.nbytes
        return part

    def __repr__(self) -> str:
        return f"<{self.dtype}{list(self.shape)} on GPU {self.device}>"


@dataclass(frozen=True)
class BatchOfOne:
    """An image [H, W, 3] on a GPU, as a batch of one."""

    image: Any


def is_on_gpu(value: Any) -> bool:
    """Return whether `value` is an array in the memory of a GPU."""
    if isinstance(value, (np.ndarray, BatchOfOne)):
        return isinstance(value, BatchOfOne)
    if hasattr(value, "__dlpack_device__"):
        with _readable(value):
            return value.__dlpack_device__()[0] in (CUDA, CUDA_MANAGED)
    return hasattr(value, "__cuda_array_interface__")


def as_batch(image: Any) -> Any:
    """Return an image on a GPU as a batch, [N, H, W, 3] as it is and [H, W, 3] as a batch of one.

    Raises:
        ShapeError: it does not say its shape.
    """
    with _readable(image):
        if hasattr(image, "__cuda_array_interface__"):
            sides = len(image.__cuda_array_interface__["shape"])
        else:
            sides = len(read_capsule(image.__dlpack__(stream=-1)).shape)  # -1: no stream waits
    return image if sides == 4 else BatchOfOne(image)


def one_image(feeds: Mapping[str, Any]) -> Any:
    """Return the feed called "image"; ShapeError if it is not the only one."""
    if set(feeds) != {INPUT}:
        raise ShapeError(f"the feeds are {sorted(feeds)}; expected '{INPUT}' alone")
    return feeds[INPUT]


def shape_of(image: NDArray[np.uint8] | GpuArray) -> Shape:
    """Return (N, H, W) of uint8[N, H, W, 3]."""
    batch, height, width, _ = image.shape
    return batch, height, width


def host_array(value: Any) -> NDArray[Any]:
    """Return what NumPy reads of `value`, of a DLPack array of the host a view; ShapeError if it reads nothing."""
    with _readable(value):
        if hasattr(value, "__dlpack__") and not hasattr(value, "__array__"):
            view: NDArray[Any] = np.from_dlpack(value)
            return view
        return np.asarray(value)


@contextmanager
def _readable(value: Any) -> Iterator[None]:
    """Turn what another library raises over an array that neither NumPy nor CUDA reads into ShapeError."""
    try:
        yield
    except Exception as error:
        raise ShapeError(f"'{INPUT}' is no array that can be read: {_library(value)}: {one_line(error)}") from error


def host_image(value: Any) -> NDArray[np.uint8]:
    """Return an image batch on the host, checked and contiguous.

    Raises:
        ShapeError: saying what was found and what is needed.
    """
    image = host_array(value)
    # The name of a dtype takes NumPy some microseconds.
    _check("uint8" if image.dtype == np.uint8 else str(image.dtype), image.shape, "")
    return np.ascontiguousarray(image)


def gpu_image(value: Any, ordinal: int, stream: int) -> GpuArray:
    """Return an image batch on GPU `ordinal`; what comes on `stream` from now on finds it complete.

    Raises:
        ShapeError: another type or shape, or not row-major.
        RunnerError: it lies on another GPU, or its library or its stream does not give it.
    """
    alone = isinstance(value, BatchOfOne)
    image = value.image if alone else value
    found, owner = (_by_dlpack if hasattr(image, "__dlpack__") else _by_interface)(image, ordinal, stream)
    shape = (1, *found.shape) if alone else found.shape
    where = f" on GPU {ordinal}"
    _check(found.dtype, shape, where)
    if not _is_row_major(found):
        raise ShapeError(f"'{INPUT}' {found.dtype}{list(shape)}{where} is not row-major; give a contiguous copy of it")
    return GpuArray(found.address, shape, np.dtype(np.uint8), ordinal, owner)


def _check(dtype: str, shape: Sequence[int], where: str) -> None:
    if dtype != "uint8" or len(shape) != 4 or shape[3] != 3 or 0 in shape:
        raise ShapeError(
            f"'{INPUT}' is {dtype}{list(shape)}{where}; expected uint8[N, H, W, 3], RGB, with N, H, W >= 1"
        )


def _by_dlpack(image: Any, ordinal: int, stream: int) -> tuple[Described, object]:
    """Read what DLPack says; its library has `stream` wait. The capsule keeps the memory."""
    _check_gpu(image.__dlpack_device__()[1], ordinal)
    try:
        capsule = image.__dlpack__(stream=stream)
        return read_capsule(capsule), capsule
    except Exception as error:  # of any library
        raise RunnerError(f"'{INPUT}': {_library(image)} does not give it by DLPack: {one_line(error)}") from error


def _by_interface(image: Any, ordinal: int, stream: int) -> tuple[Described, object]:
    """Read what the CUDA Array Interface says, and have `stream` wait for the one that it names."""
    with _readable(image):
        described = image.__cuda_array_interface__
        dtype, earlier = np.dtype(described["typestr"]), described.get("stream")
        address, shape = int(described["data"][0] or 0), tuple(map(int, described["shape"]))
        strides = described.get("strides")
        steps = None if strides is None else tuple(int(stride) // dtype.itemsize for stride in strides)
        if described.get("mask") is not None:
            raise ValueError("it has a mask")
    with primary_context(ordinal):
        if address:
            _check_gpu(ordinal_of(address), ordinal)
        if earlier is not None:
            try:
                let_wait(stream, int(earlier))
            except RunnerError as error:
                raise RunnerError(
                    f"'{INPUT}' names the stream {earlier}, which is not one of GPU {ordinal} ({error}); make it on a "
                    "stream of that GPU"
                ) from error
    return Described(address, shape, steps, str(dtype), (CUDA, ordinal)), image


def _library(value: Any) -> str:
    return type(value).__module__.partition(".")[0]


def _is_row_major(found: Described) -> bool:
    expected = 1
    for size, stride in zip(reversed(found.shape), reversed(found.strides or ()), strict=False):
        if size > 1 and stride != expected:
            return False
        expected *= size
    return True


def _check_gpu(found: int, ordinal: int) -> None:
    if found != ordinal:
        where = f"on GPU {found}" if found >= 0 else "in no GPU's memory"
        raise RunnerError(f"'{INPUT}' lies {where} and the model on GPU {ordinal}; copy it there first")
