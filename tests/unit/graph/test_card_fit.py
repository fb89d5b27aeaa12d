"""The channels of scores that a graph shows, and a card of another number of classes."""

from __future__ import annotations

import pytest

from fcn_deploy.card import ModelCard
from fcn_deploy.errors import GraphError
from fcn_deploy.graph.card_fit import score_channels
from fcn_deploy.graph.load import load_graph
from tests.support.onnx_files import CARD, write_graph


def test_the_channels_of_exported_networks_are_their_classes(tiny_onnx):
    assert score_channels(load_graph(tiny_onnx("fcn8s"))) == 5


def test_logits_show_their_channels(tmp_path):
    assert score_channels(load_graph(write_graph(tmp_path / "m.onnx", outputs=("logits",)))) == 3


def test_a_graph_without_a_convolution_shows_none(tmp_path):
    assert score_channels(load_graph(write_graph(tmp_path / "m.onnx"))) is None


def test_a_card_of_other_classes_is_refused(tmp_path):
    path = write_graph(tmp_path / "m.onnx", outputs=("logits",), card=ModelCard(CARD.model, ("a", "b")))
    with pytest.raises(GraphError, match="its model card names 2 classes, and its scores have 3 channels"):
        load_graph(path)
