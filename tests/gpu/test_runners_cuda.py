"""The runners on a real NVIDIA GPU, against the CPU reference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from fcn_deploy.benchmark.timing.timed_runner import InProcess
from fcn_deploy.contract import Contract
from fcn_deploy.onnx_export.export import export_model
from fcn_deploy.onnx_export.proof import random_image
from fcn_deploy.runners.ort.options import ProviderOptions
from fcn_deploy.runners.registry import open_runner
from fcn_deploy.runners.transfers import Download, Upload
from tests.conftest import tiny_model

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU that PyTorch can use"),
]


@pytest.fixture(scope="module")
def onnx_file(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Contract]:
    model, card = tiny_model()
    path = tmp_path_factory.mktemp("gpu") / "tiny.onnx"
    export_model(model, card, path, outputs=("labels", "logits"))
    return path, Contract(model, card)


def _has(spec: str) -> bool:
    import onnxruntime

    return spec.startswith("pytorch") or "CUDAExecutionProvider" in onnxruntime.get_available_providers()


@pytest.mark.parametrize("spec", ["pytorch:cuda", "onnxruntime:cuda"])
def test_labels_and_logits_are_those_of_the_cpu_reference(onnx_file, spec):
    if not _has(spec):
        pytest.skip("this onnxruntime has no CUDA provider")
    path, reference = onnx_file
    with open_runner(spec, str(path), outputs=("labels", "logits")) as runner:
        for seed, shape in enumerate([(1, 33, 47), (3, 65, 31), (1, 33, 47), (2, 128, 96)]):
            image = random_image(shape, seed)
            results = runner.infer({"image": image})
            with torch.inference_mode():
                expected = reference.logits(torch.from_numpy(image)).numpy()
            # TF32 multiplies keep ten bits: single logits move by about 1e-3 of the largest.
            scale = np.abs(expected).max()
            np.testing.assert_allclose(results["logits"], expected, rtol=0, atol=5e-3 * scale)
            best = np.sort(expected, axis=1)
            clear = best[:, -1] - best[:, -2] > 1e-2 * scale
            assert np.array_equal(results["labels"][clear], expected.argmax(1)[clear])


def test_pytorchs_steps_are_timed_by_events_within_what_the_host_waits_for(onnx_file):
    with open_runner("pytorch:cuda", str(onnx_file[0])) as runner:
        timed = InProcess(runner)
        for _ in range(3):
            timing = timed.time(random_image((2, 65, 31), 0))
    assert timing.device is not None
    assert all(0 < device <= host for device, host in zip(timing.device, timing.host, strict=True))


SHAPES = [(1, 33, 47), (1, 33, 47), (3, 65, 31), (1, 33, 47), (3, 65, 31), (2, 128, 96), (3, 65, 31), (1, 33, 47)]


def _check_labels(runner, reference: Contract, shape: tuple[int, int, int], seed: int, tolerance: float) -> None:  # type: ignore[no-untyped-def]
    """Labels are those of the reference wherever its two best logits differ by more than the type can move them."""
    image = random_image(shape, seed)
    labels = runner.infer({"image": image})["labels"]
    with torch.inference_mode():
        expected = reference.logits(torch.from_numpy(image)).numpy()
    best = np.sort(expected, axis=1)
    clear = best[:, -1] - best[:, -2] > tolerance * np.abs(expected).max()
    assert clear.mean() > 0.3
    assert np.array_equal(labels[clear], expected.argmax(1)[clear])


@pytest.mark.parametrize(("spec", "tolerance"), [("pytorch:cuda:fp16", 0.01), ("pytorch:cuda:bf16", 0.08)])
def test_pytorch_in_other_types_captures_shapes_that_come_again_and_keeps_the_labels(onnx_file, spec, tolerance):
    path, reference = onnx_file
    with open_runner(spec, str(path)) as runner:
        runner.tune_at_once = True
        for seed, shape in enumerate(SHAPES):
            _check_labels(runner, reference, shape, seed, tolerance)
        assert [note.partition(" in ")[0] for note in runner.notes] == [
            f"{shape}: captured as a CUDA graph" for shape in ("1x33x47", "3x65x31")
        ]


def test_pytorch_gives_up_its_graphs_and_goes_on(onnx_file):
    path, reference = onnx_file
    with open_runner("pytorch:cuda:fp16", str(path)) as runner:
        runner.tune_at_once = True
        for seed, shape in enumerate(SHAPES[:4]):
            _check_labels(runner, reference, shape, seed, 0.01)
        runner._shapes.drop("a test")
        for seed, shape in enumerate(SHAPES):
            _check_labels(runner, reference, shape, seed, 0.01)


def test_onnxruntime_runs_shapes_that_come_again_as_cuda_graphs(onnx_file):
    if not _has("onnxruntime:cuda"):
        pytest.skip("this onnxruntime has no CUDA provider")
    path, reference = onnx_file
    with open_runner("onnxruntime:cuda", str(path)) as runner:
        runner.tune_at_once = True
        for seed, shape in enumerate(SHAPES):
            _check_labels(runner, reference, shape, seed, 0.01)
        opened = [note for note in runner.notes if "a session with its sizes fixed" in note]
        assert [note.partition(":")[0] for note in opened] == ["1x33x47", "3x65x31"]
        assert all("enable_cuda_graph=1" in note and "failed" not in note for note in opened)


def test_onnxruntimes_graphs_are_bounded_and_right_in_any_order_of_shapes(onnx_file):
    if not _has("onnxruntime:cuda"):
        pytest.skip("this onnxruntime has no CUDA provider")
    path, reference = onnx_file
    with open_runner("onnxruntime:cuda", str(path), provider=ProviderOptions(fixed_shapes=2)) as runner:
        chance = np.random.default_rng(0)
        for seed in range(25):
            _check_labels(runner, reference, (1, 32 + int(chance.integers(0, 4)), 47), seed, 0.01)
        assert len(runner._pool) == 2


@pytest.mark.parametrize("shape", [(1, 33, 47, 3), (1, 1024, 2048, 3)])
def test_every_way_of_copying_brings_all_of_it(shape):
    array = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    tensor = torch.zeros(shape, dtype=torch.uint8, device="cuda")
    upload, download = Upload(tensor), Download(tensor)
    for write in (upload.write, upload._by_numpy, upload._by_torch, upload._directly):
        for read in (download.read, download._pinned, download._directly):
            tensor.zero_()
            write(torch.from_numpy(array))
            assert np.array_equal(read(), array)


@pytest.mark.parametrize("spec", ["pytorch:cuda:fp16", "onnxruntime:cuda"])
def test_images_and_labels_on_the_gpu_go_through_a_graph_and_belong_to_the_caller(onnx_file, spec):
    if not _has(spec):
        pytest.skip("this onnxruntime has no CUDA provider")
    with open_runner(spec, str(onnx_file[0])) as runner:
        runner.tune_at_once = True
        kept = []
        for seed in range(5):
            image = random_image((1, 33, 47), seed)
            on_gpu = torch.from_numpy(image).cuda()
            found = runner.infer({"image": on_gpu}, on_gpu=True)["labels"]
            on_gpu.zero_()
            kept.append((found, runner.infer({"image": image})["labels"]))
        assert any("graph" in note for note in runner.notes)
        for found, expected in kept[1:]:  # the first was no graph's, and may be rounded otherwise
            assert np.array_equal(torch.from_dlpack(found).cpu().numpy(), expected)
