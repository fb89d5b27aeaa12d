from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from fcn_deploy.card import VOC_CLASSES
from fcn_deploy.models.network import load_network
from fcn_deploy.models.registry import MODELS, build, new_card
from tests.support.reference_nets import ARTICLE

CLASSES = ("sky", "road", "pole")
VGG_MODELS = ("fcn32s", "fcn16s", "fcn8s")


def randomised(model: nn.Module) -> nn.Module:
    """Every weight drawn anew, the skips too, which start at zero."""
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.1)
    return model


@pytest.mark.parametrize("model", MODELS)
def test_logits_have_the_size_of_the_input(model: str):
    network = build(new_card(model, CLASSES, width=0.0625))
    for count, height, width in ((1, 1, 1), (2, 1, 200), (1, 200, 1), (3, 33, 47), (1, 64, 96), (2, 31, 65)):
        with torch.inference_mode():
            logits = network(torch.randn(count, 3, height, width))
        assert logits.shape == (count, 3, height, width)
        assert torch.isfinite(logits).all()


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("model", VGG_MODELS)
def test_at_multiples_of_32_the_article_and_ours_agree_bit_for_bit(model: str, bias: bool, tmp_path: Path):
    torch.manual_seed(3)
    article = randomised(ARTICLE[model](4, bias)).eval()
    torch.save(article.state_dict(), tmp_path / "article.pth")
    ours, card = load_network(tmp_path / "article.pth")
    assert (card.model, card.num_classes, card.options["width"]) == (model, 4, 0.125)
    assert card.options["head"] == "pool5"
    for size in ((32, 32), (64, 160), (96, 32)):
        x = torch.randn(2, 3, *size)
        with torch.inference_mode():
            assert torch.equal(ours(x), article(x))


@pytest.mark.parametrize("model", VGG_MODELS)
def test_each_image_of_a_batch_gets_the_logits_it_gets_alone(model: str):
    torch.manual_seed(1)
    network = randomised(build(new_card(model, CLASSES, width=0.0625)))
    x = torch.randn(3, 3, 37, 53)
    with torch.inference_mode():
        together = network(x)
        alone = torch.cat([network(image[None]) for image in x])
    # Convolutions of another batch size may sum in another order.
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_skips_start_at_zero_so_that_fcn8s_starts_as_its_coarse_scores():
    torch.manual_seed(0)
    network = build(new_card("fcn8s", CLASSES, width=0.0625))
    x = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        _, _, pool5 = network.backbone(x)
        coarse = network.upscore8(network.upscore_pool4(network.upscore2(network.coarse_scores(pool5))))
        assert torch.equal(network(x), coarse)


def test_full_width_fcns_have_the_parameters_of_vgg16_as_convolutions():
    vgg16 = 14_714_688 + (512 * 49 * 4096 + 4096) + (4096 * 4096 + 4096)
    score_fr, x32 = 4096 * 21 + 21, 21 * 21 * 64 * 64
    with torch.device("meta"):
        network = build(new_card("fcn32s", VOC_CLASSES))
    assert sum(parameter.numel() for parameter in network.parameters()) == vgg16 + score_fr + x32
