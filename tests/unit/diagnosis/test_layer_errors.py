"""Each layer fed with another network's tensors: the planted fault's layer errs, and it alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from onnxruntime.quantization import CalibrationDataReader, quantize_static

from fcn_deploy.diagnosis.layer_errors import HOST, LayerError, layer_errors
from fcn_deploy.diagnosis.tensors import OnnxSource
from fcn_deploy.diagnosis.tolerances import TOLERANCES
from fcn_deploy.errors import GraphError
from fcn_deploy.graph.load import load_graph
from tests.support.int8_fcn import int8, save
from tests.support.onnx_files import CARD as HOST_CARD
from tests.support.onnx_files import write_graph
from tests.support.planted_faults import with_constants, with_swapped_channels, without_node
from tests.support.small_fcn import CARD, images, small_weights, write_fcn

IMAGES = images(2)


@pytest.fixture(scope="module")
def fcn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_fcn(tmp_path_factory.mktemp("healthy") / "fcn.onnx")


def errors(path: Path, fcn: Path, shown=IMAGES) -> dict[str, LayerError]:
    found = layer_errors(OnnxSource(path, CARD), OnnxSource(fcn, CARD), shown, TOLERANCES)
    return {layer.name: layer for layer in found}


def divergent_layers(path: Path, fcn: Path) -> list[str]:
    return [layer.name for layer in errors(path, fcn).values() if layer.out_of_line]


def test_a_file_against_itself_has_every_layer_and_no_error(fcn):
    found = errors(fcn, fcn)
    body = ["conv1", "relu1", "pool", "conv2", "relu2", "conv3", "relu3", "score_fr", "score_pool", "fuse", "up"]
    assert [name for name in found if not name.startswith("contract/")] == body
    assert max(layer.error for layer in found.values()) == 0
    assert "contract/argmax" in found
    assert "contract/labels_as_float" not in found  # numbers of classes: a difference of theirs means nothing


@pytest.mark.parametrize("form", ["fp16", "tensorrt", "cpu", "tensorrt+fp16"])
def test_healthy_rewrites_have_no_layer_out_of_line(fcn, form):
    path = (
        save(load_graph(fcn), fcn, "fp16", half=True) if form == "fp16" else int8(fcn, form[:8].strip("+"), "+" in form)
    )
    found = errors(path, fcn)
    assert [layer.name for layer in found.values() if layer.out_of_line] == []
    assert max(layer.error for layer in found.values()) > 0
    assert {layer.precision for layer in found.values()} >= ({"fp16"} if form == "fp16" else {"int8"})


@pytest.mark.parametrize(("tensor", "layer"), [("pool", "conv2"), ("relu2", "conv3")])
@pytest.mark.parametrize("half", [False, True])
def test_a_scale_ten_times_too_small_is_found_at_the_layer_that_reads_it(fcn, tmp_path, tensor, layer, half):
    healthy = int8(fcn, half=half)
    scale = next(name for name in load_graph(healthy).graph.initializers if name.startswith(f"{tensor}/scale"))
    bad = with_constants(healthy, tmp_path / "bad.onnx", {scale: lambda value: value * 0.1})
    assert divergent_layers(bad, fcn) == [layer]
    (cause,) = errors(bad, fcn)[layer].causes
    assert cause.startswith(f"the scale of its input {tensor} covers 10 % of the range seen")


def test_a_scale_ten_times_too_small_on_a_tensor_that_all_read_is_found_at_the_first_of_them(fcn, tmp_path):
    bad = with_constants(int8(fcn, "cpu"), tmp_path / "bad.onnx", {"pool/scale": lambda value: value * 0.1})
    assert divergent_layers(bad, fcn) == ["conv2", "score_pool"]


def test_scales_of_weights_ten_times_too_small_are_reported_as_weights(fcn, tmp_path):
    bad = with_constants(int8(fcn), tmp_path / "bad.onnx", {"conv3.weight/scale": lambda value: value * 0.1})
    assert divergent_layers(bad, fcn) == ["conv3"]
    assert errors(bad, fcn)["conv3"].causes == ("its weights are 0.1 times those before",)


def test_a_fault_behind_another_is_reported_too_and_none_behind_them(fcn, tmp_path):
    changes = {"pool/scale": lambda value: value * 0.1, "score_fr.bias": lambda value: value + 3}
    bad = with_constants(int8(fcn), tmp_path / "bad.onnx", changes)
    assert divergent_layers(bad, fcn) == ["conv2", "score_fr"]
    assert errors(bad, fcn)["score_fr"].causes == ("its bias is another",)


@pytest.mark.parametrize("form", ["fp32", "int8"])
def test_a_mean_left_out_is_named_as_the_normalisation(fcn, tmp_path, form):
    healthy = fcn if form == "fp32" else int8(fcn)
    bad = with_constants(healthy, tmp_path / "bad.onnx", {"contract/mean": lambda value: value * 0})
    assert divergent_layers(bad, fcn) == ["contract/subtract_mean"]
    cause = "it subtracts the mean 0, 0, 0, before it was 120, 110, 100"
    assert errors(bad, fcn)["contract/subtract_mean"].causes == (cause,)


def test_a_mean_whose_node_is_gone_is_found_at_the_next_one(fcn, tmp_path):
    bad = without_node(fcn, tmp_path / "bad.onnx", "contract/subtract_mean")
    assert divergent_layers(bad, fcn) == ["contract/divide_std"]
    assert errors(bad, fcn)["contract/divide_std"].causes[0].startswith("it subtracts the mean 0, 0, 0,")


def test_another_deviation_is_named_as_the_normalisation(fcn, tmp_path):
    bad = with_constants(fcn, tmp_path / "bad.onnx", {"contract/std": np.ones_like})
    assert divergent_layers(bad, fcn) == ["contract/divide_std"]
    assert errors(bad, fcn)["contract/divide_std"].causes == ("it divides by 1, 1, 1, before it was 60, 50, 55",)


def test_swapped_channels_are_named_as_the_normalisation_also_on_nearly_grey_images(fcn, tmp_path):
    bad = with_swapped_channels(fcn, tmp_path / "bad.onnx")
    assert divergent_layers(bad, fcn) == ["contract/subtract_mean"]
    assert errors(bad, fcn)["contract/subtract_mean"].causes == ("its channels are BGR, before they were RGB",)
    grey = np.repeat(IMAGES[0][..., :1], 3, axis=3)
    grey[0, 0, 0, 2] ^= 8
    assert errors(bad, fcn, [grey])["contract/subtract_mean"].error > 0


def test_swapped_channels_of_the_first_weights_are_named_there(fcn, tmp_path):
    bad = with_constants(int8(fcn), tmp_path / "bad.onnx", {"conv1.weight": lambda value: value[:, ::-1]})
    assert divergent_layers(bad, fcn) == ["conv1"]
    assert errors(bad, fcn)["conv1"].causes == ("its weights are in the reverse order of the input channels",)


def test_onnxruntimes_own_quantiser_which_gives_a_relus_name_to_the_convolution_before_it_is_let_be(fcn, tmp_path):
    class Reader(CalibrationDataReader):
        feeds = iter([{"image": image} for image in IMAGES])

        def get_next(self):
            return next(self.feeds, None)

    quantised = tmp_path / "ort.onnx"
    # 7 bits, for a CPU without VNNI adds pairs of products in 16 bits, and would be what differs.
    quantize_static(fcn, quantised, Reader(), reduce_range=True)
    assert "relu1" not in [node.name for node in load_graph(quantised).graph]
    found = errors(quantised, fcn)
    assert [layer.name for layer in found.values() if layer.out_of_line] == []
    assert 0 < found["conv1"].error < 0.05
    bad = with_constants(quantised, tmp_path / "bad.onnx", {"relu2_scale": lambda value: value * 0.1})
    assert divergent_layers(bad, fcn) == ["conv2"]
    assert errors(bad, fcn)["conv2"].causes[0].startswith("the scale of its result covers 10 % of the range seen")


def test_another_network_under_the_same_names_is_refused_in_one_line(fcn, tmp_path):
    weights = small_weights()
    weights |= {name: weights[name][:5] for name in ("conv2.weight", "conv2.bias")}
    weights["conv3.weight"] = weights["conv3.weight"][:, :5].copy()
    other = write_fcn(tmp_path / "other.onnx", weights)
    with pytest.raises(GraphError, match=r"its layers do not take the other stage's tensors .*: is it another network"):
        errors(other, fcn)


def test_a_result_beyond_fp16_is_reported_as_such(tmp_path):
    weights = small_weights()
    weights["conv1.weight"] *= 60000
    fcn = write_fcn(tmp_path / "large.onnx", weights)
    half = save(load_graph(fcn), fcn, "fp16", half=True)
    found = errors(half, fcn)
    assert found["conv1"].error == np.inf
    assert "FP16 ends at 65504" in found["conv1"].causes[0]


def test_a_graph_that_is_normalised_on_the_host_has_that_as_its_first_layer(tmp_path):
    inside = write_graph(tmp_path / "inside.onnx")
    outside = write_graph(tmp_path / "outside.onnx", image="float")
    for card, blamed in ((HOST_CARD, []), (replace(HOST_CARD, mean=(0.0, 0.0, 0.0)), [HOST])):
        found = layer_errors(OnnxSource(outside, card), OnnxSource(inside, HOST_CARD), IMAGES, TOLERANCES)
        assert found[0].name == HOST
        assert [layer.name for layer in found if layer.out_of_line] == blamed
    assert found[0].causes == ("it subtracts the mean 0, 0, 0, before it was 10, 20, 30",)


def test_layers_many_more_than_are_open_at_once_give_the_same(fcn, monkeypatch):
    path = int8(fcn)
    whole = errors(path, fcn)
    monkeypatch.setattr("fcn_deploy.diagnosis.layer_errors.AT_ONCE", 5)
    for name, layer in errors(path, fcn).items():
        assert layer.error == pytest.approx(whole[name].error, rel=1e-3)  # other fusions, FP32 rounding
