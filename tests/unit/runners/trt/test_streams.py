"""Several streams of one engine, and CUDA graphs where they hold and nobody asked for them."""

from __future__ import annotations

import random
import sys

import numpy as np
import pytest

from fcn_deploy.errors import FcnDeployError, RunnerError
from fcn_deploy.runners.engine_options import TrtOptions
from fcn_deploy.runners.trt.runner import TrtRunner
from tests.api.bindings import RELEASES
from tests.support.fakes.machine import Machine
from tests.support.fakes.tensorrt_module import ACTIVATION_BYTES
from tests.support.gpu_arrays import DlpackArray
from tests.support.tensorrt_api import runs
from tests.support.tensorrt_nets import *  # noqa: F403  (fixtures)
from tests.support.tensorrt_nets import PROFILES, noise, random_shape

both_flavors = pytest.mark.parametrize("flavor", ["tensorrt", "tensorrt_rtx"])


@pytest.fixture(params=[None, 3, 4], ids=["late", "random", "random again"])
def machine(request, monkeypatch):
    made = Machine(monkeypatch, request.param)
    yield made
    made.check()
    assert made.gpu.made["graph"] == made.gpu.made["graph freed"]


def open_with(machine: Machine, net, flavor: str = "tensorrt", **options) -> TrtRunner:
    return TrtRunner.open("tensorrt", str(machine.build(net, PROFILES, flavor=flavor)), engine=TrtOptions(**options))


@both_flavors
def test_two_streams_of_slots_give_the_labels_of_onnxruntime(machine, net, reference, flavor):
    generator = random.Random(5)
    shapes = [random_shape(generator) for _ in range(6)]
    images = [noise(shape, seed) for seed in range(5) for shape in shapes]
    lent = [DlpackArray(machine.gpu, image) for image in images[:6]]
    with open_with(machine, net, flavor, contexts=2, slots=2, preallocate=True) as runner:
        assert runner.slots == 4
        for results, image in zip(runner.stream([*images, *lent]), [*images, *images[:6]], strict=True):
            assert np.array_equal(results["labels"], reference(image)["labels"])
        assert np.array_equal(runner.infer({"image": images[0]})["labels"], reference(images[0])["labels"])
    for image in lent:
        image.release()


@both_flavors
def test_neighbouring_images_are_computed_on_different_streams(machine, net, flavor):
    with open_with(machine, net, flavor, contexts=3, slots=1, cuda_graphs=False) as runner:
        tickets = [runner.submit(noise((1, 33, 47))) for _ in range(3)]
        computing = [one.stream.handle for one in runner._streams.all]
        assert len(set(computing)) == 3
        waiting = [handle for handle in computing if machine.gpu.streams[handle].queue]
        assert len(waiting) == 3 or machine.gpu._random is not None
        for ticket in tickets:
            runner.result(ticket)


def test_each_stream_has_activations_of_its_own(machine, net):
    with open_with(machine, net, slots=1, cuda_graphs=False):
        one = machine.gpu.used_bytes
    with open_with(machine, net, slots=1, contexts=3, cuda_graphs=False):
        assert machine.gpu.used_bytes == one + 2 * ACTIVATION_BYTES


def test_too_little_memory_for_all_streams_leaves_nothing(machine, net):
    machine.gpu.total_bytes = 2 * ACTIVATION_BYTES
    with pytest.raises(RunnerError, match="makes no execution context: OutOfMemory"):
        open_with(machine, net, contexts=3, cuda_graphs=False)


def test_tensorrt_for_rtx_keeps_the_kernels_of_all_streams_in_one_cache(machine, net):
    with open_with(machine, net, "tensorrt_rtx", contexts=2) as runner:
        runner.infer({"image": noise((1, 33, 47))})
        assert len(machine.gpu.configs) == 1
        assert machine.gpu.configs[0].cuda_graph_strategy.name == "WHOLE_GRAPH_CAPTURE"
    assert (net.parent / "net.engine.sm89.cache").is_file()


def test_graphs_are_captured_by_default(machine, net):
    with open_with(machine, net) as runner:
        for _ in range(3):
            runner.infer({"image": noise((1, 33, 47))})
        assert (machine.gpu.made["graph"], machine.gpu.made["launch"], runner.notes) == (1, 2, ())


def test_without_cuda_bindings_a_note_says_why_there_are_none(machine, net, monkeypatch):
    for name in ("cuda.bindings.driver", "cuda.bindings", "cuda"):
        monkeypatch.setitem(sys.modules, name, None)
    with open_with(machine, net) as runner:
        assert runner.infer({"image": noise((1, 33, 47))})["labels"].shape == (1, 33, 47)
        (note,) = runner.notes
        assert note.startswith("no CUDA graphs: cuda.bindings.driver is not installed; try: pip install")


def test_work_that_cannot_be_captured_runs_plainly_with_a_note(machine, net, reference):
    image = noise((2, 33, 47))
    with open_with(machine, net) as runner:
        runner.infer({"image": image})
        machine.gpu.fail_next("cuStreamEndCapture")
        for _ in range(3):
            assert np.array_equal(runner.infer({"image": image})["labels"], reference(image)["labels"])
        (note,) = runner.notes
        assert note.startswith("no more CUDA graphs: CUDA graph: cuStreamEndCapture failed with CUDA_ERROR_STREAM")
        assert machine.gpu.made["graph"] == 0


def test_tensorrt_8_6_runs_one_stream_without_graphs(machine, net, monkeypatch, reference):
    runs(next(release for release in RELEASES if release.version == "8.6.1"), monkeypatch)
    image = noise((1, 33, 47))
    with open_with(machine, net) as runner:
        assert np.array_equal(runner.infer({"image": image})["labels"], reference(image)["labels"])
        assert runner.notes == (
            "no CUDA graphs: TensorRT 8.6.1 shares no memory between contexts; give --no-cuda-graphs",
        )
    with pytest.raises(RunnerError, match=r"TensorRT 8\.6\.1 shares no profile between contexts; leave --contexts out"):
        open_with(machine, net, contexts=2)


@pytest.mark.parametrize("options", [{"slots": 0}, {"contexts": 0}])
def test_no_slots_and_no_streams_are_refused(options):
    with pytest.raises(FcnDeployError, match=f"{next(iter(options))} is 0; expected an integer of 1 or more"):
        TrtOptions(**options)
