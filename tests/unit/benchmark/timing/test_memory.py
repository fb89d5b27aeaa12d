from __future__ import annotations

import numpy as np
import pytest

from fcn_deploy.benchmark.timing.memory import MIB, measure_memory
from fcn_deploy.errors import RunnerError
from fcn_deploy.system.process import peak_bytes
from tests.support.onnx_files import write_graph


def test_memory_is_the_childs_own_and_not_that_of_the_process_that_asks(tmp_path):
    path = str(write_graph(tmp_path / "m.onnx"))
    ballast = np.ones(400 * MIB, np.uint8)
    memory = measure_memory("onnxruntime", path, (1, 33, 47), threads=1)
    assert peak_bytes() > ballast.nbytes
    assert 10 * MIB < memory.baseline_bytes <= memory.peak_bytes < ballast.nbytes
    assert memory.device_bytes is None


def test_a_larger_image_needs_as_much_more_as_its_tensors(tmp_path):
    path = str(write_graph(tmp_path / "m.onnx"))
    memory = measure_memory("onnxruntime", path, (2, 1500, 2000), threads=1)
    # float32[2, 3, 1500, 2000] alone is 69 MiB, and an operator has its input and its output
    assert memory.peak_bytes - memory.baseline_bytes > 138 * MIB


def test_a_child_that_fails_hands_on_its_last_line(tmp_path):
    with pytest.raises(RunnerError, match=r"onnxruntime: memory could not be measured: .*none\.onnx does not exist"):
        measure_memory("onnxruntime", str(tmp_path / "none.onnx"), (1, 33, 47))


def test_the_child_gets_what_a_checkpoint_holds():
    with pytest.raises(RunnerError, match=r"memory could not be measured: .*holds fcn8s .*, not fcn16s"):
        measure_memory("pytorch", "demo", (1, 33, 47), model="fcn16s")
