"""The peers are written by hand, so they must compute what the contract says; and the race on a narrow network."""

from __future__ import annotations

import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from benchmarks import limits, peers, ratio
from benchmarks import peer_programs as programs
from benchmarks.peers import OURS, Field
from fcn_deploy.card import ModelCard
from fcn_deploy.errors import RunnerError
from tests.support import ROOT

openvino = pytest.importorskip("openvino", reason="openvino is not installed")
CARD = ModelCard("fcn8s", ("a", "b"), mean=(10.0, 20.0, 30.0), std=(2.0, 1.0, 4.0))


def test_an_image_is_normalised_and_turned():
    image = np.zeros((2, 3, 3), np.uint8)
    image[1, 2] = (30, 25, 60)
    found = programs.normalised(image, CARD)
    assert (found.shape, found.dtype, found.flags.c_contiguous) == ((1, 3, 2, 3), np.float32, True)
    assert found[0, :, 1, 2].tolist() == [10, 5, 7.5]
    assert found[0, :, 0, 0].tolist() == [-5, -20, -7.5]


def test_the_label_is_the_largest_logit():
    logits = np.zeros((1, 3, 2, 2), np.float32)
    logits[0, 2, 0, 1] = logits[0, 1, 1, 0] = 1
    found = programs.labels_of(logits)
    assert (found.dtype, found.tolist()) == (np.uint8, [[0, 2], [1, 0]])


def test_a_compiler_that_takes_too_long_is_left_and_so_is_its_alarm():
    slow = torch.nn.Identity()
    with pytest.raises(RunnerError, match=r"not compiled after 0\.05 s"):
        programs.compiled(slow, CARD, np.zeros((2, 3, 3), np.uint8), 0.05, compiler=lambda network: _sleepy)
    time.sleep(0.1)


def _sleepy(tensor: torch.Tensor) -> torch.Tensor:
    time.sleep(5)
    return tensor


def test_a_compiler_that_fails_is_reported_in_one_line():
    def failing(tensor: torch.Tensor) -> torch.Tensor:
        raise ValueError("no C++ compiler\nmore")

    with pytest.raises(RunnerError, match=r"^no C\+\+ compiler$"):
        programs.compiled(torch.nn.Identity(), CARD, np.zeros((2, 3, 3), np.uint8), 5, compiler=lambda network: failing)


def test_the_limit_is_the_fastest_library_in_that_type():
    samples = {
        ("FP32", "slow"): [4.0, 4.0, 4.0],
        ("FP32", "fast"): [9.0, 2.0, 2.0],  # its median is 2
        ("INT8", "other"): [1.0, 1.0, 1.0],
    }
    products = {key: limits.Product(lambda: None, 600) for key in samples}
    assert limits.speed("FP32", products, samples) == 300


def test_products_know_what_they_multiply(monkeypatch):
    monkeypatch.setattr(limits, "GPU_SIDE", 16)
    products = limits.gpu_products("cpu")
    assert set(products) == {("FP32", "torch"), ("TF32", "torch"), ("FP16", "torch")}
    for product in products.values():
        assert product.multiply_adds == 4 * 16**3
        assert product.call().shape == (16, 16)
    assert not torch.backends.cuda.matmul.allow_tf32  # as it was


@pytest.mark.long
def test_every_library_multiplies_the_same_small_matrices():
    """In a process of its own: after OpenVINO's products the next Ctrl-C of a test ended the process (2026.4)."""
    code = f"from {__name__} import multiply_small_matrices; multiply_small_matrices()"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr


def multiply_small_matrices():
    limits.ROWS, limits.DEPTH = 64, 8
    results = {key: product.call() for key, product in limits.products(1).items()}
    assert set(results) == {
        ("FP32", "onnxruntime"),
        ("FP32", "openvino"),
        ("FP32", "torch"),
        ("BF16", "openvino"),
        ("BF16", "torch"),
        ("INT8", "onnxruntime"),
        ("INT8", "openvino"),
    }
    first, second = (np.asarray(next(iter(_values(results["FP32", name])))) for name in ("onnxruntime", "openvino"))
    assert np.allclose(first, second, atol=1e-5)  # four products of sums of eight
    codes = [np.asarray(next(iter(_values(results["INT8", name])))) for name in ("onnxruntime", "openvino")]
    assert codes[0].dtype == codes[1].dtype == np.uint8
    assert np.abs(codes[0].astype(int) - codes[1]).max() <= 1  # ties may be rounded either way
    assert len(np.unique(codes[0])) > 2


def _values(result):
    return result.values() if hasattr(result, "values") else result


def test_a_program_that_labels_otherwise_stops_the_race():
    image = np.zeros((2, 3, 3), np.uint8)
    found = Field()
    found.add("first", lambda image: np.uint8([[0, 1], [1, 0]]), "FP32")
    found.add("narrow", lambda image: np.uint8([[0, 1], [1, 1]]), "INT8")
    assert peers.agreement(found, image) == {"first": 1, "narrow": 0.75}
    found.add("wrong", lambda image: np.uint8([[0, 1], [1, 1]]), "FP32")
    with pytest.raises(SystemExit, match="wrong labels otherwise"):
        peers.agreement(found, image)


@pytest.mark.long
def test_a_narrow_network_is_raced_end_to_end(monkeypatch):
    monkeypatch.setattr(limits, "ROWS", 64)
    monkeypatch.setattr(limits, "DEPTH", 8)
    monkeypatch.setattr(programs, "compiled", lambda *given: (_ for _ in ()).throw(RunnerError("no compiler")))
    monkeypatch.setattr(ratio, "keep_to", lambda cores: None)
    rows, facts = peers.measure("fcn8s", 0.25, ["33x47"], {"onnxruntime:int8": "INT8"}, 1, 2, 0.0, 1.0)
    (row,) = rows
    assert list(row["median_ms"]) == ["PyTorch eager", "ONNX Runtime", "OpenVINO", OURS + "onnxruntime:int8"]
    assert row["ours"] == OURS + "onnxruntime:int8"
    assert row["not_run"] == {"torch.compile": "no compiler"}
    assert row["same_labels"]["ONNX Runtime"] == 1
    assert set(row["computes_in"].values()) <= set(row["limit_ms"])
    assert row["multiply_adds"] > 0
    assert "not judged here" in facts["accuracy"]
