from __future__ import annotations

from pathlib import Path

import torch

from fcn_deploy.models.checkpoints import load_model, save_model
from fcn_deploy.models.registry import build, new_card


def test_a_saved_model_loads_with_its_card_and_the_same_logits(tmp_path: Path):
    card = new_card("fcn8s", ["sky", "pole", "sign"], width=0.125, head="pool5")
    model = build(card)
    save_model(tmp_path / "m.safetensors", model, card)
    loaded, loaded_card = load_model(tmp_path / "m.safetensors")
    x = torch.randn(2, 3, 33, 47)
    assert loaded_card == card
    assert torch.equal(loaded(x), model(x))
