"""Every call of driver and library fails once: an error of one line, nothing left behind, and the runner goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fcn_deploy.errors import FcnDeployError, RunnerError
from fcn_deploy.runners import driver_calls
from fcn_deploy.runners.engine_options import TrtOptions
from fcn_deploy.runners.registry import open_runner
from fcn_deploy.runners.trt.runner import TrtRunner
from fcn_deploy.system.files import sha256
from tests.support.fakes.machine import Machine
from tests.support.tensorrt_nets import *  # noqa: F403  (fixtures)
from tests.support.tensorrt_nets import PROFILES, noise

IMAGES = [
    noise(shape, seed)
    for seed, shape in enumerate([(1, 33, 47), (2, 40, 60), (1, 131, 67), (1, 33, 47), (4, 90, 80), (1, 33, 47)])
]


@pytest.fixture
def machine(monkeypatch):
    made = Machine(monkeypatch)
    yield made
    made.check()


def steps(runner: TrtRunner) -> list[np.ndarray]:
    return [runner.infer({"image": image})["labels"] for image in IMAGES]


def timed_steps(runner: TrtRunner) -> list[np.ndarray]:
    runner.time_on_device = True
    return steps(runner)


def pipelined(runner: TrtRunner) -> list[np.ndarray]:
    return [results["labels"] for results in runner.stream(IMAGES)]


def kept_on_gpu(runner: TrtRunner) -> list[np.ndarray]:
    gpu = driver_calls.driver_library()._gpu
    found = [runner.infer({"image": image}, on_gpu=True)["labels"] for image in IMAGES]
    return [gpu.view(one.address, one.nbytes).reshape(one.shape).copy() for one in found]


def open_with(machine: Machine, engine: str, graphs: bool) -> TrtRunner:
    return TrtRunner.open("tensorrt", engine, engine=TrtOptions(slots=2, preallocate=graphs, cuda_graphs=graphs))


@pytest.mark.parametrize("every", [False, pytest.param(True, marks=pytest.mark.long)], ids=["some", "every"])
@pytest.mark.parametrize(
    ("work", "graphs"),
    [(steps, False), (steps, True), (pipelined, False), (pipelined, True), (timed_steps, False), (kept_on_gpu, False)],
    ids=lambda value: {False: "plain", True: "graphs"}.get(value, getattr(value, "__name__", "")),
)
def test_after_a_failure_of_any_call_the_next_inferences_are_right(
    machine: Machine, net: Path, reference: Callable, work: Callable, graphs: bool, every: bool
):
    """`every`: not the first and third call of each name alone."""
    engine = str(machine.build(net, PROFILES, flavor="tensorrt"))
    expected = [reference(image)["labels"] for image in IMAGES]
    with open_with(machine, engine, graphs) as runner:
        machine.gpu.calls.clear()
        work(runner)
        calls = list(machine.gpu.calls)
    failed = set()
    for number, name in enumerate(calls):
        if not every and calls[:number].count(name) not in (0, 2):
            continue
        with open_with(machine, engine, graphs) as runner:
            machine.gpu.fail_call(number)
            with pytest.raises(RunnerError) as caught:
                work(runner)
            assert "\n" not in str(caught.value), name
            failed.add(name)
            for again in (work(runner), steps(runner), pipelined(runner)):
                for found, wanted in zip(again, expected, strict=True):
                    assert np.array_equal(found, wanted), name
        assert not any(machine.gpu.stacks.values()), name
    out = {"memcpy_dtod_async", "cuMemAlloc_v2"} if work is kept_on_gpu else {"memcpy_dtoh_async"}
    assert failed >= {"push", "memcpy_htod_async", "synchronize", "record", "wait_for_event"} | out
    assert failed >= {f"set_{name}" for name in ("optimization_profile_async", "input_shape", "tensor_address")}
    assert failed >= {"infer_shapes", "execute_async_v3"}
    if graphs:  # with memory held from the start, so that addresses stay and a graph is used again
        assert failed >= {"cuStreamBeginCapture", "cuStreamEndCapture", "cuGraphInstantiate", "cuGraphLaunch"}
    else:
        assert failed >= {"mem_alloc", "pagelocked_empty"}


@pytest.mark.parametrize("flavor", ["tensorrt", "tensorrt_rtx"])
def test_a_failure_of_any_call_while_opening_leaves_nothing(machine, net, flavor):
    engine = str(machine.build(net, PROFILES, flavor=flavor))
    options = TrtOptions(preallocate=True, cuda_graphs=True)
    machine.gpu.calls.clear()
    TrtRunner.open("tensorrt", engine, engine=options).close()
    calls = machine.gpu.calls[: len(machine.gpu.calls) - machine.gpu.calls[::-1].index("push") - 1]  # but for closing
    for number in range(len(calls)):
        machine.gpu.fail_call(number)
        with pytest.raises(FcnDeployError, match=r"injected|failed|refused|out of|makes no|set:"):
            TrtRunner.open("tensorrt", engine, engine=options)
        machine.check()
    assert {"create_execution_context", "deserialize_cuda_engine", "Stream", "Event", "mem_alloc"} <= set(calls)


def test_the_library_s_own_words_are_in_the_error(machine, net):
    with open_runner("tensorrt", str(machine.build(net, PROFILES))) as runner:
        machine.gpu.fail_next("execute_async_v3")
        with pytest.raises(RunnerError, match=r"TensorRT refused execute_async_v3\(.*Error Code 3: API Usage Error"):
            runner.infer({"image": IMAGES[0]})


def test_inputs_that_shape_inference_misses_are_named(machine, net):
    with open_runner("tensorrt", str(machine.build(net, PROFILES))) as runner:
        machine.gpu.fail_next("infer_shapes")
        with pytest.raises(RunnerError, match="cannot infer the shapes: image not set"):
            runner.infer({"image": IMAGES[0]})


def test_too_little_gpu_memory_says_what_was_needed_and_what_is_free(monkeypatch, net, reference):
    machine = Machine(monkeypatch, total_bytes=1 << 20)
    with open_runner("tensorrt", str(machine.build(net, PROFILES))) as runner:
        runner.infer({"image": noise((1, 131, 211))})
        with pytest.raises(
            RunnerError,
            # 4 x 97 x 99 pixels of three float logits; 1 MiB less the image, the labels and the activations.
            match=r"out of GPU memory: 'logits' needs 0\.4 MiB; 0\.\d of 1\.0 MiB of Fake GPU are free; run smaller",
        ):
            list(runner.stream([noise((4, 97, 99), seed) for seed in range(3)]))
        image = noise((1, 33, 47))
        assert np.array_equal(runner.infer({"image": image})["labels"], reference(image)["labels"])
    machine.check()


def test_activations_that_do_not_fit_are_reported_with_their_size(monkeypatch, net):
    machine = Machine(monkeypatch, total_bytes=500)
    with pytest.raises(
        RunnerError, match=r"makes no execution context: OutOfMemory.*its activations need 0\.0 MiB, 0\.0"
    ):
        open_runner("tensorrt", str(machine.build(net, PROFILES)))
    machine.check()


def test_a_failed_upload_does_not_leave_the_last_image_s_labels_to_be_taken_for_its_own(machine, net):
    with open_runner("tensorrt", str(machine.build(net, PROFILES))) as runner:
        runner.infer({"image": IMAGES[0]})
        machine.gpu.fail_next("memcpy_htod_async")
        with pytest.raises(RunnerError, match="while uploading"):
            runner.upload({"image": IMAGES[3]})
        with pytest.raises(RunnerError, match="go in this order"):
            runner.download()


def test_a_result_that_fails_frees_its_slot_and_leaves_the_others(machine, net, reference):
    with open_runner("tensorrt", str(machine.build(net, PROFILES))) as runner:
        tickets = [runner.submit(image) for image in IMAGES[:3]]
        machine.gpu.fail_next("synchronize")
        with pytest.raises(
            RunnerError, match="Fake GPU: cuStreamSynchronize failed: injected while waiting for a result"
        ):
            runner.result(tickets[1])
        fresh = runner.submit(IMAGES[4])
        for ticket, image in ((fresh, IMAGES[4]), (tickets[2], IMAGES[2]), (tickets[0], IMAGES[0])):
            assert np.array_equal(runner.result(ticket)["labels"], reference(image)["labels"])


def test_memory_does_not_grow_under_an_inference_that_failed_halfway(machine, net, reference):
    """Its kernels may still run: the next image waits for them before it frees what they write to."""
    with open_runner("tensorrt", str(machine.build(net, PROFILES))) as runner:
        runner.upload({"image": IMAGES[0]})
        machine.gpu.fail_next("record")  # the one after the kernels
        with pytest.raises(RunnerError, match="cuEventRecord"):
            runner.execute()
        assert any(stream.queue for stream in machine.gpu.streams.values())
        larger = noise((1, 131, 211))
        assert np.array_equal(runner.infer({"image": larger})["labels"], reference(larger)["labels"])


def test_an_engine_file_is_never_changed(machine, net):
    engine = machine.build(net, PROFILES)
    before = sha256(engine)
    with open_runner("tensorrt", str(engine)) as runner:
        steps(runner)
    assert sha256(engine) == before
