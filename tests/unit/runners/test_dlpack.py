"""Capsules against the libraries that are here: NumPy and PyTorch read what we make, and we read what they make."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
import torch

from fcn_deploy.runners import dlpack
from fcn_deploy.runners.dlpack import CPU, Described, make_capsule, read_capsule


class Owner:
    """Lends the memory of `array` by DLPack, and can be seen to die."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    def __dlpack_device__(self) -> tuple[int, int]:
        return CPU, 0

    def __dlpack__(self, **asked: object) -> object:
        address = self.array.__array_interface__["data"][0]
        return make_capsule(address, self.array.shape, self.array.dtype, (CPU, 0), self)


@pytest.mark.parametrize("consumer", [np.from_dlpack, torch.from_dlpack])
@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64, np.float32, np.float16])
def test_numpy_and_pytorch_read_a_capsule_without_a_copy_and_let_go_of_it(consumer, dtype):
    owner = Owner(np.arange(2 * 3 * 5).reshape(2, 3, 5).astype(dtype))
    alive, array = weakref.ref(owner), owner.array
    taken = consumer(owner)
    del owner
    gc.collect()
    assert alive() is not None
    assert np.array_equal(np.asarray(taken), array)
    array[1, 2, 3] = 77
    assert taken[1, 2, 3] == 77
    del taken
    gc.collect()
    assert alive() is None
    assert dlpack._given == {}


def test_a_capsule_that_is_not_taken_keeps_nothing():
    owner = Owner(np.zeros(3, np.uint8))
    alive, capsule = weakref.ref(owner), owner.__dlpack__()
    del owner
    assert alive() is not None
    del capsule
    gc.collect()
    assert alive() is None


@pytest.mark.parametrize("library", [np.ascontiguousarray, torch.from_numpy])
def test_the_capsules_of_numpy_and_pytorch_are_read(library):
    array = np.zeros((2, 4, 6, 3), np.uint8)
    capsule = library(array).__dlpack__()
    found = read_capsule(capsule)
    assert found.address == array.__array_interface__["data"][0]
    assert (found.shape, found.dtype, found.device) == (array.shape, "uint8", (CPU, 0))
    assert found.strides in (None, (72, 18, 3, 1))


def test_offsets_strides_and_types_are_read():
    array = np.zeros((4, 6, 8), np.float32)
    found = read_capsule(array[1:, ::2, 3:].__dlpack__())
    assert found == Described(array.ctypes.data + 4 * (48 + 3), (3, 3, 5), (48, 16, 1), "float32", (CPU, 0))
    assert read_capsule(torch.zeros(2, dtype=torch.bfloat16).__dlpack__()).dtype == "bfloat16"
    assert read_capsule(np.zeros(2, bool).__dlpack__()).dtype == "bool"


def test_what_is_no_capsule_is_refused():
    with pytest.raises(ValueError, match="int is no DLPack capsule"):
        read_capsule(3)
    capsule = np.zeros(2, np.uint8).__dlpack__()
    torch.utils.dlpack.from_dlpack(capsule)
    with pytest.raises(ValueError, match="or was used before"):
        read_capsule(capsule)
