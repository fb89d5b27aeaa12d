"""Images as PyTorch's tensors on a real GPU, and labels that stay there."""

from __future__ import annotations

import gc
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

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
SPECS = ["pytorch:cuda", "onnxruntime:cuda"]


@pytest.fixture(scope="module")
def onnx_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model, card = tiny_model()
    path = tmp_path_factory.mktemp("gpu") / "tiny.onnx"
    export_model(model, card, path, outputs=("labels", "logits"))
    return path


@pytest.fixture(params=SPECS)
def runner(request, onnx_file):
    import onnxruntime

    if request.param != "pytorch:cuda" and "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime has no CUDA provider")
    with open_runner(request.param, str(onnx_file), outputs=("labels", "logits")) as opened:
        yield opened


def interface(tensor: torch.Tensor, **changed: object) -> SimpleNamespace:
    """The tensor by the CUDA Array Interface alone."""
    told = {**tensor.__cuda_array_interface__, "version": 3, **changed}
    return SimpleNamespace(__cuda_array_interface__=told, keeps=tensor)


@pytest.mark.parametrize("protocol", ["DLPack", "interface"])
def test_tensors_give_the_labels_of_numpys_arrays_with_and_without_a_copy_to_the_host(runner, protocol):
    for seed, shape in enumerate(SHAPES):
        image = random_image(shape, seed)
        expected = runner.infer({"image": image})
        tensor = torch.from_numpy(image).cuda()
        lent = (
            tensor if protocol == "DLPack" else interface(tensor, stream=torch.cuda.default_stream().cuda_stream or 1)
        )
        assert np.array_equal(runner.infer({"image": lent})["labels"], expected["labels"])
        kept = runner.result(runner.submit(lent, on_gpu=True))
        runner.infer({"image": random_image(shape, seed + 100)})  # writes to no memory of the caller
        for name, array in expected.items():
            found = torch.from_dlpack(kept[name])
            assert found.is_cuda
            np.testing.assert_allclose(found.cpu().numpy(), array, rtol=0, atol=1e-5 * np.abs(array).max())
            assert torch.equal(torch.as_tensor(kept[name], device="cuda"), found)


def test_an_image_is_waited_for_on_its_own_stream(runner):
    """The stream sleeps for tens of milliseconds before it writes the image."""
    shape = (1, 128, 96)
    image = random_image(shape, 1)
    expected = runner.infer({"image": image})["labels"]
    source, side = torch.from_numpy(image).cuda(), torch.cuda.Stream()
    torch.cuda.synchronize()
    for protocol in ("DLPack", "interface"):
        tensor = torch.zeros_like(source)
        torch.cuda.synchronize()
        with torch.cuda.stream(side):
            torch.cuda._sleep(100_000_000)
            tensor.copy_(source)
            lent = tensor if protocol == "DLPack" else interface(tensor, stream=side.cuda_stream)
            ticket = runner.submit(lent)
        assert np.array_equal(runner.result(ticket)["labels"], expected), protocol


def test_labels_outlive_the_runner_and_their_memory_comes_back(onnx_file, runner):
    image = random_image((1, 128, 96), 2)
    expected = runner.infer({"image": image})["labels"]
    kept = [runner.infer({"image": image}, on_gpu=True)["labels"] for _ in range(5)]
    runner.close()
    gc.collect()
    assert all(np.array_equal(torch.from_dlpack(one).cpu().numpy(), expected) for one in kept)


def test_a_part_of_a_batch_that_is_not_aligned_runs(runner):
    batch = random_image((3, 33, 47), 5)  # 33 x 47 x 3 bytes are odd
    expected = runner.infer({"image": batch[1:2]})["labels"]
    tensor = torch.from_numpy(batch).cuda()
    assert np.array_equal(runner.infer({"image": tensor[1:2]})["labels"], expected)


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
    expected = runner.infer({"image": image})["labels"]
    assert np.array_equal(runner.infer({"image": tensor})["labels"], expected)
    assert np.array_equal(runner.infer({"image": tensor.cpu()})["labels"], expected)
    assert np.array_equal(runner.infer({"image": tensor.cpu().pin_memory()})["labels"], expected)


def test_a_runner_of_the_cpu_says_what_to_do_with_a_tensor_of_the_gpu(onnx_file):
    tensor = torch.from_numpy(random_image((1, 33, 48), 3)).cuda()
    for spec in ("pytorch:cpu", "onnxruntime:cpu"):
        with open_runner(spec, str(onnx_file)) as opened, pytest.raises(RunnerError, match="images on the host"):
            opened.infer({"image": tensor})
