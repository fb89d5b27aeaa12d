"""The tensorrt runner on a real GPU: the cases that the fake one passes, with engines built on the spot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from fcn_deploy.engine.builder.build import BuildRequest, build
from fcn_deploy.engine.flavors import NAMES, open_flavor
from fcn_deploy.errors import FcnDeployError
from fcn_deploy.runners.cuda.context import CudaDevice
from fcn_deploy.system.files import sha256
from fcn_deploy.vocabulary import Profile
from tests.support.tensorrt_cases import *  # noqa: F403

pytestmark = pytest.mark.gpu


class RealMachine:
    """Engines of one library on the GPU at hand."""

    def __init__(self, flavor: str) -> None:
        self._flavor = flavor

    def build(self, onnx: Path, profiles: Sequence[Profile]) -> Path:
        flavor = open_flavor(self._flavor)
        request = BuildRequest(onnx, onnx.name, sha256(onnx), tuple(profiles), flavor)
        return build(request, onnx.with_suffix(".engine")).path

    @staticmethod
    def same(found: np.ndarray, expected: np.ndarray, logits: np.ndarray) -> bool:
        """Where the two best logits are further apart than TF32's ten bits of mantissa move them."""
        best = np.sort(logits, axis=1)
        clear = best[:, -1] - best[:, -2] > 1e-2 * np.abs(logits).max()
        return np.array_equal(found[clear], expected[clear])


@pytest.fixture(scope="module", params=NAMES)
def machine(request) -> RealMachine:
    try:
        device = CudaDevice()
        flavor = open_flavor(request.param)
    except FcnDeployError as error:
        pytest.skip(str(error))
    if flavor.traits.names_targets and device.sm == "SM90":
        pytest.skip(f"{flavor.title} does not run on {device.name} ({device.sm})")
    return RealMachine(request.param)
