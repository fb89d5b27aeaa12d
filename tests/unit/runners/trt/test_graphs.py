"""CUDA graphs: captured by the runner on `tensorrt`, by the library itself on TensorRT for RTX."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from fcn_deploy.errors import MissingDependencyError, RunnerError
from fcn_deploy.runners.engine_options import TrtOptions
from fcn_deploy.runners.trt import graphs as trt_graphs
from fcn_deploy.runners.trt.context import create_context
from fcn_deploy.runners.trt.runner import TrtRunner
from tests.support.fakes.machine import Machine
from tests.support.tensorrt_nets import *  # noqa: F403  (fixtures)
from tests.support.tensorrt_nets import PROFILES, noise


@pytest.fixture(params=[None, 5], ids=["late", "random"])
def machine(request, monkeypatch):
    made = Machine(monkeypatch, request.param)
    yield made
    made.check()
    assert made.gpu.made["graph"] == made.gpu.made["graph freed"]


def open_graphed(machine: Machine, net, **options) -> TrtRunner:
    engine = machine.build(net, PROFILES, flavor="tensorrt")
    return TrtRunner.open("tensorrt", str(engine), engine=TrtOptions(cuda_graphs=True, **options))


def test_the_first_inference_of_a_shape_runs_plainly_the_second_is_captured_the_third_only_launched(
    machine, net, reference
):
    image = noise((2, 33, 47))
    with open_graphed(machine, net) as runner:
        made = []
        for seed in range(4):
            image = noise((2, 33, 47), seed)
            machine.gpu.calls.clear()
            found = runner.infer({"image": image})["labels"]
            assert np.array_equal(found, reference(image)["labels"])
            made.append(
                (machine.gpu.made["graph"], machine.gpu.made["launch"], machine.gpu.calls.count("execute_async_v3"))
            )
    assert made == [(0, 0, 1), (1, 1, 1), (1, 2, 0), (1, 3, 0)]


def test_each_shape_and_slot_has_its_own_graph_and_labels_stay_right(machine, net, reference):
    images = [noise(shape, seed) for seed in range(12) for shape in ((1, 33, 47), (1, 131, 67), (4, 90, 80))]
    with open_graphed(machine, net, preallocate=True) as runner:
        for results, image in zip(runner.stream(images), images, strict=True):
            assert np.array_equal(results["labels"], reference(image)["labels"])
        # Three shapes in turn over three slots: each slot meets one shape.
        assert machine.gpu.made["graph"] == 3
        assert machine.gpu.made["launch"] == 33


def test_memory_that_grew_is_not_reached_through_an_old_graph(machine, net, reference):
    with open_graphed(machine, net, slots=1) as runner:
        for shape in ((1, 33, 47), (1, 33, 47), (1, 131, 67), (1, 33, 47), (1, 33, 47), (1, 33, 47)):
            found = runner.infer({"image": noise(shape)})["labels"]
            assert np.array_equal(found, reference(noise(shape))["labels"])


def test_of_many_shapes_the_longest_unused_goes(machine, net, reference, monkeypatch):
    monkeypatch.setattr(trt_graphs, "LIMIT", 3)
    shapes = [(1, 33, 40 + number) for number in range(5)]
    with open_graphed(machine, net, preallocate=True) as runner:
        for shape in [*shapes, *shapes[-3:], shapes[0], *shapes[-2:], shapes[0], *shapes[:3], shapes[2]]:
            found = runner.infer({"image": noise(shape)})["labels"]
            assert np.array_equal(found, reference(noise(shape))["labels"])
        alive = machine.gpu.made["graph"] - machine.gpu.made["graph freed"]
        assert alive == 3
        assert [note for note in runner.notes if "combinations" in note] == [
            "more than 3 combinations of shape and slot come; 3 have a CUDA graph, others are launched one by one"
        ]


def test_shapes_that_come_in_turn_make_few_contexts(machine, net, reference, monkeypatch):
    monkeypatch.setattr(trt_graphs, "LIMIT", 3)
    with open_graphed(machine, net, preallocate=True) as runner:
        made = []
        monkeypatch.setattr(trt_graphs, "create_context", lambda *given: made.append(given) or create_context(*given))
        for number in range(100):
            image = noise((1, 33, 40 + number % 5), number)
            assert np.array_equal(runner.infer({"image": image})["labels"], reference(image)["labels"])
    assert 3 < len(made) <= 3 + 6  # log2(100) < 7


def test_a_context_does_not_go_while_its_kernels_are_under_way(machine, net, reference, monkeypatch):
    monkeypatch.setattr(trt_graphs, "LIMIT", 1)
    images = [noise((1, 33, 40 + number), number) for number in range(9)]
    with open_graphed(machine, net, preallocate=True) as runner:
        for results, image in zip(runner.stream(images), images, strict=True):
            assert np.array_equal(results["labels"], reference(image)["labels"])


def test_the_activations_of_all_contexts_are_one_piece_of_memory(machine, net):
    with open_graphed(machine, net, preallocate=True) as runner:
        held = machine.gpu.used_bytes
        for width in range(40, 46):
            runner.infer({"image": noise((1, 33, width))})
        assert machine.gpu.used_bytes == held


def test_a_failed_capture_says_how_to_do_without(machine, net):
    with open_graphed(machine, net) as runner:
        runner.infer({"image": noise((1, 33, 47))})
        machine.gpu.fail_next("cuStreamEndCapture")
        with pytest.raises(
            RunnerError,
            match="cuStreamEndCapture failed with CUDA_ERROR_STREAM_CAPTURE_INVALIDATED; leave them out",
        ):
            runner.infer({"image": noise((1, 33, 47))})


def test_a_driver_that_is_too_old_for_graphs_says_how_to_do_without(machine, net, monkeypatch):
    def lacking(*arguments):
        raise RuntimeError("function cuStreamBeginCapture_v2 is not found")  # the words of cuda-bindings 13.5

    with open_graphed(machine, net) as runner:
        runner.infer({"image": noise((1, 33, 47))})
        monkeypatch.setattr(sys.modules["cuda.bindings.driver"], "cuStreamBeginCapture", lacking)
        with pytest.raises(RunnerError, match=r"cuStreamBeginCapture_v2 is not found; leave them out"):
            runner.infer({"image": noise((1, 33, 47))})


def test_a_graph_that_cannot_be_launched_is_freed_and_made_again(machine, net, reference):
    image = noise((1, 33, 47))
    with open_graphed(machine, net) as runner:
        for _ in range(2):
            runner.infer({"image": image})
        machine.gpu.fail_next("cuGraphLaunch")
        with pytest.raises(RunnerError, match="cuGraphLaunch failed"):
            runner.infer({"image": image})
        assert machine.gpu.made["graph freed"] == 1
        for _ in range(3):
            assert np.array_equal(runner.infer({"image": image})["labels"], reference(image)["labels"])
        assert machine.gpu.made["graph"] == 2


def test_without_cuda_bindings_the_extra_is_named(machine, net, monkeypatch):
    monkeypatch.setitem(sys.modules, "cuda.bindings.driver", None)
    monkeypatch.setitem(sys.modules, "cuda.bindings", None)
    monkeypatch.setitem(sys.modules, "cuda", None)
    with pytest.raises(MissingDependencyError, match=r"cuda.bindings.driver is not installed; .*fcn-deploy\[graphs\]"):
        open_graphed(machine, net)


@pytest.mark.parametrize(("asked", "strategy"), [(True, "WHOLE_GRAPH_CAPTURE"), (False, "DISABLED")])
def test_tensorrt_for_rtx_is_asked_to_capture_by_itself(machine, net, reference, asked, strategy):
    engine = machine.build(net, PROFILES)
    image = noise((2, 33, 47))
    with TrtRunner.open("tensorrt", str(engine), engine=TrtOptions(cuda_graphs=asked)) as runner:
        (config,) = machine.gpu.configs
        assert config.cuda_graph_strategy.name == strategy
        for _ in range(3):
            assert np.array_equal(runner.infer({"image": image})["labels"], reference(image)["labels"])
    assert machine.gpu.made["graph"] == 0


def test_kernels_compiled_on_this_gpu_are_kept_next_to_the_engine_and_given_back(machine, net):
    engine = machine.build(net, PROFILES)
    cache = engine.with_name("net.engine.sm89.cache")
    with TrtRunner.open("tensorrt", str(engine)) as runner:
        assert runner.notes == ()
        assert not cache.exists()
    written = cache.stat()
    with TrtRunner.open("tensorrt", str(engine)) as runner:
        assert machine.gpu.configs[-1].cache.loaded == cache.read_bytes()
    assert cache.stat().st_mtime_ns == written.st_mtime_ns  # nothing new, nothing written


def test_a_cache_of_another_gpu_is_reported_and_replaced_and_a_runner_may_do_without_one(machine, net):
    engine = machine.build(net, PROFILES)
    cache = engine.with_name("net.engine.sm89.cache")
    cache.write_bytes(b"kernels of another GPU")
    with TrtRunner.open("tensorrt", str(engine), engine=TrtOptions(runtime_cache=False)) as runner:
        assert runner.notes == ()
    assert cache.read_bytes() == b"kernels of another GPU"
    with TrtRunner.open("tensorrt", str(engine)) as runner:
        assert runner.notes == ("net.engine.sm89.cache is of another GPU, driver or release and is written again",)
    assert cache.read_bytes() == b"kernels of the fake GPU"


def test_a_folder_that_cannot_be_written_costs_the_cache_alone(machine, net, reference, monkeypatch):
    from fcn_deploy.errors import OutputError

    def refuse(path, data):
        raise OutputError("permission denied")

    monkeypatch.setattr("fcn_deploy.runners.trt.context.write_bytes", refuse)
    with TrtRunner.open("tensorrt", str(machine.build(net, PROFILES))) as runner:
        image = noise((1, 33, 47))
        assert np.array_equal(runner.infer({"image": image})["labels"], reference(image)["labels"])
