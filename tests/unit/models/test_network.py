from __future__ import annotations

import argparse
from pathlib import Path

import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from fcn_deploy.card import CARD_KEY
from fcn_deploy.errors import CheckpointError, UnknownNameError
from fcn_deploy.models.network import load_network
from tests.conftest import tiny_model
from tests.support.recorded_progress import RecordedProgress
from tests.support.reference_nets import caffe_state


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All that a reference is rebuilt from: the weights and the card; the nodes are not looked at."""
    model, card = tiny_model("fcn32s", classes=3)
    sides = helper.make_tensor_value_info("image", TensorProto.UINT8, ["N"])
    weights = [numpy_helper.from_array(value.numpy(), key) for key, value in model.state_dict().items()]
    node = helper.make_node("Identity", ["image"], ["labels"])
    result = helper.make_tensor_value_info("labels", TensorProto.UINT8, ["N"])
    graph = helper.make_model(helper.make_graph([node], "g", [sides], [result], weights))
    helper.set_model_props(graph, {CARD_KEY: card.to_json()})
    path = tmp_path_factory.mktemp("exported") / "m.onnx"
    onnx.save(graph, path)
    return path


def test_an_exported_file_takes_the_class_names_that_were_given(exported: Path):
    card = load_network(str(exported), model="fcn32s", classes=("x", "y", "z"))[1]
    assert card.classes == ("x", "y", "z")
    assert load_network(str(exported))[1].classes == ("c0", "c1", "c2")


def test_names_that_do_not_fit_an_exported_file_are_refused(exported: Path):
    with pytest.raises(CheckpointError, match=r"m\.onnx has scores for 3 classes, but 2 names were given"):
        load_network(str(exported), classes=("x", "y"))
    with pytest.raises(CheckpointError, match=r"m\.onnx holds fcn32s .*, not fcn8s"):
        load_network(str(exported), model="fcn8s")
    with pytest.raises(UnknownNameError, match="unknown model 'nonsense'"):
        load_network(str(exported), model="nonsense")


def test_the_demo_is_named():
    assert load_network("demo")[1].num_classes == 8


def test_keys_of_two_networks_need_the_name_of_one(tmp_path: Path):
    torch.save(caffe_state("fcn8s-atonce-caffe", classes=5), path := tmp_path / "net.pth")
    with pytest.raises(
        CheckpointError, match=r"may be fcn8s-caffe or fcn8s-atonce-caffe: .*; choose with --model fcn8"
    ):
        load_network(str(path))
    for model in ("fcn8s-caffe", "fcn8s-atonce-caffe"):
        assert load_network(str(path), model=model)[1].model == model


@pytest.mark.parametrize(
    ("said", "model"), [("FCN8sAtOnce", "fcn8s-atonce-caffe"), ("FCN8s", "fcn8s-caffe"), ("fcn8s-caffe", "fcn8s-caffe")]
)
@pytest.mark.parametrize("as_argument", [False, True])
def test_the_name_that_a_training_script_stored_is_obeyed(said: str, model: str, as_argument: bool, tmp_path: Path):
    state = caffe_state("fcn8s-caffe", classes=5)
    stored = {"args": argparse.Namespace(model=said)} if as_argument else {"arch": said}
    torch.save({"epoch": 3, "model_state_dict": state} | stored, tmp_path / "net.pth")
    assert load_network(tmp_path / "net.pth")[1].model == model


def test_a_name_that_the_keys_contradict_is_refused(tmp_path: Path):
    torch.save({"arch": "FCN16s", "model_state_dict": caffe_state("fcn8s-caffe", classes=5)}, tmp_path / "net.pth")
    with pytest.raises(CheckpointError, match="calls itself FCN16s, but holds the keys of fcn8s-caffe or fcn8s-at"):
        load_network(tmp_path / "net.pth")
    torch.save({"arch": "DataParallel", "model_state_dict": caffe_state("fcn16s-caffe", 5)}, tmp_path / "net.pth")
    assert load_network(tmp_path / "net.pth")[1].model == "fcn16s-caffe"


def test_a_choice_that_the_user_made_is_not_reported(tmp_path: Path):
    torch.save(caffe_state("fcn8s-atonce-caffe", classes=5), path := tmp_path / "net.pth")
    recorded = RecordedProgress()
    assert load_network(str(path), model="fcn8s-atonce-caffe", progress=recorded)[1].model == "fcn8s-atonce-caffe"
    assert recorded.lines == []
