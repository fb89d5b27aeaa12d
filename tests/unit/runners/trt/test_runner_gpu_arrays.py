"""Images that lie on the GPU and outputs that stay there, on a fake GPU whose streams are as late as CUDA permits."""

from __future__ import annotations

import gc

import numpy as np
import pytest

from fcn_deploy.errors import RunnerError, ShapeError
from fcn_deploy.runners.arrays import GpuArray, gpu_image
from fcn_deploy.runners.registry import open_runner
from tests.support.fakes.machine import Machine
from tests.support.gpu_arrays import DlpackArray, InterfaceArray
from tests.support.tensorrt_nets import *  # noqa: F403  (fixtures)
from tests.support.tensorrt_nets import BOTH, PROFILES, noise, write_float_net

SHAPES = ((1, 33, 47), (1, 33, 47), (2, 40, 60), (1, 131, 67), (1, 33, 47), (4, 97, 99))
both_protocols = pytest.mark.parametrize("library", [DlpackArray, InterfaceArray])


@pytest.fixture(params=[None, 1, 2], ids=["late", "random", "random again"])
def machine(request, monkeypatch):
    made = Machine(monkeypatch, request.param)
    yield made
    gc.collect()
    made.check()


def content(machine: Machine, array: GpuArray) -> np.ndarray:
    """What another library finds at once."""
    told = array.__cuda_array_interface__
    assert told["stream"] is None
    return machine.gpu.view(told["data"][0], array.nbytes).copy().view(told["typestr"]).reshape(told["shape"])


@both_protocols
@pytest.mark.parametrize("on_gpu", [False, True])
def test_images_of_other_libraries_give_the_labels_of_onnxruntime(machine, net, reference, library, on_gpu):
    images = [noise(shape, seed) for seed, shape in enumerate(SHAPES)]
    lent = [library(machine.gpu, image) for image in images]
    machine.gpu.calls.clear()
    with open_runner("tensorrt", str(machine.build(net, PROFILES)), outputs=BOTH) as runner:
        found = list(runner.stream(lent, on_gpu=on_gpu))
        found.append(runner.infer({"image": lent[3]}, on_gpu=on_gpu))
    assert "memcpy_htod_async" not in machine.gpu.calls
    assert on_gpu != ("memcpy_dtoh_async" in machine.gpu.calls)
    for outputs, image in zip(found, [*images, images[3]], strict=True):
        expected = reference(image)
        for name in BOTH:
            array = content(machine, outputs[name]) if on_gpu else outputs[name]
            assert array.dtype == expected[name].dtype
            assert np.array_equal(array, expected[name])
    for image in lent:
        image.release()


def test_outputs_on_the_gpu_are_the_callers_own(machine, net, reference):
    """Later inferences do not write to them, a closed runner has no say in them, and the last reference frees them."""
    image = noise((2, 33, 47))
    with open_runner("tensorrt", str(machine.build(net, PROFILES))) as runner:
        labels = runner.infer({"image": image}, on_gpu=True)["labels"]
        for seed in range(1, 8):
            runner.result(runner.submit(noise((2, 33, 47), seed), on_gpu=seed % 2 == 0))
    second = labels[1]
    del labels
    gc.collect()
    assert np.array_equal(content(machine, second), reference(image)["labels"][1])
    assert (len(second), second.nbytes, str(second)) == (33, 33 * 47, "<uint8[33, 47] on GPU 0>")
    with pytest.raises(IndexError):
        second[33]
    assert len(machine.gpu.blocks) == 1
    del second
    gc.collect()
    assert machine.gpu.blocks == {}


def test_outputs_pass_to_another_library_by_dlpack(machine, net):
    with open_runner("tensorrt", str(machine.build(net, PROFILES))) as runner:
        labels = runner.infer({"image": noise((1, 33, 47))}, on_gpu=True)["labels"]
        capsule = labels.__dlpack__(stream=1, max_version=(1, 0), dl_device=(2, 0))
        assert labels.__dlpack_device__() == (2, 0)
        with pytest.raises(BufferError, match="copy it afterwards"):
            labels.__dlpack__(copy=True)
    del labels
    gc.collect()
    assert len(machine.gpu.blocks) == 1  # the capsule keeps it
    del capsule


def test_an_image_that_is_freed_at_once_is_kept_until_its_result(machine, net, reference):
    class Freed(InterfaceArray):
        def __del__(self) -> None:
            self.release()

    image = noise((1, 33, 47))
    with open_runner("tensorrt", str(machine.build(net, PROFILES))) as runner:
        ticket = runner.submit(Freed(machine.gpu, image))
        gc.collect()
        assert np.array_equal(runner.result(ticket)["labels"], reference(image)["labels"])


def bad_images(gpu):
    """Image -> error and what it says."""
    right = np.zeros((1, 33, 48, 3), np.uint8)
    return {
        InterfaceArray(gpu, right.astype(np.float32)): (
            ShapeError,
            r"float32\[1, 33, 48, 3\] on GPU 0; expected uint8",
        ),
        InterfaceArray(gpu, right[0]): (ShapeError, r"uint8\[33, 48, 3\] on GPU 0; expected uint8\[N, H, W, 3\]"),
        InterfaceArray(gpu, right[:, :, ::2]): (ShapeError, r"uint8\[1, 33, 24, 3\] on GPU 0 is not row-major; give a"),
        InterfaceArray(gpu, right, data=(1 << 48, True)): (
            RunnerError,
            r"lies on GPU 1 and the model on GPU 0; copy it",
        ),
        InterfaceArray(gpu, right, data=(12345, True)): (
            RunnerError,
            "lies in no GPU's memory and the model on GPU 0",
        ),
        InterfaceArray(gpu, right, stream=77): (
            RunnerError,
            r"the stream 77, which is not one of GPU 0 \(cuEventRecord fail",
        ),
        InterfaceArray(gpu, right, shape=None): (ShapeError, "is no array that can be read: tests: "),
        InterfaceArray(gpu, right, data=None): (ShapeError, "is no array that can be read: tests: "),
        InterfaceArray(gpu, right, typestr="|V0", strides=(1, 1, 1, 1)): (ShapeError, "is no array that can be read"),
        InterfaceArray(gpu, right, mask=right): (ShapeError, "is no array that can be read: tests: it has a mask$"),
        InterfaceArray(gpu, right, typestr="uint8?"): (ShapeError, "is no array that can be read: tests: .*uint8"),
        DlpackArray(gpu, right, 1): (RunnerError, r"lies on GPU 1 and the model on GPU 0; copy it there first"),
        DlpackArray(gpu, right.astype(np.int64)): (ShapeError, r"int64\[1, 33, 48, 3\] on GPU 0"),
        DlpackArray(gpu, np.zeros((5, 33, 48, 3), np.uint8)): (ShapeError, "no profile of the engine holds 5x33x48"),
    }


def test_an_image_that_cannot_be_taken_is_one_line_and_the_runner_goes_on(machine, net, reference):
    image = noise((1, 33, 47))
    with open_runner("tensorrt", str(machine.build(net, PROFILES))) as runner:
        for bad, (kind, words) in bad_images(machine.gpu).items():
            for call in (lambda bad=bad: runner.submit(bad), lambda bad=bad: runner.infer({"image": bad})):
                with pytest.raises(kind, match=words) as caught:
                    call()
                assert "\n" not in str(caught.value)
            bad.release()
        assert np.array_equal(runner.infer({"image": image})["labels"], reference(image)["labels"])


def test_a_library_that_refuses_is_named_with_its_words(machine, net):
    class Refusing(DlpackArray):
        def __dlpack__(self, *, stream=None):
            raise BufferError("it needs\na gradient")

    image = Refusing(machine.gpu, noise((1, 33, 47)))
    words = r"^'image': tests does not give it by DLPack: it needs a gradient$"
    with open_runner("tensorrt", str(machine.build(net, PROFILES))) as runner, pytest.raises(RunnerError, match=words):
        runner.submit(image)
    image.release()


def test_strides_of_dlpack_are_those_of_elements():
    class Strided(DlpackArray):
        def __init__(self, array):
            self.array, self.number = array, 0

        def __dlpack__(self, *, stream=None):
            return self.array.__dlpack__()

    whole = np.zeros((1, 33, 48, 3), np.uint8)
    assert gpu_image(Strided(whole), 0, 1).shape == whole.shape
    assert gpu_image(Strided(whole[:, 3:9]), 0, 1).address == whole.ctypes.data + 3 * 48 * 3
    with pytest.raises(ShapeError, match=r"uint8\[1, 33, 24, 3\] on GPU 0 is not row-major"):
        gpu_image(Strided(whole[:, :, ::2]), 0, 1)


def test_too_little_memory_for_the_outputs_is_one_line_and_leaves_the_slot_free(machine, net, reference):
    image = noise((1, 33, 47))
    with open_runner("tensorrt", str(machine.build(net, PROFILES))) as runner:
        machine.gpu.fail_next("cuMemAlloc_v2")
        with pytest.raises(RunnerError, match="cuMemAlloc_v2 failed: CUDA_ERROR_OUT_OF_MEMORY"):
            runner.submit(image, on_gpu=True)
        labels = [runner.result(runner.submit(image))["labels"] for _ in range(3)]
        assert all(np.array_equal(one, reference(image)["labels"]) for one in labels)


def test_a_float_engine_has_work_for_the_host_and_takes_no_image_on_the_gpu(machine, tmp_path):
    engine = machine.build(write_float_net(tmp_path / "float.onnx"), PROFILES)
    image = DlpackArray(machine.gpu, noise((1, 33, 47)))
    with open_runner("tensorrt", str(engine)) as runner:
        for call in (lambda: runner.submit(image), lambda: runner.infer({"image": noise((1, 33, 47))}, on_gpu=True)):
            with pytest.raises(RunnerError, match="tensorrt takes images on the host and gives labels there; copy"):
                call()
    image.release()
