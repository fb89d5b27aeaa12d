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
from fcn_deploy.quantization.calibration.histogram import BINS, Histogram, range_of
from fcn_deploy.quantization.calibration.measure import calibrate, float_tensors
from fcn_deploy.vocabulary import METHODS
from tests.support.small_fcn import images, write_fcn, write_host_normalised


def _histogram(*arrays: np.ndarray) -> Histogram:
    histogram = Histogram()
    for array in arrays:
        histogram.add(np.asarray(array, np.float32))
    return histogram


NORMAL = np.random.default_rng(0).normal(size=200_001).astype(np.float32)


def test_a_larger_value_widens_the_bins_and_loses_no_count():
    histogram = _histogram([0.0, 0.5, -0.25], [100.0, 0.5])
    assert (histogram.low, histogram.high, histogram.zeros, histogram.total) == (-0.25, 100.0, 1, 5)
    assert histogram.width == 128 / BINS
    # Bins are 1/32 wide now: 0.5 twice in bin 16, 0.25 in bin 8, 100 in bin 3200.
    assert {int(k): int(histogram.counts[k]) for k in np.flatnonzero(histogram.counts)} == {8: 1, 16: 2, 3200: 1}


def test_the_order_of_the_images_changes_nothing():
    parts = [NORMAL[:7] * 0.01, NORMAL[7:5000] * 30, NORMAL[5000:]]
    forth, back = _histogram(*parts), _histogram(*parts[::-1])
    assert np.array_equal(forth.counts, back.counts)
    assert (forth.width, forth.low, forth.high, forth.zeros) == (back.width, back.low, back.high, back.zeros)


def test_the_counts_are_numpys():
    histogram = _histogram(NORMAL)
    expected, _ = np.histogram(np.abs(NORMAL), bins=BINS, range=(0, histogram.width * BINS))
    assert np.array_equal(histogram.counts, expected)


def test_minmax_is_exact_and_a_side_without_values_costs_nothing():
    histogram = _histogram([0.5, 3.0], [1.0])
    assert range_of(histogram, "minmax", symmetric=True) == (-3.0, 3.0)
    assert range_of(histogram, "minmax", symmetric=False) == (0.0, 3.0)
    assert range_of(_histogram([-1.0, 7.0]), "minmax", symmetric=False) == (-1.0, 7.0)


def test_percentile_clips_the_share_that_it_was_told_to():
    histogram = _histogram(NORMAL)
    low, high = range_of(histogram, "percentile", symmetric=True, percentile=99.0)
    # |x| of a standard normal is below 2.5758 for 99 %; a bin is 8/4096 = 0.002 wide, and 200 001 samples scatter.
    assert high == pytest.approx(2.576, abs=0.03)
    assert low == -high
    assert 0.0095 < histogram.share_outside(low, high) <= 0.01


# mse weighs rounding, 200 001 * (T / 127)^2 / 12, against clipping, (300 - T)^2: least at T = 148.
@pytest.mark.parametrize(("method", "most"), [("percentile", 6), ("entropy", 60), ("mse", 165)])
def test_a_lone_outlier_does_not_set_the_range(method, most):
    histogram = _histogram(NORMAL, [300.0])
    _, high = range_of(histogram, method, symmetric=True)
    assert 3.0 < high < most
    assert range_of(histogram, "minmax", symmetric=True) == (-300.0, 300.0)


@pytest.mark.parametrize("method", METHODS)
def test_no_method_goes_past_the_largest_value_and_uniform_values_need_all_of_it(method):
    histogram = _histogram(np.linspace(0, 5, 60_000))
    for symmetric in (True, False):
        assert 4.8 < range_of(histogram, method, symmetric=symmetric)[1] <= 5.0


def test_mse_beats_minmax_in_squared_error():
    values = np.concatenate([NORMAL, np.float32([40.0])])
    histogram = _histogram(values)

    def error(method: str) -> float:
        scale = range_of(histogram, method, symmetric=True)[1] / 127
        return float(((np.clip(np.rint(values / scale), -127, 127) * scale - values) ** 2).mean())

    assert error("mse") < 0.9 * error("minmax")
    assert error("mse") <= 1.02 * min(error("percentile"), error("entropy"))


@pytest.mark.parametrize("method", METHODS)
def test_a_tensor_of_zeros_has_an_empty_range(method):
    histogram = _histogram(np.zeros((2, 3)))
    assert range_of(histogram, method, symmetric=True) == (0.0, 0.0)
    assert histogram.share_outside(0.0, 0.0) == 0.0


def test_nan_and_infinity_are_refused():
    for value in (np.nan, np.inf, -np.inf):
        with pytest.raises(ValueError, match="NaN or infinite"):
            _histogram([1.0, value])


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


def test_a_nan_is_named_with_its_tensor_and_its_image(fcn):
    model = onnx.load(fcn)
    for tensor in model.graph.initializer:
        if tensor.name == "conv3.weight":
            array = numpy_helper.to_array(tensor).copy()
            array[0, 0, 0, 0] = np.nan
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    onnx.save(model, fcn)
    with pytest.raises(GraphError, match="result of conv3 is NaN or infinite on calibration image 1"):
        calibrate(fcn, [{"image": images(1)[0]}], histograms=[], extremes=["pool", "conv3"])


def test_float_tensors_leave_out_integers(fcn):
    names = float_tensors(load_graph(fcn))
    assert {"conv1", "logits", "contract/labels_as_float"} <= set(names)
    assert not {"contract/argmax", "labels"} & set(names)
