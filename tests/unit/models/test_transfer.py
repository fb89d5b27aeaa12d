from __future__ import annotations

from pathlib import Path

import pytest
import torch

from fcn_deploy.errors import CheckpointError
from fcn_deploy.model_file import DEMO_CHECKPOINT
from fcn_deploy.models.checkpoints import save_model
from fcn_deploy.models.network import load_network
from fcn_deploy.models.registry import build, new_card
from fcn_deploy.models.transfer import load_weights_into
from tests.support.reference_nets import WIDTH, caffe_state, resnet_state, vgg16_logits, vgg16_state

CLASSES = ("sky", "road", "pole", "sign")


def saved(folder: Path, model: str, classes: tuple[str, ...] = CLASSES, **options: object) -> Path:
    card = new_card(model, classes, **{"width": WIDTH, **options})  # type: ignore[arg-type]
    network = build(card)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    save_model(folder / f"{model}.safetensors", network, card)
    return folder / f"{model}.safetensors"


@pytest.mark.parametrize("model", ["fcn32s", "fcn32s-caffe"])
def test_a_vgg16_gives_its_own_logits_as_convolutions(model: str, tmp_path: Path):
    torch.manual_seed(6)
    state = vgg16_state(len(CLASSES))
    torch.save(state, tmp_path / "vgg16.pth")
    network = build(new_card(model, CLASSES, width=WIDTH))
    report = load_weights_into(network, tmp_path / "vgg16.pth")
    assert (len(report.taken), report.left) == (32, [])
    x = torch.randn(2, 3, 224, 224)
    with torch.inference_mode():
        expected = vgg16_logits(state, x)
        if model == "fcn32s":
            # fc6 pads by 3, so at the middle of pool5's 7 x 7 it sees exactly the classifier's input.
            found = network.coarse_scores(network.backbone(x)[2])[:, :, 3, 3]
        else:
            network.get_submodule("conv1_1").padding = (1, 1)
            found = network.score_fr(network.fc7(network.fc6(network._pools(x)[5]).relu()).relu())[:, :, 0, 0]
    # The same sums in another order.
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_a_vgg16_of_other_classes_leaves_the_scores_fresh_and_says_so(tmp_path: Path):
    torch.save(vgg16_state(1000), tmp_path / "vgg16.pth")
    network = build(new_card("fcn32s", CLASSES, width=WIDTH))
    before = network.score_fr.weight.clone()
    report = load_weights_into(network, tmp_path / "vgg16.pth")
    assert "score_fr.weight (1000x512x1x1 there, 4x512x1x1 here)" in report.left
    assert "score_fr.weight" in report.fresh
    assert torch.equal(network.score_fr.weight, before)
    assert "took 30 weights of torchvision VGG-16" in str(report)


def test_the_pool5_head_takes_only_the_features_of_a_vgg16(tmp_path: Path):
    torch.save(vgg16_state(1000), tmp_path / "vgg16.pth")
    report = load_weights_into(build(new_card("fcn8s", CLASSES, width=WIDTH, head="pool5")), tmp_path / "vgg16.pth")
    assert len(report.taken) == 26
    assert "fc6.weight (not in this model)" in report.left


def test_whole_numbers_are_no_weights_to_start_from(tmp_path: Path):
    state = {key: value.to(torch.int8) for key, value in vgg16_state(10).items() if key.startswith("features")}
    torch.save(state, tmp_path / "vgg16.pth")
    with pytest.raises(CheckpointError, match=r"backbone\.stage1\.conv1\.weight \S+ int8 \(expected"):
        load_weights_into(build(new_card("fcn8s", CLASSES, width=WIDTH)), tmp_path / "vgg16.pth")


def test_the_demo_is_a_start_by_its_name():
    network, _ = load_network(DEMO_CHECKPOINT)
    other = build(load_network(DEMO_CHECKPOINT)[1])
    report = load_weights_into(other, Path("demo"))
    assert report.fresh == []
    assert all(torch.equal(value, network.state_dict()[key]) for key, value in other.state_dict().items())


def test_a_vgg16_without_its_classifier_is_enough(tmp_path: Path):
    features = {key: value for key, value in vgg16_state(10).items() if key.startswith("features")}
    torch.save(features, tmp_path / "vgg16.pth")
    assert len(load_weights_into(build(new_card("fcn8s", CLASSES, width=WIDTH)), tmp_path / "vgg16.pth").taken) == 26


def test_fcn16s_starts_with_the_coarse_scores_of_fcn32s_and_a_silent_skip(tmp_path: Path):
    coarse, _ = load_network(path := saved(tmp_path, "fcn32s"))
    finer = build(new_card("fcn16s", CLASSES, width=WIDTH))
    report = load_weights_into(finer, path)
    assert report.left == ["upscore32.weight (not in this model)"]
    assert report.fresh == ["score_pool4.weight", "score_pool4.bias", "upscore2.weight", "upscore16.weight"]
    x = torch.randn(2, 3, 64, 96)
    with torch.inference_mode():
        scores = coarse.coarse_scores(coarse.backbone(x)[2])
        assert torch.equal(finer(x), finer.upscore16(finer.upscore2(scores)))


def test_fcn8s_starts_with_the_fused_scores_of_fcn16s(tmp_path: Path):
    coarse, _ = load_network(path := saved(tmp_path, "fcn16s"))
    finer = build(new_card("fcn8s", CLASSES, width=WIDTH))
    report = load_weights_into(finer, path)
    assert report.left == ["upscore16.weight (not in this model)"]
    assert {"score_pool4.weight", "upscore2.weight"} <= set(report.taken)
    x = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        _, pool4, pool5 = coarse.backbone(x)
        fused = coarse.upscore2(coarse.coarse_scores(pool5)) + coarse.score_pool4(pool4)
        assert torch.equal(finer(x), finer.upscore8(finer.upscore_pool4(fused)))


def test_the_caffe_nets_hand_over_too(tmp_path: Path):
    torch.save(caffe_state("fcn16s-caffe", len(CLASSES)), tmp_path / "net.pth")
    report = load_weights_into(build(new_card("fcn8s-caffe", CLASSES, width=WIDTH)), tmp_path / "net.pth")
    assert report.left == ["upscore16.weight (not in this model)"]
    assert "score_pool4.weight" in report.taken


def test_another_class_count_keeps_every_score_layer_fresh(tmp_path: Path):
    path = saved(tmp_path, "fcn8s", ("a", "b"))
    network = build(new_card("fcn8s", CLASSES, width=WIDTH))
    report = load_weights_into(network, path)
    assert {key.split(".")[0] for key in report.fresh} == {
        "score_fr", "score_pool3", "score_pool4", "upscore2", "upscore_pool4", "upscore8",
    }  # fmt: skip
    assert "score_pool3.weight (2x32x1x1 there, 4x32x1x1 here)" in report.left
    assert network.get_parameter("score_pool4.weight").count_nonzero() == 0


def test_an_fcn_resnet_starts_another_with_or_without_auxiliary_head(tmp_path: Path):
    torch.save(resnet_state(2, (3, 4, 6, 3)), tmp_path / "net.pth")
    report = load_weights_into(build(new_card("fcn-resnet50", CLASSES, width=WIDTH, aux=False)), tmp_path / "net.pth")
    assert report.fresh == ["classifier.4.weight", "classifier.4.bias"]
    assert "aux_classifier.0.weight (not in this model)" in report.left


def test_an_imagenet_resnet_becomes_the_backbone(tmp_path: Path):
    state = {key.removeprefix("backbone."): value for key, value in resnet_state(2, (3, 4, 6, 3)).items()}
    state = {key: value for key, value in state.items() if "classifier" not in key} | {"fc.weight": torch.zeros(9, 256)}
    torch.save(state, tmp_path / "resnet50.pth")
    network = build(new_card("fcn-resnet50", CLASSES, width=WIDTH))
    report = load_weights_into(network, tmp_path / "resnet50.pth")
    assert torch.equal(network.get_parameter("backbone.layer4.2.conv3.weight"), state["layer4.2.conv3.weight"])
    assert report.left == ["backbone.fc.weight (not in this model)"]
    assert all("classifier" in key for key in report.fresh)


def test_a_recipe_is_read_as_its_checkpoint(tmp_path: Path):
    torch.save(vgg16_state(5), tmp_path / "vgg16.pth")
    recipe = tmp_path / "vgg16.toml"
    recipe.write_text('name = "n"\ncheckpoint = "vgg16.pth"\nurl = "https://example.org/vgg16.pth"\n')
    assert len(load_weights_into(build(new_card("fcn32s", CLASSES, width=WIDTH)), recipe).taken) == 30


def test_another_width_is_refused_and_changes_nothing(tmp_path: Path):
    path = saved(tmp_path, "fcn32s")
    network = build(new_card("fcn16s", CLASSES, width=0.25))
    before = network.get_parameter("backbone.stage5.conv3.weight").clone()
    with pytest.raises(CheckpointError, match=r"another width or layout: .*expected 16x3x3x3"):
        load_weights_into(network, path)
    assert torch.equal(network.get_parameter("backbone.stage5.conv3.weight"), before)


def test_weights_of_another_family_have_nothing_to_give(tmp_path: Path):
    torch.save(resnet_state(4, (3, 4, 6, 3)), tmp_path / "net.pth")
    with pytest.raises(CheckpointError, match="has nothing for this model"):
        load_weights_into(build(new_card("fcn8s", CLASSES, width=WIDTH)), tmp_path / "net.pth")
    torch.save(caffe_state("fcn8s-caffe", 4), tmp_path / "caffe.pth")
    with pytest.raises(CheckpointError, match=r"another|nothing for this model"):
        load_weights_into(build(new_card("fcn8s", CLASSES, width=WIDTH, head="pool5")), tmp_path / "caffe.pth")


def test_weights_that_are_not_numbers_are_not_taken(tmp_path: Path):
    state = vgg16_state(4)
    state["classifier.3.weight"][0, 0] = float("nan")
    torch.save(state, tmp_path / "vgg16.pth")
    with pytest.raises(CheckpointError, match=r"fc7\.weight has NaN values"):
        load_weights_into(build(new_card("fcn32s", CLASSES, width=WIDTH)), tmp_path / "vgg16.pth")
