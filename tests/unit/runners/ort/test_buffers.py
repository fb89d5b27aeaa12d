"""Buffers on the host; those on a GPU are held by tests/gpu."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

from fcn_deploy.runners.ort.buffers import OrtBuffer, TorchBuffer, make_buffer
from tests.support.onnx_files import write_graph


@pytest.mark.parametrize("kind", [OrtBuffer, TorchBuffer])
def test_a_session_reads_and_writes_them_at_addresses_that_stay(tmp_path, kind):
    session = onnxruntime.InferenceSession(
        str(write_graph(tmp_path / "m.onnx", outputs=("labels", "logits"))), providers=["CPUExecutionProvider"]
    )
    image = kind((1, 4, 5, 3), np.dtype(np.uint8), "cpu", 0)
    labels = kind((1, 4, 5), np.dtype(np.uint8), "cpu", 0)
    logits = kind((1, 3, 4, 5), np.dtype(np.float32), "cpu", 0)
    binding = session.io_binding()
    image.bind_input(binding, "image")
    labels.bind_output(binding, "labels")
    logits.bind_output(binding, "logits")
    kept = []
    for seed in range(3):
        array = np.random.default_rng(seed).integers(0, 256, (1, 4, 5, 3)).astype(np.uint8)
        image.write(array)
        session.run_with_iobinding(binding)
        kept.append((array, image.read(), labels.read(), logits.read()))
    for array, written, found, scores in kept:
        expected = session.run(["labels", "logits"], {"image": array})
        assert np.array_equal(written, array)
        assert np.array_equal(found, expected[0])
        assert np.array_equal(scores, expected[1])


class NoBinding:
    def __getattr__(self, name: str):
        return lambda *arguments: None


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64, np.float32, np.float16])
def test_every_type_of_a_port_is_held(dtype):
    for kind in (OrtBuffer, TorchBuffer):
        buffer = kind((2, 3), np.dtype(dtype), "cpu", 0)
        buffer.bind_input(NoBinding(), "image")
        array = np.arange(6).reshape(2, 3).astype(dtype)
        array.flags.writeable = False
        buffer.write(array)
        assert buffer.read().dtype == dtype
        assert np.array_equal(buffer.read(), array)


def test_on_the_host_they_are_onnxruntimes():
    assert isinstance(make_buffer((1,), np.dtype(np.uint8), "cpu", 0), OrtBuffer)
