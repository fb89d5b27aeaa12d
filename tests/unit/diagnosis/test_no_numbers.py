"""The first layer whose results are no numbers, of files and of PyTorch networks, on the way to such scores."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from fcn_deploy.diagnosis.no_numbers import where_numbers_end
from fcn_deploy.diagnosis.stages import Stage
from fcn_deploy.graph.load import read_card
from fcn_deploy.models.registry import build, new_card
from tests.hostile.cases.no_numbers import NO_NUMBERS
from tests.hostile.onnx_network import network

IMAGE = np.full((1, 33, 47, 3), 200, np.uint8)


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("overflow", r"conv \(Conv\): 4,[0-9]{3} of 4,653 numbers"),  # 3 classes of 33 x 47 pixels
        ("half", r"to_half \(Cast\): 4,653 of 4,653 numbers"),
        ("zero_division", r"quotient \(Div\): 4,653 of 4,653 numbers"),
    ],
)
def test_the_first_layer_of_a_file_is_named(tmp_path, case, words):
    path = NO_NUMBERS[case](tmp_path)
    found = where_numbers_end(Stage("m", "onnx", str(path), "fp32", read_card(path)), IMAGE)
    assert re.fullmatch(f"the first layer that gives them is {words}", found), found


def test_of_a_sound_file_none_is_named(tmp_path):
    network(tmp_path / "m.onnx")
    stage = Stage("m", "onnx", str(tmp_path / "m.onnx"), "fp32", read_card(tmp_path / "m.onnx"))
    assert where_numbers_end(stage, IMAGE) == ""


def test_the_first_module_of_a_pytorch_network_is_named():
    card = new_card("fcn8s", ("a", "b", "c"), width=0.05, head="pool5")
    model = build(card).eval()
    with torch.no_grad():
        model.score_fr.weight.fill_(float("inf"))
    found = where_numbers_end(Stage("m", "pytorch", "m.pth", "fp32", card, model), IMAGE)
    assert found.startswith("the first layer that gives them is score_fr: ")
