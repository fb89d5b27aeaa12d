"""A PyTorch network that computes with 8-bit values."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from fcn_deploy.errors import TrainingError
from fcn_deploy.quantization.plan import PlannedLayer
from fcn_deploy.quantization.rewrites.qdq import quantise_weight
from fcn_deploy.training.fake_quantize import FakeQuantConv2d, fake_quantise_weight, fake_quantize, weight_scales


def test_weights_are_those_that_the_rewrite_stores():
    weight = torch.randn(4, 3, 3, 3, generator=torch.Generator().manual_seed(0))
    weight[2] = 0
    codes, scales = quantise_weight(weight.numpy())
    found = weight_scales(weight)
    assert found.numpy() == pytest.approx(scales)
    stored = codes * scales.reshape(-1, 1, 1, 1)
    assert np.abs(fake_quantise_weight(weight, found).numpy() - stored).max() < 1e-6


def test_the_gradient_passes_through_the_rounding_and_stops_where_a_value_is_clipped():
    conv = nn.Conv2d(1, 1, 1)
    nn.init.constant_(conv.weight, 0.5)
    nn.init.zeros_(conv.bias)
    layer = FakeQuantConv2d(conv, PlannedLayer("conv", 0.0, 2.55, weights=True), "cpu")  # steps of 0.01
    x = torch.tensor([[[[0.123, 2.0, 3.0, -1.0]]]], requires_grad=True)
    y = layer(x)
    assert y.flatten().tolist() == pytest.approx([0.06, 1.0, 1.275, 0.0])
    y.sum().backward()
    assert x.grad.flatten().tolist() == pytest.approx([0.5, 0.5, 0, 0])
    assert conv.weight.grad.item() == pytest.approx(0.12 + 2.0 + 2.55)  # the parameter is the other layer's own
    assert conv.bias.grad.item() == 4


def test_the_state_dict_stays_that_of_the_network():
    network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 2, 1, bias=False))
    before = network.state_dict()
    fake_quantize(network, [PlannedLayer("0", -1, 1, True), PlannedLayer("2", 0, 1, False)], "tensorrt")
    assert [type(layer).__name__ for layer in network] == ["FakeQuantConv2d", "ReLU", "FakeQuantConv2d"]
    after = network.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert network(torch.zeros(2, 3, 5, 7)).shape == (2, 2, 5, 7)


def test_a_layer_that_the_network_lacks_is_an_error():
    with pytest.raises(TrainingError, match="no convolution head"):
        fake_quantize(nn.Sequential(nn.ReLU()), [PlannedLayer("head", 0, 1, True)], "cpu")
