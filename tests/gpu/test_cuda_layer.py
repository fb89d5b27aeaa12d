"""The memory and stream layer on any NVIDIA GPU with PyCUDA, without TensorRT."""

from __future__ import annotations

import pytest

from fcn_deploy.errors import FcnDeployError
from fcn_deploy.runners.arrays import gpu_image
from fcn_deploy.runners.cuda.context import CudaDevice
from tests.support.cuda_cases import *  # noqa: F403

pytestmark = pytest.mark.gpu


@pytest.fixture
def device():
    try:
        device = CudaDevice()
    except FcnDeployError as error:
        pytest.skip(str(error))
    # PyTorch works in the same context; what it holds must survive.
    import torch

    held = torch.arange(1000, device="cuda") if torch.cuda.is_available() else None
    yield device
    if held is not None:
        assert held.sum().item() == 499500


def test_memory_comes_back_when_slots_are_closed(device):
    from tests.support.cuda_cases import finish, noise, slots_of, start

    def free() -> int:
        with device.active("testing"):
            return device.free_bytes()[0]

    data = noise(32 << 20)
    before = []
    for _ in range(3):
        before.append(free())
        with slots_of(device) as slots:
            for slot in slots:
                start(device, slot, data)
            for slot in slots:
                finish(device, slot)
            del slot
    # The first round may keep pages of the driver's own; later rounds must find what the one before found.
    assert before[1] - before[2] < 1 << 20


def test_tensors_of_pytorch_pass_through_a_slot_without_the_host(device):
    """What the tensorrt runner does around the engine: the image's stream is waited for, the result is a tensor."""
    import torch

    from tests.support.cuda_cases import GpuArray, finish, pass_on, slots_of

    if not torch.cuda.is_available():
        pytest.skip("no NVIDIA GPU that PyTorch can use")
    source = torch.randint(0, 256, (2, 33, 47, 3), dtype=torch.uint8, device="cuda")
    side = torch.cuda.Stream()
    with slots_of(device) as slots:
        for slot in slots * 2:
            image = torch.zeros_like(source)
            torch.cuda.synchronize()
            with torch.cuda.stream(side):
                torch.cuda._sleep(50_000_000)
                image.copy_(source)
                taken = gpu_image(image, device.ordinal, slot._compute_stream.handle)
            pass_on(device, slot, taken)
            del image, taken
            found = finish(device, slot)
            assert isinstance(found, GpuArray)
            assert torch.equal(torch.from_dlpack(found), source)
            assert torch.equal(torch.as_tensor(found, device="cuda"), source)
