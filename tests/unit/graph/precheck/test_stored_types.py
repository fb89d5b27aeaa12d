"""The types of the weights are read off the file's outline."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from fcn_deploy.graph.precheck.stored_types import BF16, FP8, stored_types
from tests.support.small_fcn import write_fcn


def test_every_type_is_found_and_what_is_no_onnx_file_has_none(tmp_path):
    path = write_fcn(tmp_path / "fcn.onnx")
    assert stored_types(path) == {TensorProto.FLOAT}
    model = onnx.load(path)
    kinds = (TensorProto.BFLOAT16, TensorProto.FLOAT8E4M3FN, TensorProto.FLOAT8E5M2)
    model.graph.initializer.extend(helper.make_tensor(f"w{kind}", kind, [2], [1.0, 2.0]) for kind in kinds)
    model.graph.initializer.append(numpy_helper.from_array(np.zeros(300, np.int64), "w"))
    onnx.save(model, path)
    assert stored_types(path) == {TensorProto.FLOAT, TensorProto.INT64, *kinds}
    assert set(kinds) == {BF16, *FP8}
    (tmp_path / "text.onnx").write_text("this is no model at all")
    assert stored_types(tmp_path / "text.onnx") == stored_types(tmp_path / "missing.onnx") == frozenset()


@pytest.mark.parametrize("cut", [1, 7, 100, 1000])
def test_a_file_that_is_cut_off_has_none(tmp_path, cut):
    whole = write_fcn(tmp_path / "fcn.onnx").read_bytes()
    path = tmp_path / "cut.onnx"
    path.write_bytes(whole[:-cut])
    assert stored_types(path) in (frozenset(), {TensorProto.FLOAT})
