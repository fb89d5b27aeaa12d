"""The memory and stream layer on a fake GPU; tests/gpu has the same on a real one."""

from __future__ import annotations

import pytest

from fcn_deploy.runners.cuda.context import CudaDevice
from tests.support.cuda_cases import *  # noqa: F403
from tests.support.fakes.machine import Machine


@pytest.fixture(params=[None, 1, 2], ids=["late", "random", "random again"])
def device(request, monkeypatch):
    machine = Machine(monkeypatch, request.param)
    yield CudaDevice()
    machine.check()
