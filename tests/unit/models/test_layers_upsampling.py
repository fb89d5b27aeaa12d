"""Transposed convolutions that enlarge by bilinear interpolation."""

from __future__ import annotations

import pytest
import torch

from fcn_deploy.models.layers import bilinear_kernel, upsample
from fcn_deploy.models.registry import build, new_card

CLASSES = ("sky", "road", "pole")


def test_the_bilinear_kernel_of_size_4_is_the_one_worked_out_by_hand():
    row = torch.tensor([0.25, 0.75, 0.75, 0.25])
    kernel = bilinear_kernel(2, 4)
    assert torch.equal(kernel[0, 0], torch.outer(row, row))
    assert torch.equal(kernel[1, 1], torch.outer(row, row))
    assert kernel[0, 1].abs().sum() == 0


def test_the_bilinear_kernel_of_size_3_peaks_in_the_middle():
    assert bilinear_kernel(1, 3)[0, 0, 1].tolist() == [0.5, 1.0, 0.5]


@pytest.mark.parametrize("factor", [2, 8, 16, 32])
def test_upsampling_multiplies_the_size_and_keeps_a_constant_inside(factor: int):
    with torch.inference_mode():
        up = upsample(1, factor, padding=factor // 2)(torch.full((1, 1, 5, 7), 3.0))
    assert up.shape[2:] == (5 * factor, 7 * factor)
    inside = up[0, 0, factor:-factor, factor:-factor]
    assert torch.allclose(inside, torch.full_like(inside, 3.0))


def test_fixed_upsampling_asks_for_no_gradient_and_random_is_not_bilinear():
    fixed = build(new_card("fcn8s", CLASSES, width=0.0625, learned=False))
    assert not fixed.get_parameter("upscore8.weight").requires_grad
    assert fixed.get_parameter("score_fr.weight").requires_grad
    random = build(new_card("fcn8s", CLASSES, width=0.0625, upsampling="random"))
    assert not torch.equal(random.get_parameter("upscore8.weight"), bilinear_kernel(3, 16))
