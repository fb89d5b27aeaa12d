"""Channel counts and crops."""

from __future__ import annotations

import torch

from fcn_deploy.models.layers import Crop, scaled


def test_channel_counts_are_multiples_of_8_and_never_none():
    assert [scaled(64, width) for width in (1, 0.5, 0.3, 0.01)] == [64, 32, 16, 8]


def test_a_crop_starts_at_its_offset():
    x = torch.arange(36.0).view(1, 1, 6, 6)
    assert Crop(2)(x, torch.zeros(1, 1, 2, 3)).tolist() == [[[[14.0, 15.0, 16.0], [20.0, 21.0, 22.0]]]]
