"""`fcn-deploy audit` as a user calls it."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from PIL import Image

from fcn_deploy.audit.audit import audit
from fcn_deploy.cli.commands.audit import command
from fcn_deploy.cli.commands.quantize import command as quantize
from fcn_deploy.engine.builder.layers import compare_precision
from fcn_deploy.errors import FcnDeployError, GraphError, MissingDependencyError
from fcn_deploy.system.optional import require
from tests.support.audit_graphs import ERRORS, constants, conv, int8_conv, quantised_data, quantised_weights, write
from tests.support.onnx_files import write_graph
from tests.support.rtx_layers import layers
from tests.support.small_fcn import images, write_fcn


def _audit(*arguments):
    """Run the command; an expected error is raised as the command line's entry point receives it."""
    result = CliRunner().invoke(command, [str(argument) for argument in arguments])
    if isinstance(result.exception, FcnDeployError):
        raise result.exception
    return result


def test_a_sound_file_prints_its_table_and_exits_0(tmp_path):
    parts = quantised_data(), quantised_weights(8, 8, 3, 3), conv()
    result = _audit(write(tmp_path / "m.onnx", *parts, shape=("N", 8, "H", "W")), "--size", "33x47", "--batch", 2)
    assert result.exit_code == 0, result.output
    # 2 images, 8 outputs, 33 x 47 positions, 8 inputs, 3 x 3 kernel.
    assert result.output.splitlines()[-1] == "INT8 100.0 % of 1.79 MMAC at 2x33x47"


def test_what_would_be_rejected_is_a_line_and_exit_code_1(tmp_path):
    make, name = ERRORS["mixed-types"]
    result = _audit(make(tmp_path / "m.onnx"))
    assert result.exit_code == 1
    assert f"error: {name}: has float inputs of different types; put a Cast before it" in result.output


def test_warnings_alone_exit_0(tmp_path):
    result = _audit(int8_conv(tmp_path / "m.onnx"))
    assert result.exit_code == 0
    assert "warning: x: is fixed at N = 1, H = 16, W = 16" in result.output


def test_the_json_takes_the_place_of_the_table_and_keeps_the_exit_code(tmp_path):
    result = _audit(ERRORS["scale"][0](tmp_path / "m.onnx"), "--json", "-")
    assert result.exit_code == 1
    plain = json.loads(result.output)
    assert plain["macs"] == 8 * 256 * 72
    assert [finding["rule"] for finding in plain["findings"]] == ["scale", "static-shape"]


def test_a_malformed_size_is_a_usage_error(tmp_path):
    path = int8_conv(tmp_path / "m.onnx")
    for text in ("360", "0x480", "axb", "-3x4"):
        result = _audit(path, f"--size={text}")
        assert result.exit_code == 2
        assert "write HxW, as in 360x480" in result.output


def test_a_file_without_arithmetic_and_one_that_is_missing_are_refused(tmp_path):
    with pytest.raises(GraphError, match="no arithmetic to audit"):
        _audit(write_graph(tmp_path / "m.onnx"))
    with pytest.raises(GraphError, match="does not exist"):
        _audit(tmp_path / "missing.onnx")


def test_a_file_that_is_not_onnx_is_one_line_and_exit_code_1(tmp_path, shell):
    (tmp_path / "x.onnx").write_bytes(b"<html>not a model</html>")
    code, _, err = shell("audit", tmp_path / "x.onnx")
    assert code == 1
    assert err.startswith("error: ")
    assert len(err.splitlines()) == 1


def test_weights_next_to_the_file_are_found(tmp_path):
    path = write(tmp_path / "a.onnx", constants(w=np.full((8, 8, 3, 3), 2, np.float32)), conv("x", "w"))
    onnx.save(onnx.load(path), tmp_path / "b.onnx", save_as_external_data=True, location="b.data", size_threshold=0)
    assert _audit(tmp_path / "b.onnx").output.splitlines()[-2] == "FP32 100.0 % of 147 kMAC at 16x16"
    (tmp_path / "b.data").write_bytes(b"too short")
    with pytest.raises(GraphError, match="external data cannot be read"):
        _audit(tmp_path / "b.onnx")
    (tmp_path / "b.data").unlink()
    with pytest.raises(GraphError, match=r"b\.data"):
        _audit(tmp_path / "b.onnx")


@pytest.mark.parametrize("precision", ["fp16", "int8", "int8+fp16"])
def test_each_layer_of_a_rewritten_network_is_built_in_the_type_that_the_audit_says(precision, tmp_path):
    try:
        require("tensorrt_rtx")
    except MissingDependencyError as error:
        pytest.skip(str(error))
    source, target = write_fcn(tmp_path / "fcn.onnx"), tmp_path / "q.onnx"
    for index, image in enumerate(images(2)[0]):
        Image.fromarray(image).save(tmp_path / f"{index}.png")
    arguments = [source, "--precision", precision, "--calib", tmp_path, "-o", target]
    done = CliRunner().invoke(quantize, [str(argument) for argument in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    result = _audit(target, "--size", "32x32", "--batch", 32, "--parse", "rtx", "--json", "-")
    assert result.exit_code == 0, result.output
    said = {row["name"]: row["precision"] for row in json.loads(result.output)["rows"]}
    shares = compare_precision(audit(target, batch=32, height=32, width=32), layers(target))
    assert (shares.disagreements, shares.built) == ((), shares.promised)
    assert ("INT8" in said.values()) == ("int8" in precision)
