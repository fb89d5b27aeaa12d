"""The confidence of labels: one formula in a graph, in PyTorch and on the host, in every runner."""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir
import pytest
import torch

from fcn_deploy.contract import Contract
from fcn_deploy.contract import confidence_of as torch_confidence
from fcn_deploy.errors import ExportError, GraphError, UnknownNameError
from fcn_deploy.graph.confidence import FORMULA, NOTE, confidence_of, probabilities_of, with_formula
from fcn_deploy.graph.ports import GraphIO, Port, describe_io
from fcn_deploy.graph.session import open_cpu_session
from fcn_deploy.onnx_export.export import export_model
from fcn_deploy.onnx_export.proof import random_image, same_confidence
from fcn_deploy.runners.registry import open_runner
from fcn_deploy.vocabulary import CONFIDENCE, OUTPUTS, RUNNER_OUTPUTS, file_outputs
from tests.support.contract_graphs import CARD, SCORES, small_graph

# Of two classes: a tie, log 3 apart (three to one), and so far apart that exp would overflow.
LOGITS_BY_HAND = np.array([[[[7.0, math.log(3), -500.0]], [[7.0, 0.0, 500.0]]]], np.float32)
BYTES_BY_HAND = [[[128, 191, 255]]]  # 127.5 goes to the even 128; 255 * 3 / 4 is 191.25


def test_the_formula_by_hand_on_the_host_and_in_pytorch():
    assert confidence_of(LOGITS_BY_HAND).tolist() == BYTES_BY_HAND
    assert confidence_of(LOGITS_BY_HAND.astype(np.float16)).tolist() == BYTES_BY_HAND
    assert torch_confidence(torch.from_numpy(LOGITS_BY_HAND)).tolist() == BYTES_BY_HAND
    np.testing.assert_allclose(probabilities_of(LOGITS_BY_HAND)[0, :, 0], [[0.5, 0.75, 0], [0.5, 0.25, 1]], atol=1e-6)


@pytest.fixture(scope="module")
def small_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("small") / "small.onnx"
    ir.save(small_graph(outputs=OUTPUTS, gain=0.01), path)
    return path


def test_a_graph_gives_the_confidence_of_its_own_logits(small_file):
    image = random_image((2, 33, 47), 0)
    labels, confidence, logits = open_cpu_session(small_file).run(None, {"image": image})
    assert (confidence.dtype, confidence.shape) == (np.uint8, labels.shape)
    assert len(np.unique(confidence)) > 20
    assert np.abs(confidence.astype(int) - confidence_of(logits)).max() <= 1  # rounding of exp in float32
    assert (confidence != confidence_of(logits)).mean() < 0.01


@pytest.mark.parametrize("spec", ["onnxruntime", "openvino:fp32"])
def test_runners_give_every_tensor_of_a_file_with_logits_alone_too(spec, small_file, tmp_path):
    if spec.startswith("openvino"):
        pytest.importorskip("openvino")
    ir.save(small_graph(outputs=("logits",), gain=0.01), tmp_path / "logits.onnx")
    image = random_image((1, 33, 47), 0)
    network = torch.nn.Conv2d(3, 3, 3, padding=1, bias=False)
    network.weight.data = torch.from_numpy(SCORES * np.float32(0.01))
    with torch.inference_mode():
        expected = Contract(network, CARD).outputs(torch.from_numpy(image), RUNNER_OUTPUTS)
    for file in (small_file, tmp_path / "logits.onnx"):
        with open_runner(spec, str(file), outputs=RUNNER_OUTPUTS) as runner:
            found = runner.infer({"image": image})
            work = [note for note in runner.notes if "on the host" in note]
        assert len(work) == (1 if file == small_file else 3)  # probabilities are always made there
        assert list(found) == list(RUNNER_OUTPUTS)
        for name, value in found.items():
            assert value.dtype == expected[name].numpy().dtype
            tolerance = 1 if name == CONFIDENCE else 1e-4
            assert np.abs(value.astype(np.float64) - expected[name].numpy()).max() <= tolerance


def test_a_file_without_it_says_how_to_export_it():
    io = describe_io("", [Port("image", "uint8", (1, 8, 8, 3))], [Port("labels", "uint8", (1, 8, 8))], None)
    with pytest.raises(GraphError, match=r"gives labels alone; export it again with --outputs labels,confidence$"):
        io.fetches(("labels", "confidence"))
    with pytest.raises(GraphError, match=r"gives labels alone; export it again with --outputs logits$"):
        io.fetches(("probabilities",))
    with pytest.raises(GraphError, match=r"gives labels alone; export it again with --outputs logits$"):
        io.fetches(("labels", "confidence", "logits"))


def test_confidence_is_never_taken_for_labels():
    image = Port("image", "uint8", (1, 8, 8, 3))
    sure, scores = Port("confidence", "uint8", (1, 8, 8)), Port("logits", "float32", (1, 3, 8, 8))
    assert describe_io("", [image], [sure, scores], None) == GraphIO(
        "image", np.uint8, None, "logits", None, "confidence"
    )
    with pytest.raises(GraphError, match="its outputs are 'confidence'"):
        describe_io("", [image], [sure], None)


def test_the_card_says_the_formula_where_the_file_has_it_and_only_there():
    noted = with_formula(CARD, ("labels", "confidence"))
    assert noted.notes == {NOTE: FORMULA}
    assert with_formula(noted, ("labels",)) == CARD


def test_a_proof_allows_rounding_and_no_more():
    moved = LOGITS_BY_HAND + np.float32(0.001)
    confidence = confidence_of(LOGITS_BY_HAND)
    assert same_confidence(LOGITS_BY_HAND, moved, confidence)
    assert same_confidence(LOGITS_BY_HAND, moved, confidence - np.uint8(1))
    assert not same_confidence(LOGITS_BY_HAND, moved, confidence - np.uint8(2))
    assert not same_confidence(LOGITS_BY_HAND, moved, confidence[0])


def test_what_has_no_meaning_is_refused(tmp_path):
    with pytest.raises(UnknownNameError, match="confidence alone does not say of which label; write labels,confidence"):
        file_outputs(["confidence"])
    one = type(CARD)("fcn8s", ("a",))
    with pytest.raises(ExportError, match="with one class each pixel has a confidence of 1"):
        export_model(torch.nn.Identity(), one, tmp_path / "x.onnx", outputs=("labels", "confidence"))
    assert not list(tmp_path.iterdir())
