"""The tensorrt runner on a fake GPU whose engines compute with ONNX Runtime."""

from __future__ import annotations

import numpy as np
import pytest

from fcn_deploy.errors import MissingDependencyError, RunnerError
from fcn_deploy.runners.cuda import context as cuda_context
from fcn_deploy.runners.engine_options import TrtOptions
from fcn_deploy.runners.registry import open_runner
from fcn_deploy.runners.trt.runner import TrtRunner
from tests.support.fakes.machine import Machine
from tests.support.tensorrt_cases import *  # noqa: F403
from tests.support.tensorrt_cases import PROFILES, noise


@pytest.fixture(params=[None, 1, 2], ids=["late", "random", "random again"])
def machine(request, monkeypatch):
    made = Machine(monkeypatch, request.param)
    yield made
    made.check()


def test_memory_grows_with_the_images_and_is_not_taken_again(machine, net):
    with open_runner("tensorrt", str(machine.build(net, PROFILES))) as runner:
        runner.infer({"image": noise((1, 33, 47))})
        first = machine.gpu.used_bytes
        runner.infer({"image": noise((1, 131, 211))})
        grown, allocations = machine.gpu.used_bytes, machine.gpu.made["device"]
        for shape in ((1, 33, 47), (1, 131, 211), (1, 100, 100)):
            runner.infer({"image": noise(shape)})
        assert (machine.gpu.used_bytes, machine.gpu.made["device"]) == (grown, allocations)
    # Image 3 bytes, labels 1 byte, logits 3 floats a pixel.
    assert grown - first == (131 * 211 - 33 * 47) * (3 + 1 + 12)


def test_preallocated_memory_never_grows(machine, net):
    engine = str(machine.build(net, PROFILES))
    with TrtRunner.open("tensorrt", engine, engine=TrtOptions(preallocate=True)) as runner:
        held, allocations = machine.gpu.used_bytes, machine.gpu.made["device"]
        list(runner.stream(noise(profile.max) for profile in PROFILES for _ in range(3)))
        assert (machine.gpu.used_bytes, machine.gpu.made["device"]) == (held, allocations)
    # The largest of 2x64x64, 4x97x99 and 1x131x211 pixels in each of three slots, and the activations.
    assert held == 3 * 4 * 97 * 99 * 16 + 1000


def test_outputs_that_are_not_requested_take_no_pinned_memory(machine, net):
    with open_runner("tensorrt", str(machine.build(net, PROFILES))) as runner:
        runner.infer({"image": noise((1, 33, 47))})
        assert sorted(size for size, _ in machine.gpu.pinned.values()) == [33 * 47, 33 * 47 * 3]


def test_the_device_shares_one_primary_context_and_none_is_current_between_calls(machine, net):
    engine = str(machine.build(net, PROFILES))
    with open_runner("tensorrt", engine) as one, open_runner("tensorrt", engine) as two:
        assert machine.gpu.made["context"] == 1
        assert not any(machine.gpu.stacks.values())
        one.result(one.submit(noise((1, 33, 47))))
        two.infer({"image": noise((1, 33, 47))})
        assert not any(machine.gpu.stacks.values())


def test_uploads_go_on_while_another_image_is_computed(machine, net):
    """Submitting waits for nothing: three images are under way before the host waits once."""
    with open_runner("tensorrt", str(machine.build(net, PROFILES))) as runner:
        machine.gpu.calls.clear()
        tickets = [runner.submit(noise((1, 33, 47))) for _ in range(3)]
        assert "synchronize" not in machine.gpu.calls
        for ticket in tickets:
            runner.result(ticket)
        assert machine.gpu.calls.count("synchronize") == 3


def test_each_step_returns_when_the_device_is_done(machine, net):
    with open_runner("tensorrt", str(machine.build(net, PROFILES))) as runner:
        for step in (lambda: runner.upload({"image": noise((1, 33, 47))}), runner.execute, runner.download):
            step()
            assert not any(stream.queue for stream in machine.gpu.streams.values())


def test_profile_and_shape_are_set_only_when_they_change(machine, net):
    with open_runner("tensorrt", str(machine.build(net, PROFILES))) as runner:
        runner.infer({"image": noise((1, 33, 47))})
        machine.gpu.calls.clear()
        runner.infer({"image": noise((1, 33, 47))})
        assert not {"set_optimization_profile_async", "set_input_shape"} & set(machine.gpu.calls)
        runner.infer({"image": noise((1, 34, 47))})
        assert "set_input_shape" in machine.gpu.calls
        assert "set_optimization_profile_async" not in machine.gpu.calls


def test_no_pycuda_and_no_driver_are_distinguished_in_one_line(machine, net, monkeypatch):
    import sys
    from importlib import import_module

    engine = str(machine.build(net, PROFILES))
    monkeypatch.setitem(sys.modules, "pycuda.driver", None)
    monkeypatch.setitem(sys.modules, "pycuda", None)
    monkeypatch.setattr(cuda_context, "driver_library", lambda: None)
    with pytest.raises(MissingDependencyError, match=r"pycuda.driver is not installed; try: .*fcn-deploy\[cuda\]"):
        open_runner("tensorrt", engine)

    def absent() -> None:
        raise OSError("libcuda.so.1 is missing: no NVIDIA driver")

    monkeypatch.setattr(cuda_context, "driver_library", absent)
    with pytest.raises(
        RunnerError, match=r"^libcuda\.so\.1 is missing: no NVIDIA driver; engines run where .* PyCUDA$"
    ):
        open_runner("tensorrt", engine)

    def no_driver(name: str, package: str | None = None) -> object:
        if name == "pycuda.driver":
            raise ImportError("libcuda.so.1: cannot open shared object file: No such file or directory")
        return import_module(name, package)

    monkeypatch.setattr("fcn_deploy.system.optional.importlib.import_module", no_driver)
    with pytest.raises(RunnerError, match=r"^no NVIDIA driver: libcuda\.so\.1: cannot open shared object file"):
        open_runner("tensorrt", engine)


def test_a_gpu_that_is_not_there_is_one_line(machine, net):
    with pytest.raises(RunnerError, match="there is no GPU 3; CUDA shows 1 to this process"):
        TrtRunner.open("tensorrt", str(machine.build(net, PROFILES)), gpu=3)


def test_outputs_the_engine_lacks_are_refused_with_the_fix(machine, net, tmp_path):
    from fcn_deploy.errors import EngineError
    from tests.support.onnx_files import write_graph

    engine = machine.build(write_graph(tmp_path / "labels.onnx"), PROFILES)
    with pytest.raises(EngineError, match=r"labels.engine: the file gives labels alone; export it again with"):
        open_runner("tensorrt", str(engine), outputs=("logits",))


def test_an_engine_of_one_fixed_shape_runs_that_shape_alone(machine, net, tmp_path):
    import onnx

    from fcn_deploy.errors import ShapeError
    from fcn_deploy.vocabulary import Profile

    model = onnx.load(net)
    for port in (*model.graph.input, *model.graph.output):
        for dim in port.type.tensor_type.shape.dim:
            sizes = {"N": 2, "H": 33, "W": 47}
            if dim.dim_param:
                dim.dim_value = sizes[dim.dim_param]
    onnx.save(model, tmp_path / "fixed.onnx")
    engine = machine.build(tmp_path / "fixed.onnx", (Profile((2, 33, 47), (2, 33, 47), (2, 33, 47)),))
    with open_runner("tensorrt", str(engine)) as runner:
        assert runner.infer({"image": noise((2, 33, 47))})["labels"].shape == (2, 33, 47)
        with pytest.raises(ShapeError, match="it was built for 2x33x47"):
            runner.infer({"image": np.zeros((1, 33, 47, 3), np.uint8)})
