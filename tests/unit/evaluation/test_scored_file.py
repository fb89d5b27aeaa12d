"""Several files scored next to each other: what each is compared with, and what one that cannot run says."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from fcn_deploy.errors import DataError
from fcn_deploy.evaluation.evaluate import evaluate
from fcn_deploy.evaluation.text import render_comparison
from fcn_deploy.quantization.quantize import quantize
from tests.support.bench_model import invoke, save_small_model
from tests.support.fakes.machine import Machine
from tests.support.tensorrt_nets import PROFILES
from tests.unit.evaluation.test_text import printed

SCENES = "synthetic:3:5:33x47"


@pytest.fixture(scope="module")
def int8(small_onnx, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("int8") / "small.int8.onnx"
    quantize(small_onnx, path, precision="int8", calibration="synthetic:2:9:33x47", target="cpu")
    return path


@pytest.fixture
def engine(small_onnx, tmp_path) -> Path:
    """A whole engine of the fake library."""
    shutil.copy(small_onnx, tmp_path / "e.onnx")
    with pytest.MonkeyPatch.context() as patch:
        return Machine(patch, 1).build(tmp_path / "e.onnx", PROFILES)


def test_files_are_compared_with_the_first(small_onnx, int8):
    first, second = evaluate([small_onnx, int8], SCENES).files
    assert first.report.to_plain() == evaluate(small_onnx, SCENES).to_plain()
    assert second.report.to_plain() == evaluate(int8, SCENES).to_plain()
    assert (first.change, first.pixels) == (None, 0)
    points = 100 * (second.report.overall.mean_iou - first.report.overall.mean_iou)
    assert second.change.value == pytest.approx(points)
    assert second.change.low <= second.change.value <= second.change.high
    assert 0.5 * second.pixels < second.agreed <= second.pixels == 3 * 33 * 47


def test_a_reference_that_is_named_comes_first(small_onnx, int8):
    assert [file.model for file in evaluate([small_onnx, int8], SCENES, reference=int8).files] == [
        "small.int8.onnx", "small.onnx",
    ]  # fmt: skip


def test_files_of_other_classes_are_refused_with_both_lists(small_onnx, tmp_path):
    other = save_small_model(tmp_path / "other.safetensors", ("cat", "dog"))
    with pytest.raises(DataError, match=r"has 8 classes \(sky, .*\) and .*other\.safetensors has 2 \(cat, dog\)"):
        evaluate([small_onnx, other], SCENES)


def test_an_engine_says_why_it_was_not_run_and_the_others_are_scored(small_onnx, engine):
    """D1 without a GPU; the text names the file and the reason, at 80 columns."""
    if torch.cuda.is_available():
        pytest.skip("a GPU would read the fake engine")
    found = evaluate([small_onnx, engine], SCENES)
    assert found.files[0].report is not None
    assert (found.files[1].report, bool(found.files[1].reason)) == (None, True)
    text = printed(render_comparison(found), width=80)
    assert "e.engine was not run: " in text
    assert max(map(len, text.splitlines())) <= 80


def test_the_command_prints_a_line_for_each_file(small_onnx, int8):
    result = invoke("evaluate", str(small_onnx), str(int8), "--data", SCENES)
    assert result.exit_code == 0
    assert "small.int8.onnx onnxruntime" in " ".join(result.stdout.split())
    assert "3 images of" in result.stdout
