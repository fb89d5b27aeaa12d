"""The tensors that each stage hands out."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fcn_deploy.card import ModelCard
from fcn_deploy.contract import Contract
from fcn_deploy.diagnosis.tensors import ENTRY, TorchSource
from tests.conftest import tiny_model
from tests.support.small_fcn import images


@pytest.mark.parametrize("order", ["RGB", "BGR"])
def test_pytorch_hands_out_each_modules_own_result_and_the_contracts_steps(tmp_path, order):
    network, card = tiny_model()
    card = ModelCard(card.model, card.classes, card.options, channel_order=order, mean=(1.0, 2.0, 3.0))
    network.eval()
    source = TorchSource(network, card)
    names = [
        "contract/to_nchw",
        "contract/subtract_mean",
        ENTRY,
        "backbone.stage1.conv1",
        "backbone.stage1.relu1",
        "logits",
    ]
    assert set(names) <= set(source.names)
    assert ("contract/to_bgr" in source.names) == (order == "BGR")
    assert "backbone.stage1" not in source.names  # a larger module: its export may call something else so
    image = images(1)[0]
    found = source.open(names, tmp_path)(image)
    contract = Contract(network, card)
    with torch.inference_mode():
        x = contract.normalise(torch.from_numpy(image))
        conv = network.backbone.stage1.conv1(x)
        logits = contract.logits(torch.from_numpy(image))
    assert np.array_equal(found[ENTRY], x.numpy())
    assert np.array_equal(found["backbone.stage1.conv1"], conv.numpy())  # before the ReLU that works in place on it
    assert found["backbone.stage1.conv1"].min() < 0
    assert np.array_equal(found["backbone.stage1.relu1"], conv.clamp(min=0).numpy())
    assert np.array_equal(found["logits"], logits.numpy())
    first = image[..., ::-1][..., 0] if order == "BGR" else image[..., 0]
    assert np.array_equal(found["contract/subtract_mean"][:, 0], first.astype(np.float32) - 1)
    assert np.array_equal(found["contract/to_nchw"], image.transpose(0, 3, 1, 2))
