from __future__ import annotations

from pathlib import Path

import pytest
import torch

from fcn_deploy.card import VOC_CLASSES
from fcn_deploy.models.network import load_network
from fcn_deploy.models.registry import build, new_card
from fcn_deploy.models.transfer import load_weights_into
from tests.support.reference_nets import deeplab_logits, deeplab_state, resnet_state

BLOCKS = {"deeplabv3-resnet50": (3, 4, 6, 3), "deeplabv3-resnet101": (3, 4, 23, 3)}


@pytest.mark.parametrize("aux", [True, False])
@pytest.mark.parametrize("model", BLOCKS)
def test_a_torchvision_file_gives_the_logits_of_its_own_definition(model: str, aux: bool, tmp_path: Path):
    torch.manual_seed(4)
    state = deeplab_state(5, BLOCKS[model], aux)
    torch.save(state, tmp_path / "net.pth")
    ours, card = load_network(tmp_path / "net.pth")
    assert (card.model, card.num_classes, card.channel_order) == (model, 5, "RGB")
    assert card.options == {"width": 0.125} | ({} if aux else {"aux": False})
    for size in ((1, 1), (1, 120), (33, 47), (264, 296)):  # at the last, the widest dilation stays inside the map
        x = torch.randn(2, 3, *size)
        with torch.inference_mode():
            expected, found = deeplab_logits(state, x, BLOCKS[model]), ours(x)
        assert found.shape == (2, 5, *size)
        assert (found - expected).abs().max() <= 1e-4 * expected.abs().max()


@pytest.mark.parametrize(
    ("model", "parameters"), [("deeplabv3-resnet50", 42_004_074), ("deeplabv3-resnet101", 60_996_202)]
)
def test_parameters_are_as_many_as_torchvision_publishes(model: str, parameters: int):
    with torch.device("meta"):
        network = build(new_card(model, VOC_CLASSES))
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters


def test_keys_and_shapes_at_full_width_are_those_of_the_definition():
    with torch.device("meta"):
        network = build(new_card("deeplabv3-resnet50", VOC_CLASSES))
        state = deeplab_state(21, BLOCKS["deeplabv3-resnet50"], stem=64)
    assert {key: value.shape for key, value in network.state_dict().items()} == {k: v.shape for k, v in state.items()}


def test_training_may_start_from_an_fcn_on_the_same_backbone(tmp_path: Path):
    torch.save(resnet_state(5, BLOCKS["deeplabv3-resnet50"]), tmp_path / "fcn.pth")
    network = build(new_card("deeplabv3-resnet50", ["a", "b"], width=0.125))
    report = load_weights_into(network, tmp_path / "fcn.pth")
    assert "backbone.layer4.2.conv3.weight" in report.taken
    assert "classifier.0.convs.0.0.weight" in report.fresh
    assert torch.equal(network.aux_classifier[4].weight, network.state_dict()["aux_classifier.4.weight"])
    assert "aux_classifier.0.weight" in report.taken
