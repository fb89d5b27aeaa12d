"""`fcn-deploy quantize` refuses options that its precision would ignore."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize("precision", ["fp8", "fp8+fp16", "bf16", "fp16"])
@pytest.mark.parametrize("words", [["--method", "mse"], ["--percentile", "99"]])
def test_how_ranges_of_int8_are_chosen_is_a_usage_error_for_another_precision(shell, tmp_path, precision, words):
    done = shell("quantize", "demo", "--precision", precision, *words, "-o", tmp_path / "q.onnx")
    assert done.code == 2
    assert done.err.splitlines()[-1].startswith(
        f"error: {words[0]} chooses the ranges of INT8, and {precision} has none; leave it out, or use int8"
    )
    assert not list(tmp_path.iterdir())
