"""PyTorch in BF16 and compiled, for real on the CPU; CUDA graphs by a double here, and for real in tests/gpu."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from fcn_deploy.contract import Contract
from fcn_deploy.errors import RunnerError
from fcn_deploy.runners import pytorch as pytorch_runner
from fcn_deploy.runners import pytorch_shapes, transfers
from fcn_deploy.runners.pytorch import TorchRunner
from fcn_deploy.runners.pytorch_mode import TorchMode
from fcn_deploy.runners.pytorch_shapes import RUNS_BEFORE_CAPTURE, NarrowContract, TorchShape
from fcn_deploy.runners.registry import open_runner
from fcn_deploy.runners.transfers import ALL_THREADS
from tests.conftest import tiny_model

SHAPES = [(1, 33, 47), (2, 65, 31), (1, 33, 47), (1, 33, 47)]
# BF16 keeps 8 bits: on the tiny net's random weights, labels flip only where two logits are within about 1 %.
SAME = 0.97


def image_of(shape: tuple[int, int, int]) -> np.ndarray:
    return np.random.default_rng(sum(shape)).integers(0, 256, (*shape, 3)).astype(np.uint8)


def labels_and_logits(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    model, card = tiny_model()
    with torch.inference_mode():
        logits = Contract(model, card).logits(torch.from_numpy(image)).numpy()
    return logits.argmax(1), logits


@pytest.fixture
def bf16():
    model, card = tiny_model()
    mode = TorchMode("cpu", torch.bfloat16)
    with TorchRunner("pytorch:cpu:bf16", model, card, mode=mode, outputs=("labels", "logits")) as runner:
        yield runner


def test_bf16_gives_nearly_the_labels_of_fp32(bf16):
    for shape in SHAPES:
        found = bf16.infer({"image": image_of(shape)})
        labels, logits = labels_and_logits(image_of(shape))
        assert found["labels"].dtype == np.uint8
        assert found["logits"].dtype == np.float32
        assert np.mean(found["labels"] == labels) > SAME
        assert 0 < np.abs(found["logits"] - logits).max() < 0.05 * np.abs(logits).max()
    assert bf16.notes == ()


def test_bf16_weights_lie_channels_last_and_the_image_is_never_transposed(bf16):
    network = bf16._network
    assert {weight.dtype for weight in network.parameters()} == {torch.bfloat16}
    assert all(
        weight.is_contiguous(memory_format=torch.channels_last) for weight in network.parameters() if weight.ndim == 4
    )
    image = torch.from_numpy(image_of((2, 33, 47)))
    assert network.normalise(image).is_contiguous(memory_format=torch.channels_last)


def test_a_bgr_card_flips_the_channels_in_any_type():
    from dataclasses import replace

    _, card = tiny_model()
    card = replace(card, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), channel_order="BGR")
    contract = NarrowContract(nn.Identity(), card, torch.bfloat16)
    image = np.zeros((1, 2, 2, 3), np.uint8)
    image[..., 0] = 128
    assert contract(torch.from_numpy(image)).unique().tolist() == [2]


def test_the_network_that_a_source_keeps_for_others_stays_in_fp32():
    model, card = tiny_model()
    with open_runner("pytorch:cpu:bf16", "demo", load=lambda: (model, card)) as runner:
        runner.infer({"image": image_of((1, 33, 47))})
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}


@pytest.fixture(params=["aot_eager", pytest.param("inductor", marks=pytest.mark.long)])
def compiler(request, monkeypatch):
    """Compile by a backend that needs no C++ compiler, and by the one that users get, which takes 30 s."""
    if request.param == "inductor" and shutil.which("g++") is None:
        pytest.skip("no C++ compiler")
    compiled = partial(torch.compile, backend=request.param)
    monkeypatch.setattr(pytorch_shapes.torch, "compile", compiled)


@pytest.mark.usefixtures("compiler")
def test_a_shape_that_comes_again_is_compiled_and_gives_the_same_labels():
    model, card = tiny_model()
    with TorchRunner("pytorch:cpu:compile", model, card, mode=TorchMode(compiled=True)) as runner:
        for count, shape in enumerate(SHAPES):
            labels = runner.infer({"image": image_of(shape)})["labels"]
            expected, logits = labels_and_logits(image_of(shape))
            best = np.sort(logits, axis=1)
            clear = best[:, -1] - best[:, -2] > 1e-4 * np.abs(logits).max()
            assert np.array_equal(labels[clear], expected[clear])
            assert len(runner.notes) == (count >= 2)
        (note,) = runner.notes
        assert note.startswith("1x33x47: compiled in ")
        kept = labels.copy()
        runner.infer({"image": 255 - image_of(SHAPES[0])})
        assert np.array_equal(labels, kept)


def test_a_compiler_that_fails_is_an_error_and_never_the_eager_network(monkeypatch):
    def broken(image):
        raise RuntimeError("InductorError: no such header\nwith a long tail")

    monkeypatch.setattr(pytorch_shapes.torch, "compile", lambda call, **options: broken)
    model, card = tiny_model()
    with TorchRunner("pytorch:cpu:compile", model, card, mode=TorchMode(compiled=True)) as runner:
        image = {"image": image_of((1, 33, 47))}
        runner.infer(image)
        with pytest.raises(RunnerError) as caught:
            runner.infer(image)
    assert str(caught.value).startswith("pytorch:cpu:compile failed on [1, 33, 47, 3]: torch.compile failed: Inductor")
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("compiler")
def test_clones_compile_for_themselves_and_share_the_weights():
    model, card = tiny_model()
    mode = TorchMode(compiled=True)
    with TorchRunner("pytorch:cpu:compile", model, card, mode=mode) as runner, runner.clone() as clone:
        image = {"image": image_of((1, 33, 47))}
        for _ in range(2):
            assert np.array_equal(runner.infer(image)["labels"], clone.infer(image)["labels"])
        assert clone._network is runner._network
        assert len(runner.notes) == len(clone.notes) == 1


# CUDA graphs, by a double: a capture runs the call once, and a replay runs it again into the same outputs.


class Graphs:
    """What stands for torch.cuda while `pytorch_shapes` captures; `refuse` is raised within a capture."""

    def __init__(self, refuse: Exception | None = None) -> None:
        self.refuse, self.log = refuse, []
        self.call: Any = None

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        cuda = torch.cuda
        monkeypatch.setattr(
            cuda, "Stream", lambda device: SimpleNamespace(wait_stream=lambda other: None, synchronize=lambda: None)
        )
        monkeypatch.setattr(cuda, "current_stream", lambda device: SimpleNamespace(wait_stream=lambda other: None))
        monkeypatch.setattr(cuda, "stream", lambda stream: nullcontext())
        monkeypatch.setattr(cuda, "synchronize", lambda device: None)
        monkeypatch.setattr(cuda, "CUDAGraph", lambda: SimpleNamespace(replay=self.replay))
        monkeypatch.setattr(cuda, "graph", self.capture)

    @contextmanager
    def capture(self, graph: Any, stream: Any) -> Iterator[None]:
        self.log.append("capture")
        yield
        if self.refuse is not None:
            raise self.refuse
        self.log.append("captured")

    def replay(self) -> None:
        self.log.append("replay")
        with torch.inference_mode():
            for name, result in self.call.original(self.call.image).items():
                self.call.results[name].copy_(result)


class Recorded:
    """Remembers its first image and its last outputs, which a graph reads and writes."""

    def __init__(self, original: Any, graphs: Graphs) -> None:
        self.original, self.graphs = original, graphs
        graphs.call = self

    def __call__(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        self.graphs.log.append("run")
        self.image, self.results = image, self.original(image)
        return self.results


def doubled(image: torch.Tensor) -> dict[str, torch.Tensor]:
    return {"labels": image[..., 0] // 2}


def captured_shape(monkeypatch: pytest.MonkeyPatch, graphs: Graphs) -> TorchShape:
    graphs.install(monkeypatch)
    return TorchShape(Recorded(doubled, graphs), (1, 4, 5), torch.device("cpu"), compiled=False, captured=True)


def test_a_graph_is_captured_after_runs_that_choose_kernels_and_replayed_into_the_same_buffers(monkeypatch):
    graphs = Graphs()
    shape = captured_shape(monkeypatch, graphs)
    expected = ["run"] * (1 + RUNS_BEFORE_CAPTURE) + ["capture", "run", "captured", "replay"]
    assert graphs.log[: len(expected)] == expected
    assert set(graphs.log[len(expected) :]) == {"replay"}  # to choose between steps and one wait
    assert not torch.backends.cudnn.benchmark  # as it was
    kept = []
    for seed in range(3):
        image = np.random.default_rng(seed).integers(0, 256, (1, 4, 5, 3)).astype(np.uint8)
        shape.write(torch.from_numpy(image))
        shape.run()
        kept.append((image, shape.read()["labels"]))
    assert graphs.log[-3:] == ["replay"] * 3
    assert all(np.array_equal(found, image[..., 0] // 2) for image, found in kept)
    assert shape.remark.startswith("captured as a CUDA graph in ")
    assert " ms from host to host with " in shape.remark


def test_a_graph_gives_the_same_with_one_wait_and_its_outputs_are_the_callers(monkeypatch):
    monkeypatch.setattr(transfers, "times_of", lambda ways: {name: float(name != ALL_THREADS) for name in ways})
    with torch.inference_mode():  # as a caller may have it; later runs come outside
        shape = captured_shape(monkeypatch, Graphs())
    kept = []
    for seed in range(3):
        image = np.random.default_rng(seed).integers(0, 256, (1, 4, 5, 3)).astype(np.uint8)
        kept.append((image, shape.infer(image)["labels"]))
    assert all(np.array_equal(found, image[..., 0] // 2) for image, found in kept)
    shape.close()
    assert shape.whole is None


def test_what_cannot_be_captured_is_launched_each_time_and_says_so(monkeypatch):
    graphs = Graphs(RuntimeError("CUDA error: operation not permitted when stream is capturing\nmore"))
    shape = captured_shape(monkeypatch, graphs)
    image = np.full((1, 4, 5, 3), 8, np.uint8)
    shape.write(torch.from_numpy(image))
    shape.run()
    assert (shape.read()["labels"] == 4).all()
    assert graphs.log[-1] == "run"
    assert shape.remark.startswith("run eagerly in ")
    assert "; no CUDA graph: CUDA error: operation not permitted when stream is capturing" in shape.remark


def test_no_memory_for_a_graph_is_an_error_of_the_shape(monkeypatch):
    graphs = Graphs(torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"))
    with pytest.raises(RunnerError, match=r"^it failed: CUDA out of memory\. Tried to allocate 2 GiB$"):
        captured_shape(monkeypatch, graphs)


def test_out_of_memory_in_an_eager_run_gives_up_the_graphs_and_runs_again(monkeypatch):
    model, card = tiny_model()
    with TorchRunner("pytorch:cpu:bf16", model, card, mode=TorchMode("cpu", torch.bfloat16)) as runner:
        expected = runner.infer({"image": image_of((1, 33, 47))})["labels"]
        dropped: list[str] = []
        runner._shapes = SimpleNamespace(
            get=lambda shape: None, remarks=("gave up",), drop=lambda reason: dropped.append(reason) or True
        )
        failures = iter([torch.cuda.OutOfMemoryError("CUDA out of memory")])
        launch = runner._launch

        def fail_once(network, image):
            if (error := next(failures, None)) is not None:
                raise error
            launch(network, image)

        monkeypatch.setattr(runner, "_launch", fail_once)
        assert np.array_equal(runner.infer({"image": image_of((1, 33, 47))})["labels"], expected)
        assert dropped == ["the GPU has no memory left"]
        assert runner.notes == ("gave up",)
        runner._shapes = None


def settings() -> tuple[bool, bool]:
    return torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic


def test_a_first_run_leaves_no_guess_of_cudnn_behind_that_the_captured_run_would_use(monkeypatch):
    """PyTorch keeps one kernel for a convolution's shape and settings, of which `deterministic` is one."""
    seen = []
    before = settings()

    def noting(call):
        def run(*arguments, **given):
            seen.append(settings())
            return call(*arguments, **given)

        return run

    monkeypatch.setattr(pytorch_runner, "outputs_of", noting(pytorch_runner.outputs_of))
    model, card = tiny_model()
    with TorchRunner("pytorch:cpu:compile", model, card, mode=TorchMode(compiled=True)) as runner:
        runner.infer({"image": image_of((1, 33, 47))})  # the first of its shape: eagerly
    assert seen == [(before[0], True)]
    graphs = Graphs()
    graphs.install(monkeypatch)
    TorchShape(noting(Recorded(doubled, graphs)), (1, 4, 5), torch.device("cpu"), compiled=False, captured=True)
    assert set(seen[1:]) == {(True, False)}
    assert settings() == before


def test_the_plain_network_runs_with_the_settings_of_its_user(monkeypatch):
    seen = []
    outputs_of = pytorch_runner.outputs_of
    monkeypatch.setattr(
        pytorch_runner, "outputs_of", lambda *given, **more: seen.append(settings()) or outputs_of(*given, **more)
    )
    model, card = tiny_model()
    with TorchRunner("pytorch", model, card) as runner:
        runner.infer({"image": image_of((1, 33, 47))})
    assert seen == [settings()]


def test_steps_are_timed_on_the_stream_of_the_runners_own_gpu(monkeypatch):
    asked = []
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: asked.append(device) or "its stream")
    model, card = tiny_model()
    with TorchRunner("pytorch", model, card) as runner:
        runner._device, runner.time_on_device = torch.device("cuda:1"), True
        runner._events = SimpleNamespace(around=lambda step, stream: (step, stream))
        assert runner._timed(1) == (1, "its stream")
        runner._device = torch.device("cpu")
    assert asked == [torch.device("cuda:1")]
