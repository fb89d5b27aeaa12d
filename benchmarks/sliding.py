"""Patch-by-patch classification compared with one fully convolutional pass: the same scores, many times the work.

A score of the coarse map is a function of one patch of the image, its receptive field: so the network can be slid over
the image as a classifier of patches. Both ways end with the coarse scores; the upsampling behind them is the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks import ratio
from benchmarks.patches import Classifier, Patch, inner_patches, patches
from benchmarks.suite import Measured
from fcn_deploy.card import VOC_CLASSES, ModelCard
from fcn_deploy.contract import Contract
from fcn_deploy.data.synthetic.dataset import SyntheticDataset
from fcn_deploy.errors import FcnDeployError
from fcn_deploy.model_file import DEMO
from fcn_deploy.models.fcn_vgg import FCN
from fcn_deploy.models.network import load_network
from fcn_deploy.models.registry import build, new_card
from fcn_deploy.vocabulary import parse_size

# Of the largest score: the same sums in another order, 24 bits each.
TOLERANCE = 1e-5
ONE_PASS = "one pass"


def measure(heads: Sequence[str], width: float, sizes: Sequence[str], batch: int, cores: int, rounds: int) -> Measured:
    """Return a row per head and size.

    Args:
        heads: "pool5" has the trained weights of the demo, "fc" (the paper's) random ones of `width`.
        sizes: "HxW" of a generated scene.
        batch: patches that are classified together, for those who do that.
        cores: threads of both.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(cores)
    try:
        with torch.inference_mode():
            rows = [_row(head, width, size, batch, rounds) for head in heads for size in sizes]
    finally:
        torch.set_num_threads(before)
    return rows, {"tolerance": TOLERANCE, "warm_ups": 1}


def network_of(head: str, width: float) -> tuple[FCN, ModelCard]:
    """Return the demo for "pool5", else an FCN-32s with random weights, seed 0."""
    if head == "pool5":
        network, card = load_network(DEMO)
        assert isinstance(network, FCN)
        return network, card
    torch.manual_seed(0)
    card = new_card("fcn32s", VOC_CLASSES, width=width, head=head)
    network = build(card)
    assert isinstance(network, FCN)
    nn.init.normal_(network.score_fr.weight, std=0.1)  # scores apart from each other
    return network, card


def normalised(network: nn.Module, card: ModelCard, size: str) -> Tensor:
    """float32[1, 3, H, W] of a generated scene."""
    image = SyntheticDataset(1, 0, parse_size(size))[0].image
    return Contract(network, card).normalise(torch.from_numpy(image)[None])


def compared(whole: Tensor, scores: Tensor, places: Sequence[tuple[int, int]]) -> dict[str, Any]:
    """Compare scores float32[C, h, w] at `places` (row, column): largest difference over largest score, and labels."""
    rows, columns = (torch.tensor([place[axis] for place in places], dtype=torch.long) for axis in (0, 1))
    ours, theirs = whole[:, rows, columns], scores[:, rows, columns]
    differing = int((ours.argmax(0) != theirs.argmax(0)).sum())
    largest = float((ours - theirs).abs().max() / whole.abs().max()) if places else 0.0
    return {"scores": len(places), "largest_difference": largest, "labels_differ": differing}


def _row(head: str, width: float, size: str, batch: int, rounds: int) -> dict[str, Any]:
    network, card = network_of(head, width)
    classifier, image = Classifier(network), normalised(network, card, size)
    whole = classifier.whole(image)
    cut = patches(classifier.reach, image.shape[-2:], whole.shape[-2:])
    everywhere = [(patch.row, patch.column) for patch in cut]
    agreement = compared(whole, classifier.slide(image, cut, batch=1), everywhere)
    if not agreement["largest_difference"] <= TOLERANCE:  # nan is none either
        raise FcnDeployError(f"{head}, {size}: the patches' scores are not the pass's: {agreement}")
    cases = {
        ONE_PASS: partial(classifier.whole, image),
        "a patch at a time": partial(classifier.slide, image, cut, batch=1),
        f"{batch} patches at a time": partial(classifier.slide, image, cut, batch=batch),
    }
    row = ratio.row(f"{head} head, {size}", ratio.time_ms(cases, rounds, warm_ups=1), ONE_PASS)
    return {**row, "agreement": agreement, **_facts(classifier, image, whole, cut)}


def _facts(classifier: Classifier, image: Tensor, whole: Tensor, cut: Sequence[Patch]) -> dict[str, Any]:
    """What both cost in multiply-adds, and what patches of an image that is extended by zeros give at its border."""
    inner = {(patch.row, patch.column) for patch in inner_patches(cut)}
    border = [place for place in ((patch.row, patch.column) for patch in cut) if place not in inner]
    return {
        "patch": classifier.reach.size,
        "patches": len(cut),
        "inner_patches": len(inner),
        "multiply_adds": {
            ONE_PASS: classifier.multiply_adds(lambda: classifier.whole(image)),
            "patches": classifier.multiply_adds(lambda: classifier.slide(image, cut, batch=1)),
        },
        "extended_by_zeros": compared(whole, classifier.slide_extended(image, cut), border),
    }
