"""The device and the type that training takes."""

from __future__ import annotations

import pytest
import torch

from fcn_deploy.errors import TrainingError
from fcn_deploy.training.step import TrainingDevice, choose_device


def test_the_device_and_type_follow_what_there_is(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto", None) == TrainingDevice(torch.device("cpu"), None)
    assert choose_device("auto", True) == TrainingDevice(torch.device("cpu"), torch.bfloat16)
    with pytest.raises(TrainingError, match="no NVIDIA GPU"):
        choose_device("cuda", None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: False)
    assert choose_device("auto", None) == TrainingDevice(torch.device("cuda"), torch.float16)
    assert choose_device("auto", None).scaled
    assert choose_device("cuda", False) == TrainingDevice(torch.device("cuda"), None)
    assert choose_device("cpu", None).device.type == "cpu"
