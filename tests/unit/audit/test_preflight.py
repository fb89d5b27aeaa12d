"""The preflight names each thing that TensorRT rejects or punishes, and nothing in a sound file."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from fcn_deploy.audit.audit import audit
from fcn_deploy.errors import GraphError
from tests.support.audit_graphs import (
    ERRORS,
    WARNINGS,
    constants,
    conv,
    int8_conv,
    quantised_data,
    quantised_weights,
    weights,
    write,
)
from tests.support.onnx_files import write_graph


def _rules(path, level=None):
    return {finding.rule for finding in audit(path).findings if level in (None, finding.level)}


@pytest.mark.parametrize("rule", [*ERRORS, *WARNINGS])
def test_each_fault_is_named_with_its_node(rule, tmp_path):
    make, name = (ERRORS | WARNINGS)[rule]
    found = audit(make(tmp_path / "m.onnx"))
    finding = next(one for one in found.findings if one.rule == rule)
    assert finding.level == ("error" if rule in ERRORS else "warning")
    assert name in finding.names
    assert finding.fix
    assert found.rejected == (rule in ERRORS)


@pytest.mark.parametrize("rule", ERRORS)
def test_a_fault_is_the_only_error_found(rule, tmp_path):
    assert _rules(ERRORS[rule][0](tmp_path / "m.onnx"), "error") == {rule}


def test_a_sound_int8_file_of_any_size_has_no_finding(tmp_path):
    parts = quantised_data(), quantised_weights(8, 8, 3, 3), conv()
    path = write(tmp_path / "m.onnx", *parts, shape=("N", 8, "H", "W"))
    assert audit(path).findings == ()


def test_an_opset_beyond_the_oldest_release_is_a_warning(tmp_path):
    path = write(
        tmp_path / "m.onnx", constants(w=weights(4, 3, 3, 3)), conv("x", "w"), shape=("N", 3, "H", "W"), opset=19
    )
    (finding,) = audit(path).findings
    assert (finding.rule, finding.level) == ("opset", "warning")
    assert "19" in finding.problem


def test_an_infinite_weight_is_found_behind_the_first_piece(tmp_path, monkeypatch):
    monkeypatch.setattr("fcn_deploy.graph.weights.PIECE", 100)
    numbers = weights(4, 3, 5, 7)
    numbers[-1, -1, -1, -1] = np.inf
    path = write(tmp_path / "m.onnx", constants(w=numbers), conv("x", "w"), shape=("N", 3, "H", "W"))
    assert _rules(path) == {"weights"}


def test_a_node_of_another_domain_is_an_error_and_its_size_unknown(tmp_path):
    path = write(tmp_path / "m.onnx", constants(w=weights(8, 8, 3, 3)), conv("t", "w"))
    model = onnx.load(path)
    model.graph.node.insert(0, onnx.helper.make_node("Gelu", ["x"], ["t"], name="gelu", domain="com.microsoft"))
    model.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))
    onnx.save(model, path)
    found = audit(path)
    assert {one.rule for one in found.findings if one.level == "error"} == {"foreign-operator"}
    assert found.rows[0].macs is None
    assert found.unknown == found.rows


def test_weights_in_constant_nodes_are_looked_at_too(tmp_path):
    path = int8_conv(tmp_path / "m.onnx")
    model = onnx.load(path)
    for initializer in list(model.graph.initializer):
        value = onnx.numpy_helper.to_array(initializer)
        if initializer.name == "xz":
            value = value + np.int8(5)
        tensor = onnx.numpy_helper.from_array(value)
        model.graph.node.insert(0, onnx.helper.make_node("Constant", [], [initializer.name], value=tensor))
    del model.graph.initializer[:]
    onnx.save(model, path)
    assert _rules(path, "error") == {"zero-point"}


def test_a_file_that_is_not_onnx_or_does_no_arithmetic_is_one_clear_line(tmp_path):
    (tmp_path / "x.onnx").write_bytes(b"<html>")
    with pytest.raises(GraphError, match=r"x\.onnx"):
        audit(tmp_path / "x.onnx")
    with pytest.raises(GraphError, match="no arithmetic to audit"):
        audit(write_graph(tmp_path / "y.onnx"))


def _edited(path, edit):
    model = onnx.load(int8_conv(path))
    edit(model.graph)
    onnx.save(model, path)
    return path


def test_a_damaged_graph_is_one_line_that_names_the_node(tmp_path):
    path = tmp_path / "m.onnx"
    with pytest.raises(GraphError, match="node conv reads nowhere, which nothing makes"):
        audit(_edited(path, lambda graph: graph.node[-1].input.__setitem__(1, "nowhere")))
    with pytest.raises(GraphError, match="node conv, a Conv, has 1 inputs and 1 outputs; expected 2 and 1"):
        audit(_edited(path, lambda graph: graph.node[-1].input.pop()))
    with pytest.raises(GraphError, match="circle"):
        audit(_edited(path, lambda graph: graph.node[0].input.__setitem__(0, "y")))


def test_nodes_out_of_order_are_read_in_order(tmp_path):
    path = tmp_path / "m.onnx"
    in_order = audit(int8_conv(path))
    assert audit(_edited(path, lambda graph: graph.node.insert(0, graph.node.pop()))).rows == in_order.rows
