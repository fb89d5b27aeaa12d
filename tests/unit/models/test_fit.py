"""What is said of weights that fit no network, or nearly one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from fcn_deploy.errors import CheckpointError
from fcn_deploy.models.network import load_network
from tests.support.reference_nets import State, caffe_state, deeplab_state, resnet_state


def refused(state: State, folder: Path) -> str:
    torch.save(state, folder / "net.pth")
    with pytest.raises(CheckpointError) as caught:
        load_network(folder / "net.pth")
    return str(caught.value)


def test_a_network_of_another_backbone_is_answered_with_the_nearest_one(tmp_path: Path):
    head = {key: value for key, value in deeplab_state(5, (3, 4, 6, 3)).items() if key.startswith("classifier.")}
    backbone = {f"backbone.{index}.block.0.weight": torch.ones(1) for index in range(100)}
    message = refused(backbone | head, tmp_path)
    assert "follows no known convention: it has backbone.0.block.0.weight" in message
    assert "the nearest is deeplabv3-resnet50, with 44 of its 370 names, scores for 5 classes; " in message
    assert "missing aux_classifier.0.weight and " in message
    assert "unexpected backbone.0.block.0.weight and 99 more" in message


def test_names_of_no_network_bring_the_known_conventions(tmp_path: Path):
    message = refused({f"encoder.{index}": torch.ones(1) for index in range(9)}, tmp_path)
    assert "known: our own (backbone.stage1.conv1, score_fr); " in message
    assert "nearest" not in message


def test_of_a_network_that_nearly_fits_the_count_of_fitting_weights_is_reported(tmp_path: Path):
    state = caffe_state("fcn32s-caffe", 3)
    state["fc7.bias"] = torch.zeros(7)
    del state["fc6.bias"]
    message = refused(state, tmp_path)
    assert "does not fit fcn32s-caffe: 1 missing: fc6.bias; 1 mis-shaped: fc7.bias 7 (expected 512)" in message
    assert message.endswith("; 31 of its 33 weights fit")


def test_deeplab_is_called_by_its_name(tmp_path: Path):
    state = deeplab_state(3, (3, 4, 6, 3))
    del state["classifier.0.project.0.weight"]
    assert "does not fit deeplabv3-resnet50: 1 missing: classifier.0.project.0.weight" in refused(state, tmp_path)
    state = resnet_state(3, (3, 4, 6, 3))
    del state["classifier.0.weight"]
    assert "does not fit fcn-resnet50: 1 missing: classifier.0.weight" in refused(state, tmp_path)
