"""What may stand behind "pytorch:", and what each machine refuses in one line."""

from __future__ import annotations

import pytest
import torch

from fcn_deploy.errors import RunnerError, UnknownNameError
from fcn_deploy.runners import pytorch_mode
from fcn_deploy.runners.pytorch_mode import TorchMode, parse_mode


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("cpu", TorchMode()),
        ("cpu:bf16", TorchMode("cpu", torch.bfloat16)),
        ("bf16", TorchMode("cpu", torch.bfloat16)),
        ("cuda:fp16", TorchMode("cuda", torch.float16)),
        ("cuda:bf16:compile", TorchMode("cuda", torch.bfloat16, True)),
        ("compile", TorchMode(compiled=True)),
    ],
)
def test_a_device_and_types_in_any_order(monkeypatch, text, mode):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert parse_mode("pytorch", text) == mode
    assert parse_mode("pytorch", ":".join(reversed(text.split(":")))) == mode
    assert mode.plain == (text == "cpu")


@pytest.mark.parametrize("text", ["cudda", "cpu:cuda", "cuda:fp16:bf16", "cpu:int8"])
def test_anything_else_is_answered_with_the_names(text):
    with pytest.raises(UnknownNameError, match="device of the pytorch runner"):
        parse_mode("pytorch", text)


def test_fp16_on_a_cpu_is_answered_with_bf16():
    with pytest.raises(RunnerError, match=r"^pytorch:cpu:fp16: .*use pytorch:cpu:bf16$"):
        parse_mode("pytorch:cpu:fp16", "cpu:fp16")


@pytest.mark.parametrize(("device", "named", "variable"), [("cpu", "C++", "CXX"), ("cuda", "C", "CC")])
def test_a_machine_without_a_compiler_is_reported_in_one_line(monkeypatch, tmp_path, device, named, variable):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(variable, raising=False)
    with pytest.raises(RunnerError) as caught:
        parse_mode("pytorch:compile", f"{device}:compile")
    assert f"torch.compile needs a {named} compiler and finds none" in str(caught.value)
    assert f"environment variable {variable}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_compiler_that_the_environment_names_counts(monkeypatch, tmp_path):
    (tmp_path / "mine").write_text("#!/bin/sh\n")
    (tmp_path / "mine").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CXX", "mine")
    assert parse_mode("pytorch", "compile").compiled
    assert pytorch_mode.COMPILERS["cpu"][0] == "CXX"


def test_a_number_is_a_gpu_that_must_be_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    mode = parse_mode("pytorch:cuda:1:fp16", "cuda:fp16", 1)
    assert (mode.dtype, mode.place) == (torch.float16, torch.device("cuda:1"))
    assert parse_mode("pytorch:cuda", "cuda").place == torch.device("cuda")
    with pytest.raises(RunnerError, match=r"^pytorch:cuda:2: there is no GPU 2; CUDA shows 2 to this process$"):
        parse_mode("pytorch:cuda:2", "cuda", 2)
