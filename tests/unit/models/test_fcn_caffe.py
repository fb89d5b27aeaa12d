from __future__ import annotations

from pathlib import Path

import pytest
import torch

from fcn_deploy.card import CAFFE_MEAN
from fcn_deploy.models.network import load_network
from fcn_deploy.models.registry import build, new_card
from tests.support.reference_nets import CAFFE_UPSCORES, caffe_logits, caffe_state

SIZES = ((1, 1, 1), (1, 1, 90), (2, 33, 47), (1, 64, 96), (1, 75, 50))


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("model", CAFFE_UPSCORES)
def test_a_pytorch_fcn_file_gives_the_logits_of_its_own_definition(model: str, legacy: bool, tmp_path: Path):
    torch.manual_seed(5)
    state = caffe_state(model, classes=5)
    torch.save(state, tmp_path / "net.pth", _use_new_zipfile_serialization=not legacy)
    ours, card = load_network(tmp_path / "net.pth", model=model)
    assert (card.model, card.num_classes, card.options) == (model, 5, {"width": 0.125})
    assert (card.channel_order, card.mean) == ("BGR", CAFFE_MEAN)
    for count, height, width in SIZES[:1] if legacy else SIZES:
        x = torch.randn(count, 3, height, width) * 60
        with torch.inference_mode():
            expected, found = caffe_logits(state, model, x), ours(x)
        assert found.shape == (count, 5, height, width)
        assert (found - expected).abs().max() <= 1e-4 * expected.abs().max()


def test_at_once_scales_its_pools_and_so_is_another_network(tmp_path: Path):
    torch.manual_seed(2)
    torch.save(caffe_state("fcn8s-caffe", classes=5), tmp_path / "net.pth")
    plain, _ = load_network(tmp_path / "net.pth", model="fcn8s-caffe")
    at_once, _ = load_network(tmp_path / "net.pth", model="fcn8s-atonce-caffe")
    x = torch.randn(1, 3, 40, 40)
    with torch.inference_mode():
        assert not torch.allclose(plain(x), at_once(x), rtol=1e-2)


def test_names_are_those_of_the_released_nets():
    with torch.device("meta"):
        names = {key.rpartition(".")[0] for key in build(new_card("fcn8s-caffe", ["a", "b"])).state_dict()}
    convolutions = {f"conv{s}_{i}" for s, n in ((1, 2), (2, 2), (3, 3), (4, 3), (5, 3)) for i in range(1, n + 1)}
    scores = {"fc6", "fc7", "score_fr", "score_pool3", "score_pool4", "upscore2", "upscore_pool4", "upscore8"}
    assert names == convolutions | scores


def test_upsampling_is_fixed_unless_asked_to_learn():
    assert not build(new_card("fcn8s-caffe", ["a"], width=0.0625)).get_parameter("upscore8.weight").requires_grad
    learned = build(new_card("fcn8s-caffe", ["a"], width=0.0625, learned=True))
    assert learned.get_parameter("upscore8.weight").requires_grad
