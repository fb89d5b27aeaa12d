"""What is refused before a library opens the file, without loading one. More files are in tests/hostile."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from fcn_deploy.errors import GraphError
from fcn_deploy.graph.precheck.scan import scan
from tests.support.onnx_files import write_graph

TYPES = [
    each for each in TensorProto.DataType.values() if each not in (TensorProto.UNDEFINED, TensorProto.STRING)
]  # fmt: skip


@pytest.mark.parametrize("dtype", TYPES, ids=TensorProto.DataType.Name)
@pytest.mark.parametrize("raw", [True, False])
def test_weights_of_every_type_are_taken_as_onnx_writes_them(tmp_path, dtype, raw):
    path = write_graph(tmp_path / "m.onnx")
    model = onnx.load(path)
    numbers = np.ones(15, helper.tensor_dtype_to_np_dtype(dtype))
    tensor = numpy_helper.from_array(numbers, "w") if raw else helper.make_tensor("w", dtype, [3, 5], [1] * 15)
    model.graph.initializer.append(tensor)
    onnx.save(model, path)
    assert scan(path) == {}


def test_the_names_of_external_data_are_returned_as_the_file_has_them(tmp_path):
    path = write_graph(tmp_path / "m.onnx")
    model = onnx.load(path)
    model.graph.initializer.append(numpy_helper.from_array(np.zeros(300, np.float32), "w"))
    onnx.save(model, path, save_as_external_data=True, location="w.bin", size_threshold=100)
    assert scan(path) == {"w.bin": (tmp_path / "w.bin").resolve()}


def test_a_weight_inside_a_node_is_checked_too(tmp_path):
    path = write_graph(tmp_path / "m.onnx")
    model = onnx.load(path)
    broken = numpy_helper.from_array(np.zeros(4, np.float32), "w")
    broken.dims[0] = 5
    branch = helper.make_graph([helper.make_node("Constant", [], ["c"], value=broken)], "g", [], [])
    model.graph.node.append(helper.make_node("If", ["one"], ["d"], then_branch=branch, else_branch=branch))
    path.write_bytes(model.SerializeToString())
    with pytest.raises(GraphError, match=r"w has the dims \[5\], which are 20 bytes, and 16 are in the file"):
        scan(path)


def test_checking_loads_neither_onnx_nor_numpy(tmp_path):
    code = (
        "import sys; from pathlib import Path; from fcn_deploy.graph.precheck.scan import scan\n"
        "scan(Path(sys.argv[1]))\n"
        "print([name for name in ('onnx', 'onnx_ir', 'numpy', 'torch', 'onnxruntime') if name in sys.modules])"
    )
    path = write_graph(tmp_path / "m.onnx")
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
