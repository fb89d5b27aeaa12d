from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from fcn_deploy.card import VOC_CLASSES, voc_palette
from fcn_deploy.errors import CheckpointError, OutputError, RecipeError
from fcn_deploy.models.checkpoints import save_model
from fcn_deploy.models.network import load_network
from fcn_deploy.models.registry import MODELS, build, new_card
from tests.support.recorded_progress import RecordedProgress
from tests.support.reference_nets import caffe_state, resnet_logits, resnet_state, vgg16_state

CLASSES = ("sky", "pole", "sign")


@pytest.mark.parametrize("model", MODELS)
def test_a_saved_model_loads_with_its_card_and_the_same_weights(model: str, tmp_path: Path):
    card = new_card(model, CLASSES, width=0.0625)
    network = build(card)
    save_model(tmp_path / "m.safetensors", network, card)
    loaded, loaded_card = load_network(tmp_path / "m.safetensors")
    assert loaded_card == card
    assert not loaded.training
    state, expected = loaded.state_dict(), network.state_dict()
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[key], expected[key]) for key in expected)
    assert not any(tensor.is_meta for tensor in (*loaded.parameters(), *loaded.buffers()))


def test_options_of_the_card_survive_and_training_goes_on_from_a_loaded_model(tmp_path: Path):
    card = new_card("fcn16s", CLASSES, width=0.0625, head="pool5", learned=False, upsample_bias=True)
    save_model(tmp_path / "m.safetensors", build(card), card)
    loaded, _ = load_network(tmp_path / "m.safetensors")
    assert not loaded.get_parameter("upscore16.weight").requires_grad
    loaded.train()(torch.randn(1, 3, 20, 30)).sum().backward()
    assert loaded.get_parameter("backbone.stage1.conv1.weight").grad is not None


def test_saving_again_over_the_file_a_model_was_loaded_from_keeps_both_right(tmp_path: Path):
    card = new_card("fcn8s", CLASSES, width=0.0625)
    path = tmp_path / "m.safetensors"
    save_model(path, build(card), card)
    loaded, _ = load_network(path)
    before = loaded.get_parameter("score_fr.weight").clone()
    other = build(card)
    save_model(path, other, card)
    assert torch.equal(loaded.get_parameter("score_fr.weight"), before)
    assert torch.equal(load_network(path)[0].get_parameter("score_fr.weight"), other.get_parameter("score_fr.weight"))


def test_nothing_is_left_behind_where_the_file_cannot_be_written(tmp_path: Path):
    card = new_card("fcn8s", CLASSES, width=0.0625)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        save_model(tmp_path / "file" / "m.safetensors", build(card), card)
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: {"state_dict": state},
        lambda state: {"model": state, "epoch": 3},
        lambda state: {"epoch": 11, "best_mean_iu": np.float64(0.63), "model_state_dict": state},
        lambda state: {f"module.{key}": value for key, value in state.items()},
        lambda state: {"model": {"state_dict": {f"module._orig_mod.{key}": value for key, value in state.items()}}},
        lambda state: {key: torch.nn.Parameter(value.double()) for key, value in state.items()},
    ],
)
def test_wrapped_and_prefixed_state_dicts_are_unwrapped(wrap, tmp_path: Path):
    state = caffe_state("fcn16s-caffe", 4)
    torch.save(wrap(state), tmp_path / "net.pth")
    loaded, card = load_network(tmp_path / "net.pth")
    assert card.model == "fcn16s-caffe"
    assert torch.equal(loaded.get_parameter("fc7.weight"), state["fc7.weight"])
    assert loaded.get_parameter("fc7.weight").dtype == torch.float32


def test_half_precision_weights_are_widened(tmp_path: Path):
    state = {key: value.half() for key, value in caffe_state("fcn32s-caffe", 4).items()}
    save_file(state, tmp_path / "net.safetensors")
    loaded, _ = load_network(tmp_path / "net.safetensors")
    assert torch.equal(loaded.get_parameter("fc6.bias"), state["fc6.bias"].float())


def test_the_format_is_recognised_by_the_content_and_not_by_the_name(tmp_path: Path):
    save_file(caffe_state("fcn32s-caffe", 4), tmp_path / "net.pth")
    assert load_network(tmp_path / "net.pth")[1].model == "fcn32s-caffe"


@pytest.mark.parametrize("options", [{}, {"head": "pool5"}, {"upsample_bias": True}, {"width": 0.3}])
@pytest.mark.parametrize("model", ["fcn32s", "fcn16s", "fcn8s"])
def test_our_own_weights_without_a_card_are_recognised_by_their_keys(model: str, options: dict, tmp_path: Path):
    options = {"width": 0.1} | options
    torch.save(build(new_card(model, CLASSES, **options)).state_dict(), tmp_path / "net.pth")
    loaded, card = load_network(tmp_path / "net.pth")
    assert (card.model, card.num_classes) == (model, 3)
    assert card.options.get("head") == options.get("head")
    assert loaded(torch.zeros(1, 3, 5, 9)).shape == (1, 3, 5, 9)


def test_class_names_come_from_the_caller_or_voc_or_are_numbered(tmp_path: Path):
    torch.save(caffe_state("fcn32s-caffe", 3), tmp_path / "three.pth")
    torch.save(caffe_state("fcn32s-caffe", 21), tmp_path / "voc.pth")
    assert load_network(tmp_path / "three.pth")[1].classes == ("class_0", "class_1", "class_2")
    assert load_network(tmp_path / "three.pth", classes=CLASSES)[1].classes == CLASSES
    assert load_network(tmp_path / "voc.pth")[1].classes == VOC_CLASSES
    assert load_network(tmp_path / "voc.pth")[1].palette == voc_palette(21)


def test_guessed_class_names_are_known_as_guessed_until_somebody_names_them(tmp_path: Path):
    torch.save(caffe_state("fcn32s-caffe", 21), tmp_path / "voc.pth")
    network, card = load_network(tmp_path / "voc.pth")
    assert card.classes_guessed
    save_model(tmp_path / "own.safetensors", network, card)
    assert load_network(tmp_path / "own.safetensors")[1].classes_guessed
    assert not load_network(tmp_path / "own.safetensors", classes=VOC_CLASSES)[1].classes_guessed
    assert not load_network(tmp_path / "voc.pth", classes=VOC_CLASSES)[1].classes_guessed


def test_the_same_class_names_again_keep_the_palette_of_the_card(tmp_path: Path):
    card = new_card("fcn8s", CLASSES, width=0.0625)
    card = type(card)(**{**vars(card), "palette": ((1, 2, 3), (4, 5, 6), (7, 8, 9))})
    save_model(tmp_path / "m.safetensors", build(card), card)
    assert load_network(tmp_path / "m.safetensors", classes=CLASSES)[1].palette == card.palette
    assert load_network(tmp_path / "m.safetensors", classes=("a", "b", "c"))[1].palette == voc_palette(3)


def test_a_recipe_loads_its_checkpoint_with_its_facts_in_the_card(tmp_path: Path):
    torch.save(caffe_state("fcn8s-atonce-caffe", 3), tmp_path / "net.pth")
    recipe = tmp_path / "net.toml"
    recipe.write_text(
        'name = "n"\nmodel = "fcn8s-atonce-caffe"\ncheckpoint = "net.pth"\nurl = "https://example.org/net.pth"\n'
        'classes = ["sky", "pole", "sign"]\nmean = [1, 2, 3]\nstd = [4, 5, 6]\nchannel_order = "RGB"\n'
    )
    _, card = load_network(recipe)
    assert (card.model, card.classes, card.mean, card.std) == ("fcn8s-atonce-caffe", CLASSES, (1, 2, 3), (4, 5, 6))
    assert card.channel_order == "RGB"
    assert card.notes["url"] == "https://example.org/net.pth"


def test_a_recipe_finds_its_checkpoint_where_the_caller_says(tmp_path: Path):
    recipe = tmp_path / "net.toml"
    recipe.write_text('name = "n"\ncheckpoint = "net.pth"\nurl = "https://example.org/net.pth"\n')
    (tmp_path / "elsewhere").mkdir()
    torch.save(caffe_state("fcn32s-caffe", 3), tmp_path / "elsewhere" / "other.pth")
    assert load_network(recipe, checkpoint=tmp_path / "elsewhere" / "other.pth")[1].model == "fcn32s-caffe"


def test_a_class_name_given_twice_is_refused(tmp_path: Path):
    torch.save(caffe_state("fcn32s-caffe", 3), tmp_path / "net.pth")
    with pytest.raises(RecipeError, match="'a' appears at 0 and again at 2"):
        load_network(tmp_path / "net.pth", classes=("a", "b", "a"))


def test_a_network_of_one_class_of_our_own_is_refused(tmp_path: Path):
    card = new_card("fcn32s", ("road",), width=0.05, head="pool5")
    save_model(tmp_path / "m.safetensors", build(card), card)
    with pytest.raises(CheckpointError, match=r"has one class, road, so every pixel would get label 0; expected 2"):
        load_network(tmp_path / "m.safetensors")


def test_a_classifier_says_that_it_has_no_segmentation_head(tmp_path: Path):
    torch.save(vgg16_state(10), tmp_path / "vgg16.pth")
    with pytest.raises(CheckpointError, match=r"no segmentation head.*fcn-deploy train --init .*vgg16\.pth"):
        load_network(tmp_path / "vgg16.pth")


def test_an_auxiliary_head_of_other_classes_is_left_out_and_said(tmp_path: Path):
    blocks = (3, 4, 6, 3)
    state = resnet_state(5, blocks) | {
        key: value for key, value in resnet_state(21, blocks).items() if key.startswith("aux_classifier.")
    }
    arguments = argparse.Namespace(model="fcn_resnet50", dataset="coco", aux_loss=True)
    torch.save({"model": state, "optimizer": {}, "epoch": 29, "args": arguments}, path := tmp_path / "model_29.pth")
    recorded = RecordedProgress()
    network, card = load_network(path, progress=recorded)
    assert (card.model, card.num_classes, card.options["aux"]) == ("fcn-resnet50", 5, False)
    assert recorded.lines == [
        f"{path}: left out the auxiliary head, which has 21 classes where the head has 5; labels do not depend on it"
    ]
    x = torch.randn(2, 3, 33, 47)
    with torch.inference_mode():
        assert torch.allclose(network(x), resnet_logits(state, x, blocks), rtol=1e-4, atol=1e-3)
