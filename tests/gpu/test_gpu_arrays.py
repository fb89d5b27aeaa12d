"""Images as PyTorch's tensors on a real GPU, and labels that stay there."""

from __future__ import annotations

import gc
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import fcn_deploy
from fcn_deploy.errors import RunnerError, ShapeError
from fcn_deploy.onnx_export.export import export_model
from fcn_deploy.onnx_export.proof import random_image
from fcn_deploy.runners.registry import open_runner
from tests.conftest import tiny_model

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU that PyTorch can use"),
]
SHAPES = ((1, 33, 47), (3, 65, 31), (1, 33, 47), (2, 128, 96))
SPECS = ["pytorch:cuda", "pytorch:cuda:fp16", "onnxruntime:cuda"]


@pytest.fixture(scope="module")
def onnx_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model, card = tiny_model()
    path = tmp_path_factory.mktemp("gpu") / "tiny.onnx"
    export_model(model, card, path, outputs=("labels", "logits"))
    return path


@pytest.fixture(params=SPECS)
def runner(request, onnx_file):
    import onnxruntime

    if "onnxruntime" in request.param and "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime has no CUDA provider")
    with open_runner(request.param, str(onnx_file), outputs=("labels", "logits")) as opened:
        yield opened


def interface(tensor: torch.Tensor, **changed: object) -> SimpleNamespace:
    """The tensor by the CUDA Array Interface alone."""
    told = {**tensor.__cuda_array_interface__, "version": 3, **changed}
    return SimpleNamespace(__cuda_array_interface__=told, keeps=tensor)


def host(outputs: dict[str, object]) -> dict[str, np.ndarray]:
    """Outputs on the GPU, or on the host, as NumPy's arrays."""
    return {name: torch.from_dlpack(value).cpu().numpy() for name, value in outputs.items()}


def require_same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    """Logits within the ten bits of TF32 and FP16, which a shape's own session or graph may round otherwise."""
    scale = np.abs(expected["logits"]).max()
    np.testing.assert_allclose(found["logits"], expected["logits"], rtol=0, atol=1e-2 * scale)
    best = np.sort(expected["logits"], axis=1)
    clear = best[:, -1] - best[:, -2] > 2e-2 * scale
    assert clear.any()
    assert np.array_equal(found["labels"][clear], expected["labels"][clear])


@pytest.mark.parametrize("protocol", ["DLPack", "interface"])
def test_tensors_give_the_outputs_of_numpys_arrays_with_and_without_a_copy_to_the_host(runner, protocol):
    for seed, shape in enumerate(SHAPES * 2):
        image = random_image(shape, seed)
        expected = runner.infer({"image": image})
        tensor = torch.from_numpy(image).cuda()
        default = torch.cuda.default_stream().cuda_stream or 1
        lent = tensor if protocol == "DLPack" else interface(tensor, stream=default)
        require_same(runner.infer({"image": lent}), expected)
        kept = runner.result(runner.submit(lent, on_gpu=True))
        runner.infer({"image": random_image(shape, seed + 100)})  # writes to no memory of the caller
        require_same(host(kept), expected)
        for value in kept.values():
            assert torch.from_dlpack(value).is_cuda
            assert torch.equal(torch.as_tensor(value, device="cuda"), torch.from_dlpack(value))


@pytest.mark.parametrize("protocol", ["DLPack", "interface"])
def test_an_image_is_waited_for_on_its_own_stream(runner, protocol):
    """The stream sleeps for tens of milliseconds before it writes the image."""
    image = random_image((1, 128, 96), 1)
    expected = runner.infer({"image": image})
    source, side = torch.from_numpy(image).cuda(), torch.cuda.Stream()
    for _ in range(4):  # the runs of the network itself, and those of a graph
        tensor = torch.zeros_like(source)
        torch.cuda.synchronize()
        with torch.cuda.stream(side):
            torch.cuda._sleep(100_000_000)
            tensor.copy_(source)
            # PyTorch's DLPack tells the current stream alone; the interface names its own.
            ticket = runner.submit(tensor) if protocol == "DLPack" else None
        if ticket is None:
            ticket = runner.submit(interface(tensor, stream=side.cuda_stream))
        require_same(runner.result(ticket), expected)


def test_outputs_outlive_the_runner(runner):
    image = random_image((1, 128, 96), 2)
    expected = runner.infer({"image": image})
    kept = [runner.infer({"image": image}, on_gpu=True) for _ in range(5)]
    runner.close()
    gc.collect()
    for outputs in kept:
        require_same(host(outputs), expected)


def test_memory_of_outputs_comes_back(runner):
    image = random_image((1, 512, 512), 2)

    def free() -> int:
        for _ in range(20):
            kept = [runner.infer({"image": image}, on_gpu=True) for _ in range(5)]
            del kept
        gc.collect()
        torch.cuda.synchronize()
        return torch.cuda.mem_get_info()[0]

    found = [free() for _ in range(5)]  # a shape that comes again may meanwhile get a session of its own
    assert min(before - after for before, after in pairwise(found)) < 8 << 20


def test_a_part_of_a_batch_that_is_not_aligned_runs(runner):
    batch = random_image((3, 33, 47), 5)  # 33 x 47 x 3 bytes are odd
    expected = runner.infer({"image": batch[1:2]})
    tensor = torch.from_numpy(batch).cuda()
    for _ in range(3):
        require_same(runner.infer({"image": tensor[1:2]}), expected)


def test_a_model_takes_tensors_and_leaves_labels_on_the_gpu(onnx_file):
    images = [random_image((1, 64, 96), seed)[0] for seed in range(5)]
    for spec in SPECS:
        try:
            model = fcn_deploy.load(onnx_file, runner=spec, on_gpu=True)
        except RunnerError as error:
            pytest.skip(str(error))
        with model:
            found = [torch.from_dlpack(one) for one in model([torch.from_numpy(image).cuda() for image in images])]
            assert all(one.is_cuda and tuple(one.shape) == (64, 96) for one in found)
            assert torch.equal(torch.from_dlpack(model(torch.from_numpy(images[4]).cuda())), found[4])


def test_tensors_that_cannot_be_taken_are_one_line_and_the_runner_goes_on(runner):
    image = random_image((1, 33, 48), 3)
    tensor = torch.from_numpy(image).cuda()
    bad = [
        (tensor.float(), ShapeError, r"float32\[1, 33, 48, 3\] on GPU 0; expected uint8"),
        (tensor[0], ShapeError, r"uint8\[33, 48, 3\] on GPU 0"),
        (tensor[:, :, ::2], ShapeError, "is not row-major; give a contiguous copy"),
        (interface(tensor[:, :, ::2]), ShapeError, "is not row-major"),
        (interface(tensor, data=(image.ctypes.data, False)), RunnerError, "lies in no GPU's memory"),
    ]
    for value, kind, words in bad:
        with pytest.raises(kind, match=words) as caught:
            runner.infer({"image": value})
        assert "\n" not in str(caught.value)
    expected = runner.infer({"image": image})
    for value in (tensor, tensor.cpu(), tensor.cpu().pin_memory()):
        require_same(runner.infer({"image": value}), expected)


def test_a_runner_of_the_cpu_says_what_to_do_with_a_tensor_of_the_gpu(onnx_file):
    tensor = torch.from_numpy(random_image((1, 33, 48), 3)).cuda()
    for spec in ("pytorch:cpu", "onnxruntime:cpu"):
        with open_runner(spec, str(onnx_file)) as opened, pytest.raises(RunnerError, match="images on the host"):
            opened.infer({"image": tensor})
