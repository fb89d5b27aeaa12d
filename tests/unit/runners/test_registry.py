"""Runners by their names."""

from __future__ import annotations

import pytest
import torch

from fcn_deploy.errors import RunnerError, UnknownNameError
from fcn_deploy.runners.registry import RUNNERS, open_runner


def test_an_unknown_runner_is_answered_with_the_near_match():
    with pytest.raises(UnknownNameError, match="did you mean pytorch"):
        open_runner("pytorhc:cpu", "demo")
    assert set(RUNNERS) >= {"pytorch", "onnxruntime"}


def test_an_unknown_device_and_an_absent_one_are_told_apart():
    with pytest.raises(UnknownNameError, match="did you mean cuda"):
        open_runner("pytorch:cudda", "demo")
    if not torch.cuda.is_available():
        with pytest.raises(RunnerError, match=r"PyTorch .* has .*; use pytorch:cpu"):
            open_runner("pytorch:cuda", "demo")


@pytest.mark.parametrize("spec", ["onnxruntime:int8", "openvino:fp16", "onnxruntime:cuda:int8+fp16"])
def test_precision_of_another_file_is_answered_with_quantize(spec):
    with pytest.raises(UnknownNameError, match=r"in the types that it has; rewrite it first: fcn-deploy quantize"):
        open_runner(spec, "model.onnx")
