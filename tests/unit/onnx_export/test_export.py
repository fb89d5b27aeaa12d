"""The exported file: its names, its contract, its proof, and what remains when something fails."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnx_ir
import onnxruntime
import pytest
import torch

from fcn_deploy.contract import Contract
from fcn_deploy.errors import ExportError, GraphError, OutputError, ParityError, UnknownNameError
from fcn_deploy.graph import weights as storage
from fcn_deploy.graph.load import load_graph, load_weights, read_card
from fcn_deploy.models.registry import build, new_card
from fcn_deploy.network_size import NetworkSize
from fcn_deploy.onnx_export import export as export_module
from fcn_deploy.onnx_export.export import ExportReport, export_model
from fcn_deploy.onnx_export.proof import PROOF_SHAPES, proof_shapes, prove, random_image
from fcn_deploy.onnx_export.trace import trace
from tests.conftest import tiny_model
from tests.support.shared_traces import share_traces, structure

SHAPES = ((1, 1, 1), (3, 33, 47))


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, shared_traces: None) -> tuple[torch.nn.Module, ExportReport]:
    """Export the tiny FCN-8s by a trace of its own, which no other test shares."""
    model, card = tiny_model()
    target = tmp_path_factory.mktemp("export") / "tiny.onnx"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export_module, "trace", trace)
        return model, export_model(model, card, target, outputs=("labels", "logits"))


@pytest.fixture(scope="module")
def fcn32s_proto() -> onnx.ModelProto:
    """The traced graph of the tiny FCN-32s."""
    return onnx_ir.to_proto(export_module.trace(tiny_model("fcn32s")[0]))


@pytest.fixture
def traced_before(monkeypatch: pytest.MonkeyPatch, fcn32s_proto: onnx.ModelProto) -> None:
    """Export the tiny FCN-32s from the graph that was traced for all tests: what they look at happens after tracing."""
    monkeypatch.setattr(export_module, "trace", lambda _: onnx_ir.from_proto(fcn32s_proto))


def _run(path: Path, image: np.ndarray, names: list[str]) -> list[np.ndarray]:
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(names, {"image": image})


def test_every_shape_of_the_proof_passes_far_inside_the_tolerance(exported):
    _, report = exported
    assert len(report.ticks) >= 8
    assert {tick.shape for tick in report.ticks} == set(PROOF_SHAPES)
    # Rounding of float32 sums; a structural mistake shows up at 1e-2.
    assert max(tick.relative_difference for tick in report.ticks) < 1e-5


def test_the_file_is_opset_17_with_named_dynamic_sides_and_passes_the_full_check(exported):
    model = onnx.load(exported[1].path)
    onnx.checker.check_model(exported[1].path, full_check=True)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 17)]

    def sides(value):
        return [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]

    assert [(value.name, sides(value)) for value in model.graph.input] == [("image", ["N", "H", "W", 3])]
    assert [(value.name, sides(value)) for value in model.graph.output] == [
        ("labels", ["N", "H", "W"]),
        ("logits", ["N", 5, "H", "W"]),
    ]


def test_nodes_are_named_after_their_modules_and_say_nothing_of_the_machine(exported):
    graph = onnx.load(exported[1].path)
    names = {node.name: node.op_type for node in graph.graph.node}
    assert names["backbone.stage3.conv2"] == "Conv"
    assert names["upscore_pool4"] == "ConvTranspose"
    assert names["fuse_pool4/Add"] == "Add"
    assert len(names) == len(graph.graph.node)
    assert b"site-packages" not in graph.SerializeToString()


def test_each_crop_is_one_slice(exported):
    graph = onnx.load(exported[1].path)
    assert sum(node.op_type == "Slice" for node in graph.graph.node) == 3


def test_sizes_outside_the_proof_give_the_labels_of_pytorch(exported):
    model, report = exported
    reference = Contract(model, read_card(report.path))
    for shape in [(1, 2, 2), (2, 96, 31), (1, 200, 1)]:
        image = random_image(shape, 7)
        labels, logits = _run(report.path, image, ["labels", "logits"])
        with torch.inference_mode():
            expected = reference.logits(torch.from_numpy(image)).numpy()
        assert labels.dtype == np.uint8
        np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
        assert np.array_equal(labels, logits.argmax(1))


def test_the_network_is_rebuilt_from_the_file_alone(exported):
    model, report = exported
    rebuilt = build(read_card(report.path))
    load_weights(rebuilt, load_graph(report.path), report.path)
    weights = rebuilt.state_dict()
    assert weights.keys() == model.state_dict().keys()
    assert all(torch.equal(weights[key], value) for key, value in model.state_dict().items())


def test_a_file_whose_weights_were_renamed_is_refused_with_the_missing_name(exported, tmp_path):
    proto = onnx.load(exported[1].path)
    for tensor in proto.graph.initializer:
        if tensor.name == "score_fr.weight":
            tensor.name = "elsewhere"
    for node in proto.graph.node:
        node.input[:] = ["elsewhere" if name == "score_fr.weight" else name for name in node.input]
    onnx.save(proto, tmp_path / "renamed.onnx")
    with pytest.raises(GraphError, match=r"1 missing \['score_fr.weight'\], 1 unexpected \['elsewhere'\]"):
        load_weights(tiny_model()[0], load_graph(tmp_path / "renamed.onnx"), tmp_path / "renamed.onnx")


def test_labels_alone_is_the_default_and_leaves_no_other_output(tmp_path, traced_before):
    model, card = tiny_model("fcn32s")
    report = export_model(model, card, tmp_path / "labels.onnx", shapes=SHAPES)
    session = onnxruntime.InferenceSession(report.path, providers=["CPUExecutionProvider"])
    assert [output.name for output in session.get_outputs()] == ["labels"]
    assert [path.name for path in tmp_path.iterdir()] == ["labels.onnx"]
    image = random_image((2, 45, 61), 5)
    with torch.inference_mode():
        expected = Contract(model, card)(torch.from_numpy(image)).numpy()
    (labels,) = _run(report.path, image, ["labels"])
    assert np.mean(labels == expected) > 0.999  # rounding may exchange two nearly equal logits


def test_a_final_file_that_differs_from_the_proven_one_is_refused(tmp_path, monkeypatch, traced_before):
    keep = export_module.keep_outputs

    def spoil(graph, names):
        bias = graph.graph.initializers["score_fr.bias"]
        bias.const_value = onnx_ir.tensor(bias.const_value.numpy() + np.arange(5, dtype=np.float32), name=bias.name)
        keep(graph, names)

    monkeypatch.setattr(export_module, "keep_outputs", spoil)
    model, card = tiny_model("fcn32s")
    with pytest.raises(GraphError, match="gives other results than the proven one"):
        export_model(model, card, tmp_path / "never.onnx", shapes=SHAPES)
    assert list(tmp_path.iterdir()) == []


def test_a_float_input_takes_the_normalised_image_and_gives_the_same_logits(tmp_path):
    model, card = tiny_model("fcn16s")
    report = export_model(model, card, tmp_path / "f.onnx", outputs=("logits",), input_kind="float", shapes=SHAPES)
    reference = Contract(model, card)
    image = torch.from_numpy(random_image((2, 21, 35), 3))
    with torch.inference_mode():
        expected = reference.logits(image).numpy()
    (logits,) = _run(report.path, reference.normalise(image).numpy(), ["logits"])
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_bgr_order_and_caffe_means_are_in_the_graph(tmp_path, traced_before):
    model, card = tiny_model("fcn32s")
    card = replace(card, channel_order="BGR", mean=(104.0, 117.0, 123.0), std=(1.0, 1.0, 1.0))
    report = export_model(model, card, tmp_path / "bgr.onnx", outputs=("logits",), shapes=SHAPES)
    image = random_image((1, 20, 30), 1)
    # By hand: blue is the last channel of an RGB image and the first that the network sees.
    by_hand = image[..., ::-1].astype(np.float32).transpose(0, 3, 1, 2) - np.array(card.mean, np.float32)[:, None, None]
    with torch.inference_mode():
        expected = model(torch.from_numpy(by_hand.copy())).numpy()
    (logits,) = _run(report.path, image, ["logits"])
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_above_255_classes_labels_are_int32(tmp_path):
    card = new_card("fcn32s", [f"c{index}" for index in range(300)])
    model = torch.nn.Conv2d(3, 300, 1).eval()
    report = export_model(model, card, tmp_path / "wide.onnx", shapes=((1, 5, 7),))
    image = random_image((1, 9, 5), 0)
    (labels,) = _run(report.path, image, ["labels"])
    assert labels.dtype == np.int32
    assert np.array_equal(labels, Contract(model, card)(torch.from_numpy(image)))


def test_weights_above_the_limit_go_next_to_the_file_and_load(tmp_path, monkeypatch):
    monkeypatch.setattr(storage, "INLINE_LIMIT_BYTES", 1000)
    model, card = tiny_model("fcn32s")
    report = export_model(model, card, tmp_path / "big.onnx", shapes=SHAPES)
    assert report.data_path == tmp_path / "big.onnx.data"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["big.onnx", "big.onnx.data"]
    assert report.path.stat().st_size < report.data_path.stat().st_size
    rebuilt, _ = tiny_model("fcn32s", seed=1)
    load_weights(rebuilt, load_graph(report.path), report.path)
    assert all(torch.equal(value, rebuilt.state_dict()[key]) for key, value in model.state_dict().items())
    assert _run(report.path, random_image((1, 9, 5), 0), ["labels"])[0].shape == (1, 9, 5)


@pytest.mark.parametrize("damage", ["missing", "cut"])
def test_external_data_that_is_missing_or_cut_is_named(tmp_path, monkeypatch, traced_before, damage):
    monkeypatch.setattr(storage, "INLINE_LIMIT_BYTES", 1000)
    model, card = tiny_model("fcn32s")
    report = export_model(model, card, tmp_path / "big.onnx", shapes=SHAPES)
    assert report.data_path is not None
    content = report.data_path.read_bytes()
    report.data_path.unlink() if damage == "missing" else report.data_path.write_bytes(content[:100])
    with pytest.raises(GraphError, match="its external data cannot be read"):
        load_weights(model, load_graph(report.path), report.path)


class _Dishonest(torch.nn.Module):
    """Exports as one thing and runs as another."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits = self.model(x)
        return logits if torch.compiler.is_exporting() else logits * 1.01


def test_a_failed_proof_leaves_the_old_file_and_nothing_else(tmp_path):
    model, card = tiny_model("fcn32s")
    target = tmp_path / "kept.onnx"
    target.write_bytes(b"the file of yesterday")
    with pytest.raises(ParityError, match=r"2 of 2 shapes") as caught:
        export_model(_Dishonest(model).eval(), card, target, shapes=SHAPES)
    assert caught.value.largest_difference == pytest.approx(0.0099, abs=1e-4)
    assert [path.name for path in tmp_path.iterdir()] == ["kept.onnx"]
    assert target.read_bytes() == b"the file of yesterday"


def test_ctrl_c_in_the_proof_leaves_nothing(tmp_path, monkeypatch, traced_before):
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(export_module, "prove", interrupted)
    model, card = tiny_model("fcn32s")
    with pytest.raises(KeyboardInterrupt):
        export_model(model, card, tmp_path / "never.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path, monkeypatch, traced_before):
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(storage.ir, "save", full)
    model, card = tiny_model("fcn32s")
    with pytest.raises(OutputError, match=r"cannot write .*never.onnx: no space is left on the device"):
        export_model(model, card, tmp_path / "never.onnx")
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_does_not_exist_is_named_before_any_work(tmp_path):
    model, card = tiny_model("fcn32s")
    with pytest.raises(UnknownNameError, match=r"unknown output 'lables'; did you mean labels\?"):
        export_model(model, card, tmp_path / "x.onnx", outputs=("lables",))


class _Sorting(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.amax(dim=1, keepdim=True)


def test_an_operator_that_opset_17_defines_otherwise_is_named(tmp_path):
    _, card = tiny_model("fcn32s", classes=1)
    with pytest.raises(ExportError, match="ReduceMax, which opset 17 defines otherwise"):
        export_model(_Sorting().eval(), card, tmp_path / "x.onnx")


class _Averaging(torch.nn.Module):
    def __init__(self, axes: tuple[int, ...], keepdim: bool) -> None:
        super().__init__()
        self.axes, self.keepdim = axes, keepdim

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = x.mean(self.axes, keepdim=self.keepdim)
        return x + (mean if self.keepdim else mean.mean())


def test_the_mean_over_all_positions_is_an_operator_of_opset_17():
    graph = trace(_Averaging((-1, -2), keepdim=True).eval()).graph
    (pool,) = [node for node in graph if node.op_type == "GlobalAveragePool"]
    assert (len(pool.inputs), dict(pool.attributes)) == (1, {})
    for axes, keepdim in (((1,), True), ((2,), True), ((2, 3), False)):
        with pytest.raises(ExportError, match="ReduceMean, which opset 17 defines otherwise"):
            trace(_Averaging(axes, keepdim).eval())


def test_a_graph_with_a_wrong_mean_fails_the_proof(exported):
    model, report = exported
    card = read_card(report.path)
    other = Contract(model, replace(card, mean=(0.0, 0.0, 0.0)))
    with pytest.raises(ParityError):
        prove(report.path, other, shapes=SHAPES)


def test_a_network_size_is_in_the_graph_and_in_the_card(tmp_path, traced_before):
    model, card = tiny_model("fcn32s")
    report = export_model(model, replace(card, network_size="40x50"), tmp_path / "sized.onnx", shapes=((2, 33, 47),))
    assert report.card.network_size == read_card(report.path).network_size == "40x50"
    image = random_image((1, 101, 61), 5)
    (labels,) = _run(report.path, image, ["labels"])
    with torch.inference_mode():
        assert np.array_equal(labels, Contract(model, report.card)(torch.from_numpy(image)))
        assert not np.array_equal(labels, Contract(model, card)(torch.from_numpy(image)))


def test_every_image_of_a_fixed_size_costs_the_same_so_fewer_are_proven():
    assert proof_shapes(None) == proof_shapes(NetworkSize.parse("0.5")) == PROOF_SHAPES
    assert proof_shapes(NetworkSize.parse("512x1024"))[-1] == (1, 545, 1041)
    assert proof_shapes(NetworkSize.parse("longest:100"))[-1] == (1, 133, 67)
    assert sum(shape[0] for shape in proof_shapes(NetworkSize.parse("512x1024"))) == 6


@pytest.mark.parametrize(
    ("size", "code", "message"),
    [
        ("31x512", 1, "a network size of 31x512 is below the stride of fcn8s, 32; give sides of 32 or more"),
        ("longest:16", 1, "a network size of longest:16 is below the stride of fcn8s, 32"),
        ("0", 2, "'0' is not a network size; write HxW as in 512x1024"),
        ("half", 2, "'half' is not a network size"),
    ],
)
def test_an_impossible_network_size_is_one_line(shell, tmp_path, size, code, message):
    ended = shell("export", "demo", "--network-size", size, "-o", tmp_path / "x.onnx")
    assert (ended.code, ended.out, len(ended.err.splitlines())) == (code, "", 1)
    assert message in ended.err
    assert not list(tmp_path.iterdir())


def test_the_card_travels_in_the_metadata(exported):
    proto = onnx.load(exported[1].path, load_external_data=False)
    metadata = {entry.key: entry.value for entry in proto.metadata_props}
    assert json.loads(metadata["fcn_deploy.card"])["model"] == "fcn8s"
    assert proto.producer_name == "fcn-deploy"


def test_a_graph_that_tests_share_makes_the_file_that_a_trace_of_its_own_makes(
    exported, made_once, tmp_path, monkeypatch
):
    network, report = exported
    shared = share_traces(made_once)
    shared(tiny_model(seed=1)[0])
    monkeypatch.setattr("tests.support.shared_traces.trace", None)
    monkeypatch.setattr(export_module, "trace", shared)
    export_model(network, report.card, tmp_path / "shared.onnx", outputs=("labels", "logits"), shapes=SHAPES)
    assert (tmp_path / "shared.onnx").read_bytes() == report.path.read_bytes()


def test_a_network_that_computes_something_else_shares_no_graph():
    network, _ = tiny_model()
    key = structure(network)
    assert key == structure(tiny_model(seed=1)[0])
    others = [tiny_model("fcn16s")[0], tiny_model(classes=6)[0], tiny_model(width=0.1)[0]]
    assert len({key, *map(structure, others)}) == 4
    network.forward = lambda x: x
    assert structure(network) is None
    assert structure(_Sorting().eval()) is None
    network, _ = tiny_model()
    network.register_forward_hook(lambda *_: None)
    assert structure(network) is None
