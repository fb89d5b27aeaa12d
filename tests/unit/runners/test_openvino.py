"""The OpenVINO runner on real OpenVINO; devices and types that this machine lacks come from a fake core."""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import onnx
import pytest

from fcn_deploy.benchmark.runner_specs import parse_spec
from fcn_deploy.errors import GraphError, MissingDependencyError, RunnerError, UnknownNameError
from fcn_deploy.runners import openvino as openvino_runner
from fcn_deploy.runners.openvino import open_core, parse_device
from fcn_deploy.runners.registry import device_of, open_runner
from fcn_deploy.vocabulary import INPUT
from tests.support.onnx_files import CARD, write_graph
from tests.support.small_fcn import images, write_fcn
from tests.unit.runners.ort.test_runner import LOGITS, image_of_pixels

openvino = pytest.importorskip("openvino", reason="openvino is not installed")


@pytest.fixture
def classes() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 3, (2, 33, 47)).astype(np.uint8)


def test_labels_come_back_as_the_contract_says(tmp_path, classes):
    with open_runner("openvino", str(write_graph(tmp_path / "m.onnx")), threads=1) as runner:
        labels = runner.infer({"image": image_of_pixels(classes)})["labels"]
        assert runner.card == CARD
        assert runner.notes == ()  # nothing in this graph multiplies matrices
    assert labels.dtype == np.uint8
    assert np.array_equal(labels, classes)


def test_shapes_may_change_and_results_belong_to_the_caller(tmp_path, classes):
    with open_runner("openvino:cpu", str(write_graph(tmp_path / "m.onnx"))) as runner:
        first = runner.infer({"image": image_of_pixels(classes)})["labels"]
        for part in (classes[:1, :1, :1], classes[:, :5, :9], (classes + 1) % 3):
            assert np.array_equal(runner.infer({"image": image_of_pixels(part)})["labels"], part)
    assert np.array_equal(first, classes)


def test_an_image_that_is_too_small_spoils_no_later_one(tmp_path):
    """For OpenVINO, which pools no side of one pixel, and failed for the shape before it from then on."""
    with open_runner("openvino", str(write_fcn(tmp_path / "m.onnx"))) as runner, runner.clone() as other:
        (image,) = images(1)
        labels = runner.infer({"image": image})["labels"]
        for first, second in ((runner, other), (other, runner)):
            with pytest.raises(RunnerError, match="failed while running"):
                first.infer({"image": image[:, :1, :1]})
            assert np.array_equal(second.infer({"image": image})["labels"], labels)


def test_an_image_that_its_owner_has_dropped_is_still_the_one_that_is_run(tmp_path, classes):
    with open_runner("openvino", str(write_graph(tmp_path / "m.onnx"))) as runner:
        runner.upload({"image": image_of_pixels(classes)})
        overwriting = [
            image_of_pixels((classes + 1) % 3) for _ in range(9)
        ]  # where the dropped one was, if it is freed
        runner.execute()
        assert np.array_equal(runner.download()["labels"], classes)
    assert len(overwriting) == 9


def test_an_image_that_may_not_be_written_to_is_run_too(tmp_path, classes):
    image = image_of_pixels(classes)
    image.flags.writeable = False
    with open_runner("openvino", str(write_graph(tmp_path / "m.onnx"))) as runner:
        assert np.array_equal(runner.infer({"image": image})["labels"], classes)


def test_a_graph_of_floats_and_logits_under_other_names_keeps_the_contract_and_says_who_works(tmp_path, classes):
    path = write_graph(tmp_path / "m.onnx", image="float", outputs=("logits",), names=("x", "y", "scores"))
    with open_runner("openvino:fp32", str(path), outputs=("labels", "logits")) as runner:
        results = runner.infer({"image": image_of_pixels(classes)})
        assert runner.notes == (
            "normalises the image on the host (in upload)",
            "takes the arg max of the logits on the host (in download)",
        )
    assert np.array_equal(results["labels"], classes)
    # exact: every number of PIXELS, CARD and LOGITS is a multiple of 0.5 below 100
    assert np.array_equal(results["logits"], LOGITS[classes].transpose(0, 3, 1, 2))


def test_fp32_is_fp32_and_the_note_says_so(tmp_path):
    path = str(write_fcn(tmp_path / "fcn.onnx"))
    image = images(1, (2, 34, 46), seed=3)[0]
    with open_runner("openvino:fp32", path) as runner, open_runner("onnxruntime", path) as other:
        assert np.array_equal(*(one.infer({"image": image})["labels"] for one in (runner, other)))
        (note,) = runner.notes
    assert note.startswith("layers that multiply: ")
    assert note.endswith(" in FP32")
    assert "," not in note


def test_the_note_shows_bf16_where_openvino_chooses_it(tmp_path):
    if "BF16" not in open_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("this CPU has no BF16")
    for spec in ("openvino", "openvino:bf16"):
        with open_runner(spec, str(write_fcn(tmp_path / "fcn.onnx"))) as runner:
            assert " in BF16" in runner.notes[0]


def test_as_many_threads_run_as_were_asked_for(tmp_path, monkeypatch):
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("one core alone")
    compiled = []
    opened = openvino_runner.OpenVinoRunner.__init__
    monkeypatch.setattr(
        openvino_runner.OpenVinoRunner,
        "__init__",
        lambda self, name, network, io, **given: (compiled.append(network), opened(self, name, network, io, **given))[
            1
        ],
    )
    path = str(write_graph(tmp_path / "m.onnx"))
    for threads in (1, 2):
        open_runner("openvino", path, threads=threads).close()
        assert compiled[-1].get_property("INFERENCE_NUM_THREADS") == threads


@pytest.mark.parametrize(
    ("text", "parsed"),
    [("cpu", ("cpu", None)), ("bf16", ("cpu", "bf16")), ("gpu:fp32", ("gpu", "fp32")), ("fp32:npu", ("npu", "fp32"))],
)
def test_a_device_is_distinguished_from_a_type(text, parsed):
    assert parse_device(text) == parsed


def test_what_is_neither_device_nor_type_is_refused_with_the_near_match():
    with pytest.raises(UnknownNameError, match="did you mean bf16"):
        parse_device("bf61")
    for text in ("cpu:gpu", "fp32:bf16", "cpu:"):
        with pytest.raises(UnknownNameError, match="unknown OpenVINO device or type"):
            parse_device(text)


def test_a_device_or_type_that_is_not_here_is_never_replaced(tmp_path, monkeypatch):
    core = SimpleNamespace(available_devices=["CPU", "GPU.0"], get_property=lambda *asked: ["FP32", "INT8"])
    monkeypatch.setattr(openvino, "Core", lambda: core)
    path = str(write_graph(tmp_path / "m.onnx"))
    with pytest.raises(RunnerError, match=r"openvino:npu: OpenVINO finds no npu here; it has: cpu, gpu\.0"):
        open_runner("openvino:npu", path)
    with pytest.raises(RunnerError, match=r"this cpu does not compute in bf16; it has: fp32$"):
        open_runner("openvino:bf16", path)


def test_openvino_that_is_not_installed_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'fcn-deploy\[openvino\]'"):
        open_runner("openvino", str(write_graph(tmp_path / "m.onnx")))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, r"junk\.onnx does not exist"),
        (b"", r"junk\.onnx is not an ONNX model"),
        (b"<html>not found</html>", r"junk\.onnx cannot be read as ONNX"),
        ("Convolute", r"junk\.onnx: OpenVINO cannot read it: .+"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line(tmp_path, content, words):
    path = tmp_path / "junk.onnx"
    if isinstance(content, str):
        model = onnx.load(write_graph(path))
        model.graph.node[0].op_type = content
        onnx.save(model, path)
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(GraphError, match=words) as caught:
        open_runner("openvino", str(path))
    assert "\n" not in str(caught.value)
    assert "src/" not in str(caught.value)


def test_another_kind_of_file_and_missing_logits_are_refused_with_the_fix(tmp_path):
    with pytest.raises(RunnerError, match=r"runs \.onnx files, not demo"):
        open_runner("openvino", "demo")
    with pytest.raises(
        GraphError, match=r"m\.onnx: the file gives labels alone; export it again with --outputs logits"
    ):
        open_runner("openvino", str(write_graph(tmp_path / "m.onnx")), outputs=("logits",))


def test_a_size_that_the_file_does_not_take_is_a_runner_error_of_one_line(tmp_path):
    path = write_graph(tmp_path / "m.onnx")
    model = onnx.load(path)
    for axis, size in enumerate((1, 32, 47)):
        model.graph.input[0].type.tensor_type.shape.dim[axis].dim_value = size
    onnx.save(model, path)
    with open_runner("openvino", str(path)) as runner:
        with pytest.raises(RunnerError, match=r"openvino .*33") as caught:
            runner.infer({"image": np.zeros((1, 33, 47, 3), np.uint8)})
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "runner", "precision", "target"),
    [
        ("openvino", "openvino", None, "cpu"),
        ("openvino:fp32", "openvino:fp32", None, "cpu"),
        ("openvino:int8", "openvino", "int8", "cpu"),
        ("openvino:int8:fp32", "openvino:fp32", "int8", "cpu"),
        ("openvino:gpu:bf16:int8", "openvino:gpu:bf16", "int8", "tensorrt"),
    ],
)
def test_a_row_of_the_benchmark_rewrites_the_file_and_leaves_types_of_floats_to_openvino(
    spec, runner, precision, target
):
    found = parse_spec(spec)
    assert (found.runner, found.precision, found.target) == (runner, precision, target)


@pytest.mark.parametrize(
    ("spec", "device"),
    [("openvino", "cpu"), ("openvino:fp32", "cpu"), ("openvino:bf16:gpu", "gpu"), ("onnxruntime:cuda", "cuda")],
)
def test_a_type_is_no_device(spec, device):
    assert device_of(spec) == device


def test_a_network_that_is_opened_for_two_lanes_has_two_streams_of_those_threads(tmp_path, monkeypatch):
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("one core alone")
    path = str(write_fcn(tmp_path / "m.onnx"))
    with open_runner("openvino", path, threads=1, lanes=2) as first, first.clone() as second:
        assert first._compiled is second._compiled  # one copy of the weights
        assert first._compiled.get_property("NUM_STREAMS") == 2
        assert first._compiled.get_property("INFERENCE_NUM_THREADS") == 2
        assert second.notes == first.notes
        batches = images(8)
        with ThreadPoolExecutor(2) as pool:
            halves = [
                pool.submit(lambda runner, own: [runner.infer({"image": one})["labels"] for one in own], runner, own)
                for runner, own in ((first, batches[:4]), (second, batches[4:]))
            ]
            found = [labels for half in halves for labels in half.result()]
    with open_runner("openvino", path, threads=2) as alone:
        assert all(
            np.array_equal(labels, alone.infer({"image": image})["labels"])
            for labels, image in zip(found, batches, strict=True)
        )


def test_a_clone_outlives_the_runner_that_it_was_made_of(tmp_path, classes):
    with open_runner("openvino", str(write_graph(tmp_path / "m.onnx")), threads=1, lanes=2) as first:
        second = first.clone()
    assert np.array_equal(second.infer({"image": image_of_pixels(classes)})["labels"], classes)
    second.close()
    with pytest.raises(RunnerError, match="closed"):
        second.infer({"image": image_of_pixels(classes)})


def test_an_image_that_is_too_small_is_named_with_the_layer(tmp_path):
    words = r"an image of 1x2 is too small for the layer pool \(MaxPool\); give a larger"
    with open_runner("openvino", str(write_fcn(tmp_path / "fcn.onnx"))) as runner:
        runner.infer({INPUT: np.zeros((1, 34, 46, 3), np.uint8)})  # whose size is not the one to name
        with pytest.raises(RunnerError, match=words):
            runner.infer({INPUT: np.zeros((1, 1, 2, 3), np.uint8)})
