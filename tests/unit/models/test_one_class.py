from __future__ import annotations

from pathlib import Path

import pytest
import torch

from fcn_deploy.errors import CheckpointError
from fcn_deploy.models.network import load_network
from tests.support.recorded_progress import RecordedProgress
from tests.support.reference_nets import (
    ARTICLE,
    State,
    caffe_logits,
    caffe_state,
    deeplab_logits,
    deeplab_state,
    resnet_logits,
    resnet_state,
)  # fmt: skip

BLOCKS = (3, 4, 6, 3)


def article_state() -> State:
    return dict(ARTICLE["fcn8s"](1, bias=True).state_dict())


def article_logits(state: State, x: torch.Tensor) -> torch.Tensor:
    network = ARTICLE["fcn8s"](1, bias=True).eval()
    network.load_state_dict(state)
    logits: torch.Tensor = network(x)
    return logits


NETWORKS = {
    "fcn-resnet50": (lambda: resnet_state(1, BLOCKS), lambda state, x: resnet_logits(state, x, BLOCKS)),
    "deeplabv3-resnet50": (lambda: deeplab_state(1, BLOCKS), lambda state, x: deeplab_logits(state, x, BLOCKS)),
    "fcn8s-caffe": (lambda: caffe_state("fcn8s-caffe", 1), lambda state, x: caffe_logits(state, "fcn8s-caffe", x)),
    "fcn8s": (article_state, article_logits),
}


@pytest.mark.parametrize("model", NETWORKS)
def test_one_score_becomes_two_classes_that_part_where_the_sigmoid_passes_a_half(model: str, tmp_path: Path):
    torch.manual_seed(4)
    make, logits = NETWORKS[model]
    state = make()
    torch.save(state, path := tmp_path / "net.pth")
    recorded = RecordedProgress()
    network, card = load_network(path, model=model, progress=recorded)
    assert (card.model, card.classes) == (model, ("class_0", "class_1"))
    assert recorded.lines == [
        f"{path} has one score per pixel: read as two classes, the second where its sigmoid is above 0.5"
    ]
    x = torch.randn(2, 3, 32, 64)
    with torch.inference_mode():
        found, score = network(x), logits(state, x)
    assert found[:, 0].count_nonzero() == 0
    assert (found[:, 1:] - score).abs().max() <= 1e-4 * score.abs().max()


@pytest.mark.parametrize(("names", "classes"), [(("polyp",), ("background", "polyp")), (("bg", "fg"), ("bg", "fg"))])
def test_the_class_of_one_score_may_be_named_alone(names: tuple[str, ...], classes: tuple[str, ...], tmp_path: Path):
    torch.save(resnet_state(1, BLOCKS), tmp_path / "net.pth")
    assert load_network(tmp_path / "net.pth", classes=names)[1].classes == classes


def test_three_names_for_one_score_are_refused(tmp_path: Path):
    torch.save(resnet_state(1, BLOCKS), tmp_path / "net.pth")
    with pytest.raises(CheckpointError, match="has scores for 2 classes, but 3 names were given"):
        load_network(tmp_path / "net.pth", classes=("a", "b", "c"))
