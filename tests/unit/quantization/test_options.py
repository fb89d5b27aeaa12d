"""Options that do not go with a precision are refused in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from fcn_deploy.data.options import DataOptions
from fcn_deploy.errors import DataError, GraphError
from fcn_deploy.quantization.options import QuantizeOptions, check_options

IMAGES = {"calibration": DataOptions("photos")}


@pytest.mark.parametrize(
    ("precision", "options", "error", "line"),
    [
        ("fp8", {}, DataError, r"FP8 needs images to measure activations with; give a data set \(--calib\)"),
        ("int8", {}, DataError, "INT8 needs images"),
        ("fp8", {**IMAGES, "target": "cpu"}, GraphError, "the cpu target has no FP8"),
        ("fp8", {**IMAGES, "equalize": True}, GraphError, "--equalize is for INT8, and fp8 has none"),
        (
            "fp8+fp16",
            {**IMAGES, "correct_bias": True},
            GraphError,
            r"--correct-bias is for INT8",
        ),
        ("bf16", {"equalize": True}, GraphError, "--equalize is for INT8, and bf16 has none"),
        (
            "bf16",
            {**IMAGES, "search": object()},
            GraphError,
            "a search finds layers that INT8 hurts",
        ),
        (
            "bf16",
            {**IMAGES, "calibration_cache": Path("c")},
            DataError,
            "bf16 measures nothing that",
        ),
    ],
)
def test_each_is_named(tmp_path, precision, options, error, line):
    with pytest.raises(error, match=line) as caught:
        check_options(QuantizeOptions(tmp_path / "x.onnx", precision, **options), tmp_path / "out.onnx")
    assert "\n" not in str(caught.value)


def test_fp8_covers_all_that_was_seen_whatever_the_method():
    assert QuantizeOptions(Path("x"), "fp8+fp16", method="entropy").own_method == "minmax"
    assert QuantizeOptions(Path("x"), "int8", method="entropy").own_method == "entropy"
