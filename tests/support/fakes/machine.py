"""A machine with a fake GPU: PyCUDA, TensorRT, TensorRT for RTX and cuda-bindings as modules that import."""

from __future__ import annotations

import gc
import hashlib
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from fcn_deploy.engine.sidecar import BuiltFor, Sidecar, sidecar_path
from fcn_deploy.graph.load import find_card, load_graph
from fcn_deploy.runners import driver_calls
from fcn_deploy.vocabulary import Profile
from tests.api.bindings import read
from tests.api.doubles import Double
from tests.support.fakes.cuda_bindings import bindings_of
from tests.support.fakes.gpu import Gpu
from tests.support.fakes.libcuda import LibCuda
from tests.support.fakes.pycuda_driver import driver_of
from tests.support.fakes.tensorrt_module import VERSIONS, library, write_plan

# Each fake is reached through a double of the real module that it stands for.
REAL = {
    "tensorrt": "tensorrt-10.3.0",
    "tensorrt_rtx": "tensorrt_rtx-1.7.1",
    "pycuda.driver": "pycuda.driver",
    "cuda.bindings.driver": "cuda.bindings.driver",
}


class Machine:
    """`gpu` is what to look at and to make fail."""

    def __init__(self, patch: pytest.MonkeyPatch, seed: int | None = None, total_bytes: int = 1 << 28) -> None:
        self.gpu = Gpu(seed, total_bytes)
        modules = {
            "pycuda": ModuleType("pycuda"),
            "pycuda.driver": driver_of(self.gpu),
            "cuda": ModuleType("cuda"),
            "cuda.bindings": ModuleType("cuda.bindings"),
            "cuda.bindings.driver": bindings_of(self.gpu),
            **{name: library(name, self.gpu) for name in VERSIONS},
        }
        for name, module in modules.items():
            patch.setitem(sys.modules, name, self._strict(name, module) if name in REAL else module)
        library_of = LibCuda(self.gpu)
        patch.setattr(driver_calls, "driver_library", lambda: library_of)

    def build(
        self, onnx: Path, profiles: Sequence[Profile], *, flavor: str = "tensorrt_rtx", **changed: object
    ) -> Path:
        """An engine of `onnx` with its sidecar; `changed` replaces fields of the sidecar."""
        plan = write_plan(onnx.with_suffix(".engine"), onnx, profiles, flavor)
        sidecar_path(plan).write_text(replace(self._sidecar(plan, onnx, profiles, flavor), **changed).to_json())
        return plan

    @staticmethod
    def _strict(name: str, fake: ModuleType) -> Double:
        """The fake behind exactly the attributes and signatures of the real module."""
        module = Double(name, read(REAL[name]), fake)
        module.__version__ = VERSIONS.get(name, "")
        return module

    @staticmethod
    def same(found: np.ndarray, expected: np.ndarray, logits: np.ndarray) -> bool:
        """Pixel by pixel: ONNX Runtime computed both."""
        return np.array_equal(found, expected)

    def check(self) -> None:
        """AssertionError if anything is still held."""
        if self.gpu.holds_anything:  # an error's traceback may hold a stream for a while
            gc.collect()
        self.gpu.require_nothing_held()

    @staticmethod
    def _sidecar(plan: Path, onnx: Path, profiles: Sequence[Profile], flavor: str) -> Sidecar:
        data = plan.read_bytes()
        return Sidecar(
            flavor,
            VERSIONS[flavor],
            "linux x86_64",
            BuiltFor(("portable",) if "rtx" in flavor else ("SM89",)),
            hashlib.sha256(data).hexdigest(),
            len(data),
            onnx.name,
            hashlib.sha256(onnx.read_bytes()).hexdigest(),
            "fp32",
            (),
            (),
            tuple(profiles),
            card=find_card(load_graph(onnx), onnx),
        )
