from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto

from fcn_deploy.errors import GraphError, RunnerError, UnknownNameError
from fcn_deploy.runners.registry import open_runner
from tests.support.onnx_files import CARD, write_graph

# (x - mean) / std with mean 10, 20, 30 and std 2, 1, 4: [30, 25, 60] -> [10, 5, 7.5], [0, 50, 0] -> [-5, 30, -7.5],
# [10, 19, 70] -> [0, -1, 10]
PIXELS = np.array([[30, 25, 60], [0, 50, 0], [10, 19, 70]], np.uint8)
LOGITS = np.array([[10, 5, 7.5], [-5, 30, -7.5], [0, -1, 10]], np.float32)


def image_of_pixels(classes: np.ndarray) -> np.ndarray:
    """uint8[N, H, W, 3] whose pixel of class c is PIXELS[c]."""
    return PIXELS[classes]


@pytest.fixture
def classes() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 3, (2, 33, 47)).astype(np.uint8)


def missing_provider() -> str:
    """A provider of the CUDA family that cannot start here."""
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime was built without CUDA")
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    return "cuda"


def test_labels_come_back_as_the_contract_says(tmp_path, classes):
    with open_runner("onnxruntime", str(write_graph(tmp_path / "m.onnx"))) as runner:
        labels = runner.infer({"image": image_of_pixels(classes)})["labels"]
        assert runner.card == CARD
        assert runner.notes == ()
    assert labels.dtype == np.uint8
    assert np.array_equal(labels, classes)


def test_shapes_may_change_between_calls(tmp_path, classes):
    with open_runner("onnxruntime:cpu", str(write_graph(tmp_path / "m.onnx")), threads=1) as runner:
        for part in (classes, classes[:1, :1, :1], classes[:, :5, :9], classes):
            assert np.array_equal(runner.infer({"image": image_of_pixels(part)})["labels"], part)


def test_results_belong_to_the_caller(tmp_path, classes):
    with open_runner("onnxruntime", str(write_graph(tmp_path / "m.onnx"))) as runner:
        first = runner.infer({"image": image_of_pixels(classes)})["labels"]
        runner.infer({"image": image_of_pixels((classes + 1) % 3)})
        runner.execute()
    assert np.array_equal(first, classes)


def test_execute_twice_after_one_upload_gives_the_same_labels(tmp_path, classes):
    with open_runner("onnxruntime", str(write_graph(tmp_path / "m.onnx"))) as runner:
        runner.upload({"image": image_of_pixels(classes)})
        runner.execute()
        first = runner.download()["labels"]
        runner.execute()
        assert np.array_equal(runner.download()["labels"], first)


def test_a_graph_that_wants_floats_and_gives_logits_keeps_the_contract_and_says_who_does_the_work(tmp_path, classes):
    path = write_graph(tmp_path / "m.onnx", image="float", outputs=("logits",))
    with open_runner("onnxruntime", str(path)) as runner:
        labels = runner.infer({"image": image_of_pixels(classes)})["labels"]
        notes = " ".join(runner.notes)
    assert labels.dtype == np.uint8
    assert np.array_equal(labels, classes)
    assert "normalises the image on the host" in notes
    assert "arg max of the logits on the host" in notes


def test_bgr_cards_flip_the_channels_on_the_host(tmp_path, classes):
    from dataclasses import replace

    card = replace(CARD, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), channel_order="BGR")
    path = write_graph(tmp_path / "m.onnx", image="float", card=card)
    image = np.eye(3, dtype=np.uint8)[classes] * 200
    with open_runner("onnxruntime", str(path)) as runner:
        assert np.array_equal(runner.infer({"image": image})["labels"], 2 - classes)


def test_logits_on_request_have_the_values_of_the_formula(tmp_path, classes):
    path = write_graph(tmp_path / "m.onnx", outputs=("labels", "logits"))
    with open_runner("onnxruntime", str(path), outputs=("labels", "logits")) as runner:
        results = runner.infer({"image": image_of_pixels(classes)})
    assert results["logits"].dtype == np.float32
    # exact: every number of PIXELS, CARD and LOGITS is a multiple of 0.5 below 100
    assert np.array_equal(results["logits"], LOGITS[classes].transpose(0, 3, 1, 2))
    assert np.array_equal(results["labels"], classes)


def test_ports_of_other_names_are_recognised_by_type_and_rank(tmp_path, classes):
    path = write_graph(tmp_path / "m.onnx", outputs=("logits", "labels"), names=("x", "y", "scores"), image="float")
    with open_runner("onnxruntime", str(path)) as runner:
        assert np.array_equal(runner.infer({"image": image_of_pixels(classes)})["labels"], classes)


def test_int64_labels_are_narrowed(tmp_path, classes):
    path = write_graph(tmp_path / "m.onnx", label_type=TensorProto.INT64)
    with open_runner("onnxruntime", str(path)) as runner:
        labels = runner.infer({"image": image_of_pixels(classes)})["labels"]
    assert labels.dtype == np.uint8
    assert np.array_equal(labels, classes)


def test_logits_from_a_file_of_labels_are_refused_with_the_fix(tmp_path):
    path = write_graph(tmp_path / "m.onnx")
    with pytest.raises(GraphError, match=r"m.onnx: the file gives labels alone; export it again with --outputs logits"):
        open_runner("onnxruntime", str(path), outputs=("logits",))


def test_a_float_graph_without_a_card_is_refused_because_the_mean_is_unknown(tmp_path):
    path = write_graph(tmp_path / "m.onnx", image="float", card=None)
    with pytest.raises(
        GraphError, match=r"'image' tensor\(float\)\[N, 3, H, W\] and it holds no model card, so the mean"
    ):
        open_runner("onnxruntime", str(path))


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", bytes(1000)])
def test_junk_is_one_line(tmp_path, content):
    path = tmp_path / "junk.onnx"
    path.write_bytes(content)
    with pytest.raises(GraphError, match=r"junk\.onnx") as caught:
        open_runner("onnxruntime", str(path))
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_another_kind_of_file_have_different_messages(tmp_path):
    with pytest.raises(GraphError, match="does not exist"):
        open_runner("onnxruntime", str(tmp_path / "m.onnx"))
    with pytest.raises(RunnerError, match=r"runs \.onnx files, not demo"):
        open_runner("onnxruntime", "demo")


def test_a_provider_that_cannot_start_is_never_replaced_by_the_cpu(tmp_path, capfd):
    provider = missing_provider()
    path = str(write_graph(tmp_path / "m.onnx"))
    with pytest.raises(RunnerError, match=r"CUDAExecutionProvider did not start: .+; available here: cpu"):
        open_runner(f"onnxruntime:{provider}", path)
    assert capfd.readouterr() == ("", "")


def test_unknown_and_unbuilt_providers_have_different_messages(tmp_path):
    path = str(write_graph(tmp_path / "m.onnx"))
    with pytest.raises(UnknownNameError, match="did you mean cuda"):
        open_runner("onnxruntime:cudaa", path)
    with pytest.raises(RunnerError, match=r"built without RknpuExecutionProvider; it has: .*cpu"):
        open_runner("onnxruntime:rknpu", path)


def test_a_failure_while_running_is_a_runner_error_of_one_line(tmp_path):
    import onnx

    path = write_graph(tmp_path / "m.onnx")
    model = onnx.load(path)
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 32
    onnx.save(model, path)
    with open_runner("onnxruntime", str(path)) as runner:
        with pytest.raises(RunnerError, match=r"failed while running: .*33") as caught:
            runner.infer({"image": np.zeros((1, 33, 47, 3), np.uint8)})
        assert "\n" not in str(caught.value)
