"""A score of one fully convolutional pass is that of its own patch, and the patches are many times the work."""

from __future__ import annotations

import pytest
import torch

from benchmarks import sliding
from benchmarks.patches import Classifier, Reach, inner_patches, patches
from benchmarks.sliding import TOLERANCE, compared, measure, network_of, normalised
from fcn_deploy.errors import FcnDeployError
from fcn_deploy.models.registry import build, new_card


@pytest.fixture(scope="module", autouse=True)
def _without_gradients():
    with torch.no_grad():
        yield


@pytest.fixture(scope="module")
def demo():
    """The demo as a classifier of patches, a scene of 219 x 251, its scores and its patches."""
    network, card = network_of("pool5", 0.25)
    classifier, image = Classifier(network), normalised(network, card, "219x251")
    whole = classifier.whole(image)
    return classifier, image, whole, patches(classifier.reach, image.shape[-2:], whole.shape[-2:])


def test_the_coarse_scores_are_those_of_the_network(demo):
    _, image, whole, _ = demo
    network, _ = network_of("pool5", 0.25)
    assert torch.equal(whole, network.coarse_scores(network.backbone(image)[2])[0])


def test_a_score_sees_212_pixels_and_one_of_fc7_404():
    assert Classifier(network_of("pool5", 0.25)[0]).reach == Reach(32, 90, 212)
    assert Classifier(network_of("fc", 0.03)[0]).reach == Reach(32, 186, 404)


def test_every_score_is_that_of_its_own_patch(demo):
    classifier, image, whole, cut = demo
    assert len(cut) == 7 * 8
    assert len(inner_patches(cut)) == 1 * 2
    for batch, some in ((4, cut), (1, cut[-9:])):
        found = compared(whole, classifier.slide(image, some, batch=batch), [(p.row, p.column) for p in some])
        assert found["largest_difference"] <= TOLERANCE
        assert found["labels_differ"] == 0


def test_patches_of_an_image_extended_by_zeros_agree_inside_and_not_at_the_border(demo):
    classifier, image, whole, cut = demo
    inner, border = inner_patches(cut), cut[:8]
    scores = classifier.slide_extended(image, [*inner, *border])
    assert compared(whole, scores, [(p.row, p.column) for p in inner])["largest_difference"] <= TOLERANCE
    assert compared(whole, scores, [(p.row, p.column) for p in border])["largest_difference"] > 0.01


def test_one_pixel_less_than_the_receptive_field_is_not_enough(demo):
    classifier, image, whole, cut = demo
    patch = inner_patches(cut)[0]
    changed = image.clone()
    changed[..., patch.rows.start, :] = 0
    assert not torch.equal(classifier.slide(changed, [patch], batch=1)[:, patch.row, patch.column],
                           whole[:, patch.row, patch.column])  # fmt: skip
    changed = image.clone()
    changed[..., : patch.rows.start, :] = 0
    changed[..., patch.rows.stop :, :] = 0
    assert torch.allclose(classifier.whole(changed)[:, patch.row, patch.column],
                          whole[:, patch.row, patch.column], atol=1e-5)  # fmt: skip


def test_scores_of_fc7_are_those_of_their_patches_on_an_image_smaller_than_the_patch():
    network, card = network_of("fc", 0.03)
    classifier, image = Classifier(network), normalised(network, card, "101x157")
    whole = classifier.whole(image)
    cut = patches(classifier.reach, image.shape[-2:], whole.shape[-2:])
    found = compared(whole, classifier.slide(image, cut, batch=3), [(p.row, p.column) for p in cut])
    assert found["scores"] == 4 * 5
    assert found["largest_difference"] <= TOLERANCE


def test_multiply_adds_of_the_pass_are_those_counted_by_hand():
    classifier = Classifier(build(new_card("fcn32s", ("road", "car", "sky"), width=0.02, head="pool5")))
    kernel = 8 * 8 * 9  # all stages have 8 channels at this width
    by_hand = (
        96 * 160 * (3 * 8 * 9 + kernel)
        + 48 * 80 * 2 * kernel
        + (24 * 40 + 12 * 20 + 6 * 10) * 3 * kernel
        + 3 * 5 * 8 * 3
    )
    assert classifier.multiply_adds(lambda: classifier.whole(torch.zeros(1, 3, 96, 160))) == by_hand


def test_a_run_asserts_the_scores_and_counts_the_work():
    (row,), facts = measure(["pool5"], 0.25, ["65x97"], batch=4, cores=1, rounds=1)
    assert facts["tolerance"] == TOLERANCE
    assert row["patches"] == 3 * 4
    assert row["inner_patches"] == 0
    assert row["agreement"]["largest_difference"] <= TOLERANCE
    assert row["multiply_adds"]["patches"] > 3 * row["multiply_adds"]["one pass"]
    assert set(row["median_ms"]) == {"one pass", "a patch at a time", "4 patches at a time"}


def test_a_run_whose_scores_differ_is_refused(monkeypatch):
    monkeypatch.setattr(sliding, "TOLERANCE", -1.0)
    with pytest.raises(FcnDeployError, match="pool5, 33x47: the patches' scores are not the pass's"):
        measure(["pool5"], 0.25, ["33x47"], batch=4, cores=1, rounds=1)
