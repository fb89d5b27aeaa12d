"""What the memory and stream layer must do on any NVIDIA GPU, without TensorRT: computing is a copy on the device.

A test file imports these and gives the fixture `device`, a CudaDevice, real or fake.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from fcn_deploy.errors import RunnerError
from fcn_deploy.runners.arrays import GpuArray
from fcn_deploy.runners.cuda.context import CudaDevice
from fcn_deploy.runners.cuda.memory import TensorMemory
from fcn_deploy.runners.cuda.slots import NON_BLOCKING, Layout, Slot
from fcn_deploy.runners.trt.graphs import CudaGraph


def noise(nbytes: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, nbytes).astype(np.uint8)


@contextmanager
def slots_of(device: CudaDevice, count: int = 3) -> Iterator[list[Slot]]:
    """Slots of one input and one output."""
    with device.active("testing"):
        stream = device.driver.Stream(NON_BLOCKING)
        slots = [Slot(device, stream, ["in"], ["out"], ["out"]) for _ in range(count)]
    try:
        yield slots
    finally:
        with device.active("testing"):
            for slot in slots:
                slot.settle()
                slot.close()
            del slots[:], slot, stream


def start(device: CudaDevice, slot: Slot, data: np.ndarray) -> None:
    """Send `data` through `slot`; three copies on the device stand for the network."""

    def enqueue(addresses: dict[str, int], stream: object) -> None:
        for _ in range(3):
            device.driver.memcpy_dtod_async(addresses["out"], addresses["in"], data.nbytes, stream)

    with device.active("testing"):
        slot.upload({"in": data})
        slot.compute({"out": Layout(data.shape, data.dtype)}, enqueue)
        slot.download()


def finish(device: CudaDevice, slot: Slot) -> np.ndarray:
    with device.active("testing"):
        slot.finish()
        return slot.read()["out"]


def copied(device: CudaDevice, nbytes: int) -> Callable[[dict[str, int], object], None]:
    return lambda addresses, stream: device.driver.memcpy_dtod_async(addresses["out"], addresses["in"], nbytes, stream)


def pass_on(device: CudaDevice, slot: Slot, data: GpuArray) -> None:
    """As `start`, with an input that lies elsewhere on the GPU and an output that stays there."""
    with device.active("testing"):
        slot.take("in", data)
        slot.compute({"out": Layout(data.shape, data.dtype)}, copied(device, data.nbytes))
        slot.give(device.ordinal)


def test_arrays_pass_from_slot_to_slot_within_the_gpu(device):
    """Nothing waits until the last is read; each array is dropped as soon as it was given."""
    for size in (1, 1001, 1 << 20):
        data = noise(size, size)
        with slots_of(device) as slots:
            with device.active("testing"):
                passed = GpuArray.empty(data.shape, data.dtype, device.ordinal)
                slots[0].memory["in"].upload(data, slots[0].stream)
                slots[0].stream.synchronize()
                device.driver.memcpy_dtod_async(
                    passed.address, slots[0].memory["in"].address, data.nbytes, slots[0].stream
                )
                slots[0].stream.synchronize()
            for turn in range(7):
                pass_on(device, slots[turn % 3], passed)
                passed = finish(device, slots[turn % 3])
            with device.active("testing"):
                slots[0].take("in", passed)
                slots[0].compute({"out": Layout(data.shape, data.dtype)}, copied(device, data.nbytes))
                slots[0].download()
            del passed
            assert np.array_equal(finish(device, slots[0]), data)


def test_bytes_of_100_sizes_come_back_unharmed_in_any_order(device):
    generator = random.Random(1)
    with slots_of(device) as slots:
        free, under_way = list(slots), []
        for seed in range(100):
            if not free:
                slot, data = under_way.pop(generator.randrange(3))
                assert np.array_equal(finish(device, slot), data)
                free.append(slot)
            data = noise(generator.randint(1, 300_000), seed)
            start(device, free[0], data)
            under_way.append((free.pop(0), data))
        for slot, data in under_way:
            assert np.array_equal(finish(device, slot), data)
        del slot


def test_other_types_and_shapes_keep_their_values(device):
    data = np.random.default_rng(0).normal(size=(2, 3, 33, 47)).astype(np.float32)
    with slots_of(device, 1) as slots:
        start(device, slots[0], data)
        assert np.array_equal(finish(device, slots[0]), data)


def test_a_slot_left_in_the_middle_can_be_used_again(device):
    with slots_of(device, 1) as slots:
        for seed in range(20):
            start(device, slots[0], noise(100_000 + seed, seed))
        assert np.array_equal(finish(device, slots[0]), noise(100_019, 19))


def test_memory_grows_is_kept_and_is_given_back(device):
    with device.active("testing"):
        memory = TensorMemory(device, "tensor")
        memory.reserve(1000)
        first = memory.address
        memory.reserve(10)
        assert (memory.address, memory.capacity) == (first, 1000)
        memory.reserve(5000)
        assert memory.capacity == 5000
        memory.free()
        memory.free()
        assert (memory.address, memory.capacity) == (0, 0)


def test_a_second_thread_works_at_the_same_time(device):
    wrong = []

    def work(number: int) -> None:
        with slots_of(device, 2) as slots:
            for seed in range(20):
                data = noise(50_000 + number, seed)
                start(device, slots[seed % 2], data)
                if not np.array_equal(finish(device, slots[seed % 2]), data):
                    wrong.append((number, seed))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_captured_graph_runs_as_often_as_it_is_launched(device):
    pytest.importorskip("cuda.bindings.driver")
    with device.active("testing"):
        stream = device.driver.Stream(NON_BLOCKING)
        source, target = TensorMemory(device, "source"), TensorMemory(device, "target")
        source.reserve(1000)
        target.reserve(1000)
        graph = CudaGraph(stream, lambda: device.driver.memcpy_dtod_async(target.address, source.address, 1000, stream))
        for seed in range(3):
            source.upload(noise(1000, seed), stream)
            graph.launch()
            target.download(1000, stream)
            stream.synchronize()
            assert np.array_equal(target.read((1000,), np.dtype(np.uint8)), noise(1000, seed))
        graph.close()
        graph.close()
        source.free()
        target.free()


def test_memory_that_cannot_be_had_leaves_the_device_as_it_was(device):
    with device.active("testing"):
        memory = TensorMemory(device, "huge")
        with pytest.raises(
            RunnerError, match=r"out of GPU memory: 'huge' needs 1099511627776\.0 MiB; .* MiB of .* are free"
        ):
            memory.reserve(1 << 60)
        assert memory.capacity == 0
        memory.reserve(1000)
        memory.free()


def test_an_error_of_the_driver_leaves_no_context_current(device):
    with pytest.raises(RunnerError, match=r"while failing on purpose$"), device.active("failing on purpose"):
        raise device.driver.LogicError("made up")
    with pytest.raises(device.driver.Error):
        device.driver.Context.pop()
