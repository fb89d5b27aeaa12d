"""The runner over doubles of every release's real API and of PyCUDA's: whatever it touches exists there."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from fcn_deploy.doctor.probe_model import load_error
from fcn_deploy.engine.flavors import open_flavor
from fcn_deploy.errors import EngineError, RunnerError
from fcn_deploy.runners.engine_options import TrtOptions
from fcn_deploy.runners.trt.runner import TrtRunner
from tests.api.bindings import RELEASES
from tests.support.fakes.tensorrt_module import Engine, Severity, TensorFormat
from tests.support.tensorrt_api import *  # noqa: F403  (fixtures)
from tests.support.tensorrt_api import every_release, runs, version_of
from tests.support.tensorrt_nets import *  # noqa: F403  (fixtures)
from tests.support.tensorrt_nets import PROFILES, noise


def labels(engine, images, **options):
    with TrtRunner.open("tensorrt", str(engine), engine=TrtOptions(**options)) as runner:
        found = [outputs["labels"] for outputs in runner.stream(images)]
        assert np.array_equal(runner.infer({"image": images[0]})["labels"], found[0])
    return found


def refusal(kind, engine, **options):
    with pytest.raises(kind) as caught:
        labels(engine, [noise((1, 33, 47))], **options)
    return str(caught.value)


@every_release
@pytest.mark.parametrize("cuda_graphs", [False, True], ids=["plain", "CUDA graphs"])
def test_images_run_in_every_profile(release, cuda_graphs, machine, monkeypatch, net, reference):
    runs(release, monkeypatch)
    engine = machine.build(net, PROFILES, flavor=release.flavor)
    if cuda_graphs and release.version == "8.6.1":
        message = "TensorRT 8.6.1 shares no memory between contexts; give --no-cuda-graphs"
        assert refusal(RunnerError, engine, cuda_graphs=True) == message
        return
    images = [noise(profile.opt, seed) for seed in range(6) for profile in PROFILES]
    found = labels(engine, images, preallocate=True, cuda_graphs=cuda_graphs)
    assert all(np.array_equal(one, reference(image)["labels"]) for one, image in zip(found, images, strict=True))


@every_release
def test_an_engine_without_a_sidecar_runs(release, machine, monkeypatch, net):
    runs(release, monkeypatch)
    engine = machine.build(net, PROFILES, flavor=release.flavor)
    engine.with_name(f"{engine.name}.json").unlink()
    assert labels(engine, [noise((1, 33, 47))])[0].shape == (1, 33, 47)


@every_release
def test_an_engine_for_later_releases_is_allowed_to_bring_its_code(release, machine, monkeypatch, net):
    runs(release, monkeypatch)
    engine = machine.build(net, PROFILES, flavor=release.flavor, options={"version_compatible": True}, version="9.9")
    labels(engine, [noise((1, 33, 47))])
    assert machine.gpu.made["host code allowed"] == 1


@every_release
def test_what_the_library_refuses_is_reported_in_its_own_words(release, machine, monkeypatch, net):
    runs(release, monkeypatch)
    engine = machine.build(net, PROFILES, flavor=release.flavor)
    calls = {"create_execution_context": "OutOfMemory", "set_input_shape": "Error Code 3", "infer_shapes": "'?image"}
    for name, words in calls.items():
        machine.gpu.fail_next(name)
        assert words.strip("'?") in refusal(RunnerError, engine)
    machine.gpu.fail_next("deserialize_cuda_engine")
    assert "OutOfMemory" in refusal(EngineError, engine)


@every_release
def test_a_tensor_that_is_not_laid_out_row_by_row_is_named(release, machine, monkeypatch, net):
    runs(release, monkeypatch)
    monkeypatch.setattr(Engine, "get_tensor_format", lambda engine, name: TensorFormat.CHW4)
    engine = machine.build(net, PROFILES, flavor=release.flavor)
    assert "is laid out as 4 wide; expected LINEAR" in refusal(EngineError, engine)


@every_release
def test_doctor_loads_its_plan(release, machine, monkeypatch, net):
    doubles = runs(release, monkeypatch)
    flavor = open_flavor(release.flavor)
    assert flavor.version == version_of(release)
    driver = doubles["pycuda.driver"]
    context = driver.Device(0).retain_primary_context()
    context.push()
    assert load_error(flavor, machine.build(net, PROFILES, flavor=release.flavor).read_bytes()) == ""
    assert "Error Code 1" in load_error(flavor, b"no plan")
    driver.Context.pop()


@every_release
def test_a_library_that_cannot_start_is_reported_in_its_own_words(release, machine, monkeypatch, net):
    """Real bindings raise this TypeError where the library gives no object, as without a driver."""
    runs(release, monkeypatch)

    class Runtime:
        def __init__(self, logger):
            logger.log(Severity.ERROR, "CUDA initialization failure with error: 35")
            raise TypeError("pybind11::init(): factory function returned nullptr")

    monkeypatch.setattr(sys.modules[release.flavor].behind, "Runtime", Runtime)
    engine = machine.build(net, PROFILES, flavor=release.flavor)
    assert "cannot start: CUDA initialization failure with error: 35" in refusal(EngineError, engine)
    assert "CUDA initialization failure" in load_error(open_flavor(release.flavor), b"plan")


def test_releases_of_both_libraries_are_held():
    assert {release.flavor for release in RELEASES} == {"tensorrt", "tensorrt_rtx"}
