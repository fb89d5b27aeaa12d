from __future__ import annotations

from collections import Counter

import pytest

from fcn_deploy.errors import RunnerError
from fcn_deploy.onnx_export.export import export_model
from fcn_deploy.runners.ort.fixed import sizes_of
from fcn_deploy.runners.ort.options import ProviderOptions
from fcn_deploy.runners.ort.session import open_session, open_session_of_sizes
from tests.conftest import tiny_model


def test_each_named_dim_gets_its_size_and_fixed_ones_stay():
    assert sizes_of(["N", "H", "W", 3], (1, 8, 9, 3)) == {"N": 1, "H": 8, "W": 9}
    assert sizes_of([1, 3, "H", "H"], (1, 3, 8, 8)) == {"H": 8}
    assert sizes_of([1, 8, 9, 3], (1, 8, 9, 3)) == {}


@pytest.mark.parametrize("dims", [["N", "S", "S", 3], ["N", None, "W", 3]])
def test_dims_that_cannot_be_distinguished_are_refused(dims):
    with pytest.raises(RunnerError, match="have no name each, by which to fix them"):
        sizes_of(dims, (1, 8, 9, 3))


PLACEMENT = "get_provider_graph_assignment_info"
# What computes the crops of an FCN from the image's size; on CUDA such nodes run on the CPU, and forbid graphs.
SHAPE_ARITHMETIC = {"Shape", "Concat", "Gather", "Unsqueeze"}


def test_no_shape_arithmetic_is_left_where_sizes_are_fixed(tmp_path):
    export_model(*tiny_model(), tmp_path / "m.onnx", shapes=((1, 33, 47),))
    if not hasattr(opened := open_session("x", tmp_path / "m.onnx", "cpu", 1).session, PLACEMENT):
        pytest.skip("this onnxruntime does not list its nodes")
    sizes = {"N": 1, "H": 90, "W": 121}
    fixed = open_session_of_sizes("x", tmp_path / "m.onnx", "cpu", 1, ProviderOptions(), sizes, {})
    before, after = nodes_of(opened), nodes_of(fixed)
    assert before.keys() & SHAPE_ARITHMETIC
    assert not after.keys() & SHAPE_ARITHMETIC
    assert after["Conv"] == before["Conv"]


def nodes_of(session) -> Counter[str]:
    return Counter(node.op_type for part in getattr(session, PLACEMENT)() for node in part.get_nodes())
