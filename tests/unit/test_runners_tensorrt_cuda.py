"""The memory and stream layer on a fake GPU; tests/gpu has the same on a real one."""

from __future__ import annotations

import pytest

from fcn_deploy.runners.cuda_context import CudaDevice
from tests.fakes.machine import Machine
from tests.unit.cuda_cases import *  # noqa: F403


@pytest.fixture(params=[None, 1, 2], ids=["late", "random", "random again"])
def device(request, monkeypatch):
    machine = Machine(monkeypatch, request.param)
    yield CudaDevice()
    machine.check()
