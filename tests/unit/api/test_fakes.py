"""The fakes that stand in for a GPU offer nothing that the real modules lack, or tests would pass on thin air."""

from __future__ import annotations

import enum
import inspect

from tests.api.bindings import read
from tests.support.fakes import cuda_bindings, pycuda_driver, tensorrt_module
from tests.support.fakes.gpu import Gpu

# The fake's classes that code is handed, and what they stand for.
FAKED = {
    "Engine": "ICudaEngine",
    "Context": "IExecutionContext",
    "RuntimeCache": "IRuntimeCache",
    "RuntimeConfig": "IRuntimeConfig",
}


def test_the_fakes_offer_nothing_that_pycuda_and_cuda_bindings_lack():
    gpu = Gpu()
    for name, fake in (
        ("pycuda.driver", pycuda_driver.driver_of(gpu)),
        ("cuda.bindings.driver", cuda_bindings.bindings_of(gpu)),
    ):
        for key, value in vars(fake).items():
            if not key.startswith("_"):
                assert key in read(name), key
                assert public(value) <= public_of(read(name)[key]), key
    assert public(pycuda_driver.HostAllocation) <= public_of(read("pycuda.driver")["PagelockedHostAllocation"])
    assert public(pycuda_driver.DeviceAllocation) <= public_of(read("pycuda.driver")["DeviceAllocation"])


def test_the_fake_tensorrt_offers_nothing_that_its_release_lacks():
    real = {"tensorrt": read("tensorrt-10.3.0"), "tensorrt_rtx": read("tensorrt_rtx-1.7.1")}
    for name, description in real.items():
        for key, value in vars(tensorrt_module.library(name, Gpu())).items():
            if isinstance(value, type) and key in description:
                assert public(value) <= public_of(description[key]), key
        for ours, theirs in FAKED.items():
            told = description.get(theirs)
            if told is not None:
                assert public(getattr(tensorrt_module, ours)) <= public_of(told), ours


def public(kind):
    """Names of a fake's methods, properties and enumerators; what it notes down for tests is its own."""
    if not isinstance(kind, type) or issubclass(kind, (int, BaseException)):
        return set()
    if issubclass(kind, enum.Enum):
        return set(kind.__members__)
    methods = {name: value for name, value in vars(kind).items() if not name.startswith("_")}
    return {name for name, value in methods.items() if inspect.isroutine(value) or isinstance(value, property)}


def public_of(told):
    return {name for part in told for name in told[part]} if isinstance(told, dict) else set()
