"""The memory that an inference takes is what is estimated before it."""

from __future__ import annotations

import pytest

from benchmarks import memory
from benchmarks.memory import MIB, Growth, measure


def test_the_estimate_of_a_network_is_what_its_process_takes(demo_onnx):
    found = measure("onnxruntime", demo_onnx, (900, 1000))
    assert found.measured > 100 * MIB  # about 200 bytes a pixel
    assert 0.9 < found.ratio < 2


@pytest.mark.long
@pytest.mark.parametrize("runner", ["onnxruntime", "openvino", "pytorch"])
@pytest.mark.parametrize("model", memory.MODELS)
def test_the_estimate_of_every_kind_of_network_and_runner(model, runner, monkeypatch):
    monkeypatch.setattr(memory, "SIZES", [(720, 1280), (1536, 2048)])
    found = list(memory.rows([model], [runner]))
    assert found or runner == "pytorch"  # has none of rewritten files and of other tools'
    assert [each for each in found if not each[-1].fits] == []


def test_what_is_off_is_marked():
    off = Growth(1000 * MIB, 800 * MIB), Growth(1000 * MIB, 2100 * MIB), Growth(1000 * MIB, None)
    assert [each.fits for each in (*off, Growth(1000 * MIB, 900 * MIB))] == [False, False, False, True]
