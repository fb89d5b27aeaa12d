"""The device and the type that training takes."""

from __future__ import annotations

import pytest
import torch

from fcn_deploy.errors import TrainingError
from fcn_deploy.training.device import Precision, choose


def test_the_device_and_type_follow_what_there_is(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose("auto", None) == Precision(torch.device("cpu"), None)
    assert choose("auto", True) == Precision(torch.device("cpu"), torch.bfloat16)
    with pytest.raises(TrainingError, match="no NVIDIA GPU"):
        choose("cuda", None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: False)
    assert choose("auto", None) == Precision(torch.device("cuda"), torch.float16)
    assert choose("auto", None).scaled
    assert choose("cuda", False) == Precision(torch.device("cuda"), None)
    assert choose("cpu", None).device.type == "cpu"
