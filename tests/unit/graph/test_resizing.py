"""The resize to the network's size and back inside a graph, compared with PyTorch's interpolate."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx_ir as ir
import pytest
import torch
from torch.nn.functional import interpolate

from fcn_deploy.contract import Contract
from fcn_deploy.graph.session import open_cpu_session
from fcn_deploy.graph.sizes import ImageSize, tensor_sizes
from fcn_deploy.network_size import NetworkSize
from fcn_deploy.onnx_export.proof import random_image
from tests.support.contract_graphs import CARD, SCORES, small_graph

SIZES = ["0.5", "0.7", "1.5", "longest:31", "40x25"]
IMAGES = [(1, 1, 1), (2, 33, 47), (1, 64, 96), (3, 5, 77), (1, 101, 1)]


def expected_logits(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """What PyTorch gives, step by step, without our `Contract`."""
    x = torch.from_numpy(image).permute(0, 3, 1, 2).float().flip(1)
    x = interpolate(x, size, mode="bilinear", align_corners=False)
    x = (x - torch.tensor(CARD.mean).view(1, 3, 1, 1)) / torch.tensor(CARD.std).view(1, 3, 1, 1)
    x = torch.conv2d(x, torch.from_numpy(SCORES), padding=1)
    return interpolate(x, image.shape[1:3], mode="bilinear", align_corners=False).numpy()


@pytest.mark.parametrize("text", SIZES)
def test_logits_are_those_of_interpolate_at_odd_sizes_and_batches(text, tmp_path):
    ir.save(small_graph(replace(CARD, network_size=text)), tmp_path / "small.onnx")
    session = open_cpu_session(tmp_path / "small.onnx")
    for seed, shape in enumerate(IMAGES):
        image = random_image(shape, seed)
        labels, logits = session.run(["labels", "logits"], {"image": image})
        expected = expected_logits(image, NetworkSize.parse(text).of(shape[1:]))
        np.testing.assert_allclose(logits, expected, rtol=0, atol=2e-5 * np.abs(expected).max())
        assert np.array_equal(labels, logits.argmax(1))


def test_the_network_itself_computes_at_its_own_size():
    model = small_graph(replace(CARD, network_size="0.5"))
    sizes = tensor_sizes(model, ImageSize(2, 45, 64))
    assert sizes["network_logits"].shape == (2, 3, 23, 32)
    assert sizes["logits"].shape == (2, 3, 45, 64)


def test_a_normalised_float_image_is_resized_too(tmp_path):
    card = replace(CARD, network_size="longest:31")
    ir.save(small_graph(card, "float"), tmp_path / "small.onnx")
    image = random_image((2, 33, 47), 0)
    feed = Contract(torch.nn.Identity(), card).normalise(torch.from_numpy(image)).numpy()
    (logits,) = open_cpu_session(tmp_path / "small.onnx").run(["logits"], {"image": feed})
    expected = expected_logits(image, (22, 31))
    np.testing.assert_allclose(logits, expected, rtol=0, atol=2e-5 * np.abs(expected).max())


def test_pytorch_behind_the_contract_resizes_alike():
    network = torch.nn.Conv2d(3, 3, 3, padding=1, bias=False)
    network.weight.data = torch.from_numpy(SCORES)
    contract = Contract(network, replace(CARD, network_size="40x25"))
    image = random_image((2, 33, 47), 0)
    with torch.inference_mode():
        logits = contract.logits(torch.from_numpy(image)).numpy()
    expected = expected_logits(image, (40, 25))
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-6 * np.abs(expected).max())
