"""Which images a runner takes, as tiles ask it."""

from __future__ import annotations

import onnx
import pytest

from fcn_deploy.runners.registry import open_runner
from fcn_deploy.runners.trt.runner import TrtRunner
from fcn_deploy.vocabulary import Profile
from tests.support.small_fcn import write_fcn


def fixed(path, dims):
    model = onnx.load(path)
    for dim, number in zip(model.graph.input[0].type.tensor_type.shape.dim, dims, strict=True):
        if number is not None:
            dim.dim_value = number
    onnx.save(model, path)
    return str(path)


def test_a_file_of_free_sides_takes_all(tmp_path):
    with open_runner("onnxruntime", str(write_fcn(tmp_path / "m.onnx"))) as runner:
        assert runner.accepts((3, 34, 46))


@pytest.mark.parametrize(
    ("dims", "held"), [((1, 64, 96, 3), [(1, 64, 96)]), ((None, 64, None, 3), [(1, 64, 96), (3, 64, 46)])]
)
def test_a_file_of_fixed_sides_takes_those(tmp_path, dims, held):
    with open_runner("onnxruntime", fixed(write_fcn(tmp_path / "m.onnx"), dims)) as runner:
        shapes = [(1, 64, 96), (3, 64, 46), (1, 96, 64)]
        assert [shape for shape in shapes if runner.accepts(shape)] == held


def test_an_engine_takes_what_one_of_its_profiles_holds():
    class Loaded:
        profiles = (Profile((1, 64, 64), (1, 64, 64), (1, 64, 64)), Profile((1, 99, 99), (2, 99, 99), (4, 128, 99)))

    runner = TrtRunner.__new__(TrtRunner)
    runner._loaded = Loaded()
    shapes = [(1, 64, 64), (2, 64, 64), (3, 100, 99), (1, 64, 99)]
    assert [runner.accepts(shape) for shape in shapes] == [True, False, True, False]
