"""What the runner does on CUDA with arrays on the GPU, where the GPU's memory is the host's and the driver a double."""

from __future__ import annotations

import ctypes
import gc
from typing import Any

import numpy as np
import pytest

from fcn_deploy.errors import RunnerError
from fcn_deploy.runners import driver_calls
from fcn_deploy.runners.arrays import GpuArray
from fcn_deploy.runners.driver_calls import DEFAULT_STREAM
from fcn_deploy.runners.ort.options import ProviderOptions
from fcn_deploy.runners.ort.runner import OrtRunner
from fcn_deploy.runners.registry import open_runner
from tests.support.onnx_files import write_graph
from tests.support.tensorrt_nets import BOTH, noise


class HostDriver:
    """A driver whose GPU memory is the host's: copies run when their stream is waited for."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Any, ...]] = []
        self.contexts = 0
        self.allocated: dict[int, np.ndarray] = {}

    def __getattr__(self, name: str) -> Any:
        if name.startswith("cuCtx"):
            self.contexts += 1 if "Push" in name else -1
        return lambda *arguments: 0

    def cuPointerGetAttribute(self, found: Any, attribute: int, address: Any) -> int:  # noqa: N802
        found._obj.value = 0
        return 0

    def cuMemAlloc_v2(self, found: Any, nbytes: Any) -> int:  # noqa: N802
        memory = np.zeros(nbytes.value, np.uint8)
        self.allocated[memory.ctypes.data] = memory
        found._obj.value = memory.ctypes.data
        return 0

    def cuMemFree_v2(self, address: Any) -> int:  # noqa: N802
        del self.allocated[address.value]
        return 0

    def cuMemcpyDtoDAsync_v2(self, target: Any, source: Any, nbytes: Any, stream: Any) -> int:  # noqa: N802
        assert self.contexts > 0
        self.waiting.append((target.value, source.value, nbytes.value, stream.value))
        return 0

    def cuStreamSynchronize(self, stream: Any) -> int:  # noqa: N802
        for target, source, nbytes, on in self.waiting:
            assert on == stream.value == DEFAULT_STREAM
            ctypes.memmove(target, source, nbytes)
        self.waiting.clear()
        return 0


class Lent:
    """An array of a library that names its address alone."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {"shape": self.array.shape, "typestr": "|u1", "data": (self.array.ctypes.data, False), "version": 2}


@pytest.fixture
def cuda(monkeypatch):
    driver = HostDriver()
    monkeypatch.setattr(driver_calls, "driver_library", lambda: driver)
    monkeypatch.setattr(OrtRunner, "_gpu", lambda runner, slot: (0, DEFAULT_STREAM))
    return driver


def content(array: GpuArray) -> np.ndarray:
    kind = np.ctypeslib.as_array((ctypes.c_uint8 * array.nbytes).from_address(array.address))
    return kind.view(array.dtype).reshape(array.shape).copy()


@pytest.mark.parametrize("fixed_shapes", [0, 1])
def test_an_image_on_the_gpu_is_copied_within_it_and_outputs_stay(tmp_path, cuda, fixed_shapes):
    path, asked = str(write_graph(tmp_path / "net.onnx", outputs=BOTH)), ProviderOptions(fixed_shapes=fixed_shapes)
    with open_runner("onnxruntime", path, outputs=BOTH, provider=asked) as runner:
        kept = []
        for seed, shape in enumerate([(1, 33, 47), (1, 33, 47), (2, 20, 30), (1, 33, 47)]):
            image = noise(shape, seed)
            expected = runner.infer({"image": image})
            lent = Lent(image.copy())
            found = runner.infer({"image": lent}, on_gpu=True)
            ticket = runner.submit(lent)
            lent.array[:] = 0  # its memory was copied
            assert np.array_equal(runner.result(ticket)["labels"], expected["labels"])
            kept.append((found, expected))
        assert cuda.contexts == 0
        assert bool(cuda.allocated) == bool(fixed_shapes)  # a fixed session's outputs are copied out of its buffers
    for found, expected in kept:  # later runs write elsewhere, and a closed runner has no say in them
        for name in BOTH:
            assert found[name].dtype == expected[name].dtype
            assert np.array_equal(content(found[name]), expected[name])
    del found, kept
    gc.collect()
    assert not cuda.allocated


def test_work_for_the_host_excludes_the_gpu(tmp_path):
    with open_runner("onnxruntime", str(write_graph(tmp_path / "net.onnx", outputs=("logits",)))) as runner:
        runner._device = "cuda"
        with pytest.raises(RunnerError, match="onnxruntime takes images on the host and gives labels there"):
            runner.require_gpu()
        runner._device = "cpu"
