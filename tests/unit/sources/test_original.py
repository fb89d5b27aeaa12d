"""The FP32 file behind a rewritten file or an engine, found by name and SHA-256."""

from __future__ import annotations

import shutil
from pathlib import Path

from fcn_deploy.model_file import DEMO_CHECKPOINT
from fcn_deploy.quantization.quantize import quantize
from fcn_deploy.sources.model_source import ModelSource
from fcn_deploy.sources.original import original_of
from tests.support.fakes.machine import Machine
from tests.support.tensorrt_nets import PROFILES, write_net


def found(path: Path) -> tuple[Path | None, str]:
    with ModelSource(path) as source:
        return original_of(source, source.card())


def test_a_rewritten_file_knows_the_file_that_it_was_made_from(small_onnx, tmp_path):
    own = tmp_path / "fcn8s.onnx"
    shutil.copy(small_onnx, own)
    half = tmp_path / "half.onnx"
    quantize(own, half, precision="fp16")
    assert found(half) == (own, "fcn8s.onnx")
    own.write_bytes(own.read_bytes() + b"\0")  # another file under the same name
    assert found(half) == (None, "fcn8s.onnx")
    assert found(small_onnx) == (None, "")


def test_a_rewritten_checkpoint_is_the_checkpoint_and_the_demo_is_found_anywhere(tmp_path):
    quantize("demo", tmp_path / "half.onnx", precision="fp16")
    assert found(tmp_path / "half.onnx") == (DEMO_CHECKPOINT, "demo.safetensors")


def test_an_engine_is_of_the_file_that_its_sidecar_names(monkeypatch, tmp_path):
    net = write_net(tmp_path / "net.onnx")
    engine = Machine(monkeypatch, 1).build(net, PROFILES)
    name, digest = "net.onnx", ModelSource(net).digest()[0]
    assert found(engine)[1] == name
    engine = Machine(monkeypatch, 1).build(net, PROFILES, onnx_sha256=digest)
    assert found(engine) == (net, name)
