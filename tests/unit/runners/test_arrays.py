"""Images of other libraries on the host, and arrays on a GPU where the runner has none."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from fcn_deploy.errors import RunnerError, ShapeError
from fcn_deploy.runners.arrays import GpuArray, host_image, is_on_gpu
from fcn_deploy.runners.dlpack import CPU, CUDA
from fcn_deploy.runners.registry import open_runner

IMAGE = np.random.default_rng(0).integers(0, 256, (1, 40, 52, 3)).astype(np.uint8)


class OnHost:
    """DLPack and nothing else, as of a video decoder."""

    def __init__(self, array: np.ndarray) -> None:
        self._array = array

    def __dlpack_device__(self) -> tuple[int, int]:
        return CPU, 0

    def __dlpack__(self, **asked: object) -> object:
        return self._array.__dlpack__(**asked)


@pytest.mark.parametrize("library", [torch.from_numpy, OnHost, np.asarray, memoryview])
def test_arrays_of_the_host_are_views(library):
    array = host_image(library(IMAGE))
    assert np.shares_memory(array, IMAGE)
    assert array.shape == IMAGE.shape


@pytest.mark.parametrize("library", [torch.from_numpy, OnHost])
def test_arrays_of_the_host_work_in_every_runner(library):
    with open_runner("pytorch", "demo") as runner:
        expected = runner.infer({"image": IMAGE})["labels"]
        found = [runner.infer({"image": library(IMAGE)}), runner.result(runner.submit(library(IMAGE)))]
        assert all(np.array_equal(one["labels"], expected) for one in found)
        with pytest.raises(ShapeError, match=r"uint8\[40, 52, 3\]; expected uint8\[N, H, W, 3\]"):
            runner.submit(library(IMAGE[0]))


def test_which_arrays_are_on_a_gpu():
    assert is_on_gpu(GpuArray(0, (1,), np.dtype(np.uint8), 0))
    assert is_on_gpu(SimpleNamespace(__cuda_array_interface__={}))
    assert GpuArray(0, (1,), np.dtype(np.uint8), 3).__dlpack_device__() == (CUDA, 3)
    assert not any(map(is_on_gpu, (IMAGE, torch.from_numpy(IMAGE), OnHost(IMAGE), [1], "photo.png")))


def test_a_runner_without_a_gpu_says_what_to_do():
    words = r"^pytorch takes images on the host and gives labels there; copy \(tensor\.cpu\(\).* or open pytorch:cuda, "
    with open_runner("pytorch", "demo") as runner:
        for call in (
            lambda: runner.submit(GpuArray(0, (1, 40, 52, 3), np.dtype(np.uint8), 0)),
            lambda: runner.infer({"image": GpuArray(0, (1, 40, 52, 3), np.dtype(np.uint8), 0)}),
            lambda: runner.submit(IMAGE, on_gpu=True),
            lambda: runner.infer({"image": IMAGE}, on_gpu=True),
            lambda: next(runner.stream([IMAGE], on_gpu=True)),
        ):
            with pytest.raises(RunnerError, match=words):
                call()
        assert runner.infer({"image": IMAGE})["labels"].shape == (1, 40, 52)


def test_an_array_that_is_not_read_is_one_line():
    class Elsewhere:
        def __dlpack_device__(self) -> tuple[int, int]:
            return 8, 0  # of Apple's

        def __dlpack__(self, **asked: object) -> object:
            raise BufferError("it lies in\nMetal's memory")

    with open_runner("pytorch", "demo") as runner:
        for value, words in (
            (torch.from_numpy(IMAGE).to("meta"), "'image' is no array that can be read: torch: "),
            (Elsewhere(), "'image' is no array that can be read: tests: it lies in Metal's memory$"),
        ):
            with pytest.raises(ShapeError, match=words) as caught:
                runner.infer({"image": value})
            assert "\n" not in str(caught.value)
