"""The memory of a PyTorch inference, counted by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from fcn_deploy.card import ModelCard
from fcn_deploy.contract import Contract
from fcn_deploy.models.memory import KEPT, peak_bytes

CARD = ModelCard("fcn8s", ("road", "car"))
PIXELS = 2 * 30 * 50
IMAGE = 3 * 4 * PIXELS  # the normalised floats


class Skip(nn.Module):
    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x):
        first, *others = self.layers
        x = kept = first(x)
        for layer in others:
            x = layer(x)
        return x + kept.mean(1, keepdim=True)


def _bytes(*layers):
    """Count the bytes of the values; as much as half of them is what the C library may keep."""
    return peak_bytes(Contract(Skip(*layers), CARD).eval(), (2, 30, 50)) * 2 // 3


def conv(before, after, kernel=1):
    return nn.Conv2d(before, after, kernel, padding=kernel // 2, bias=False)


def test_values_live_to_their_last_reader_and_a_convolution_copies_its_operand_or_its_result():
    one = 4 * PIXELS
    # the image's floats, the first value, the operand and the result, and a copy of the larger one and of the weights
    assert _bytes(conv(3, 8), conv(8, 16), conv(16, 2)) == IMAGE + (8 + 16 + 2 + 16) * one + 4 * 16 * 2
    # of four in a row, three are alive: kept, operand, result, and the copy
    assert _bytes(conv(3, 8), conv(8, 8), conv(8, 8), conv(8, 2)) == IMAGE + (8 + 8 + 8 + 8) * one + 4 * 8 * 8


def test_a_transposed_convolution_works_on_columns():
    up = nn.ConvTranspose2d(8, 2, 3, padding=1, bias=False)
    assert _bytes(conv(3, 8), up) == IMAGE + (8 + 2 + 2 * 9) * 4 * PIXELS


def test_the_network_is_left_as_it_was_and_no_memory_is_taken():
    network = Contract(Skip(nn.BatchNorm2d(3), conv(3, 2)), CARD).eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert peak_bytes(network.logits, (1, 1 << 15, 1 << 15)) > 16 << 30
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


NETWORKS = [
    ("fcn8s", {"width": 0.25}),
    ("fcn8s-caffe", {"width": 0.25}),
    ("deeplabv3-resnet50", {}),
]


@pytest.mark.parametrize(("model", "options"), NETWORKS)
def test_every_kind_of_network_runs_on_no_images(model, options):
    from fcn_deploy.models.registry import build, new_card

    card = new_card(model, ("a", "b", "c"), **options)
    network = Contract(build(card), card).eval()
    small, large = (peak_bytes(network, (1, side, side)) - KEPT for side in (2048, 4096))
    assert 3 < large / small <= 4
