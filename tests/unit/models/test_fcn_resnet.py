from __future__ import annotations

from pathlib import Path

import pytest
import torch

from fcn_deploy.card import VOC_CLASSES
from fcn_deploy.models.network import load_network
from fcn_deploy.models.registry import build, new_card
from tests.support.reference_nets import resnet_logits, resnet_state

BLOCKS = {"fcn-resnet50": (3, 4, 6, 3), "fcn-resnet101": (3, 4, 23, 3)}


@pytest.mark.parametrize("aux", [True, False])
@pytest.mark.parametrize("model", BLOCKS)
def test_a_torchvision_file_gives_the_logits_of_its_own_definition(model: str, aux: bool, tmp_path: Path):
    torch.manual_seed(4)
    state = resnet_state(5, BLOCKS[model], aux)
    torch.save(state, tmp_path / "net.pth")
    ours, card = load_network(tmp_path / "net.pth")
    assert (card.model, card.num_classes, card.channel_order) == (model, 5, "RGB")
    assert card.options == {"width": 0.125} | ({} if aux else {"aux": False})
    for size in ((1, 1), (1, 120), (33, 47), (64, 96)):
        x = torch.randn(2, 3, *size)
        with torch.inference_mode():
            expected, found = resnet_logits(state, x, BLOCKS[model]), ours(x)
        assert found.shape == (2, 5, *size)
        assert (found - expected).abs().max() <= 1e-4 * expected.abs().max()


def test_training_gets_the_auxiliary_logits_with_the_others(tmp_path: Path):
    torch.manual_seed(4)
    state = resnet_state(5, BLOCKS["fcn-resnet50"])
    torch.save(state, tmp_path / "net.pth")
    ours, _ = load_network(tmp_path / "net.pth")
    x = torch.randn(2, 3, 41, 58)
    with torch.inference_mode():
        logits, aux = ours.forward_with_aux(x)
        expected = resnet_logits(state, x, BLOCKS["fcn-resnet50"], head="aux_classifier")
        assert torch.equal(logits, ours(x))
    assert (aux - expected).abs().max() <= 1e-4 * expected.abs().max()


def test_without_an_auxiliary_head_there_are_no_auxiliary_logits():
    network = build(new_card("fcn-resnet50", ["a", "b"], width=0.125, aux=False))
    logits, aux = network.forward_with_aux(torch.randn(1, 3, 9, 9))
    assert logits.shape == (1, 2, 9, 9)
    assert aux is None


@pytest.mark.parametrize(("model", "parameters"), [("fcn-resnet50", 35_322_218), ("fcn-resnet101", 54_314_346)])
def test_parameters_are_as_many_as_torchvision_publishes(model: str, parameters: int):
    with torch.device("meta"):
        network = build(new_card(model, VOC_CLASSES))
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters


def test_keys_and_shapes_at_full_width_are_those_of_the_definition():
    with torch.device("meta"):
        network = build(new_card("fcn-resnet50", VOC_CLASSES))
        state = resnet_state(21, BLOCKS["fcn-resnet50"], stem=64)
    assert {key: value.shape for key, value in network.state_dict().items()} == {k: v.shape for k, v in state.items()}


def test_files_from_before_batch_counters_load_too(tmp_path: Path):
    state = resnet_state(5, BLOCKS["fcn-resnet50"])
    old = {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}
    torch.save(old, tmp_path / "old.pth")
    assert load_network(tmp_path / "old.pth")[1].model == "fcn-resnet50"


def test_batch_norms_start_as_the_identity_and_convolutions_random():
    state = build(new_card("fcn-resnet50", ["a"], width=0.125)).state_dict()
    assert state["backbone.layer4.2.bn3.weight"].eq(1).all()
    assert state["backbone.layer4.2.bn3.bias"].eq(0).all()
    assert state["backbone.layer4.2.conv3.weight"].std() > 0
