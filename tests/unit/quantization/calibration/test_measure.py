"""Histograms that grow in constant memory, the ranges chosen from them, and calibration of a graph."""

from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
from onnx import numpy_helper

from fcn_deploy.errors import DataError, GraphError, OutputError
from fcn_deploy.graph.load import load_graph
from fcn_deploy.quantization.calibration.measure import calibrate, network_tensors
from tests.support.small_fcn import images, write_fcn, write_host_normalised


@pytest.fixture
def fcn(tmp_path: Path) -> Path:
    return write_fcn(tmp_path / "fcn.onnx")


def test_calibration_sees_what_the_graph_computes(fcn):
    feeds = [{"image": image} for image in images(3)]
    seen = calibrate(fcn, feeds, histograms=["pool"], extremes=["logits", "fuse"])
    model = onnx.load(fcn)
    model.graph.output.extend([onnx.helper.make_empty_tensor_value_info("pool")])
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    results = [session.run(["pool", "logits"], feed) for feed in feeds]
    assert seen.images == 3
    # Another fusion of the same sums: 1e-5 is a hundred roundings.
    assert seen.histograms["pool"].high == pytest.approx(max(pool.max() for pool, _ in results), rel=1e-5)
    assert seen.histograms["pool"].total == sum(pool.size for pool, _ in results)
    assert seen.largest["logits"] == pytest.approx(max(np.abs(logits).max() for _, logits in results), rel=1e-5)
    assert set(seen.largest) == {"pool", "logits", "fuse"}


def test_a_tensor_that_is_the_graphs_input_is_measured_too(tmp_path):
    path = write_host_normalised(tmp_path / "float.onnx")
    feeds = [{"image": np.full((1, 3, 4, 6), value, np.float32)} for value in (0.5, -2.0)]
    seen = calibrate(path, feeds, histograms=["image", "relu1"])
    assert (seen.histograms["image"].low, seen.histograms["image"].high) == (-2.0, 0.5)
    assert seen.histograms["relu1"].total == 2 * 4 * 4 * 6


def test_a_full_folder_for_temporary_files_is_named(fcn, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(ir, "save", full)
    with pytest.raises(OutputError, match=r"fcn-deploy-\w+: no space is left .* temporary files \(TMPDIR\)"):
        calibrate(fcn, [{"image": images(1)[0]}], histograms=["pool"])


def test_no_image_is_an_error(fcn):
    with pytest.raises(DataError, match="no calibration image"):
        calibrate(fcn, [], histograms=["pool"])


def test_an_overflow_is_named_with_its_tensor_and_its_image(fcn):
    model = onnx.load(fcn)
    for tensor in model.graph.initializer:
        if tensor.name == "conv3.weight":
            array = numpy_helper.to_array(tensor).copy()
            array[:] = 3e38  # finite itself; its products are not
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    onnx.save(model, fcn)
    with pytest.raises(GraphError, match="result of conv3 is NaN or infinite on calibration image 1"):
        calibrate(fcn, [{"image": images(1)[0]}], histograms=[], extremes=["pool", "conv3"])


def test_network_tensors_leave_out_integers_and_the_contract(fcn):
    names = network_tensors(load_graph(fcn))
    assert {"conv1", "logits"} <= set(names)
    assert not {"contract/argmax", "contract/labels_as_float", "labels"} & set(names)
