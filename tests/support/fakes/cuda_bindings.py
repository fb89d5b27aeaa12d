"""`cuda.bindings.driver` as far as CUDA graphs go, over a fake GPU. Functions give (status, result), as the real."""

from __future__ import annotations

import enum
from types import ModuleType
from typing import Any

from tests.support.fakes.gpu import Gpu, Work


class CUresult(enum.Enum):
    CUDA_SUCCESS, CUDA_ERROR_STREAM_CAPTURE_INVALIDATED = 0, 901


class CUstreamCaptureMode(enum.Enum):
    CU_STREAM_CAPTURE_MODE_THREAD_LOCAL = 1


def bindings_of(gpu: Gpu) -> ModuleType:
    """A module `cuda.bindings.driver`; `gpu.made["graph"]` minus "graph freed" are alive."""
    module = ModuleType("cuda.bindings.driver")

    def status(name: str) -> CUresult:
        return CUresult.CUDA_ERROR_STREAM_CAPTURE_INVALIDATED if gpu.fails(name) else CUresult.CUDA_SUCCESS

    def begin(stream: int, mode: CUstreamCaptureMode) -> tuple[CUresult]:
        result = status("cuStreamBeginCapture")
        if result is CUresult.CUDA_SUCCESS:
            gpu.streams[stream].captured = []
        return (result,)

    def end(stream: int) -> tuple[CUresult, Any]:
        captured, gpu.streams[stream].captured = gpu.streams[stream].captured, None
        result = status("cuStreamEndCapture")
        return (result, captured if result is CUresult.CUDA_SUCCESS else None)

    def instantiate(graph: list[Work], flags: int) -> tuple[CUresult, Any]:
        result = status("cuGraphInstantiate")
        if result is not CUresult.CUDA_SUCCESS:
            return (result, None)
        gpu.made["graph"] += 1
        return (result, tuple(graph))

    def launch(instance: tuple[Work, ...], stream: int) -> tuple[CUresult]:
        result = status("cuGraphLaunch")
        if result is CUresult.CUDA_SUCCESS:
            gpu.made["launch"] += 1
            for work in instance:
                gpu.put(gpu.streams[stream], work)
        return (result,)

    def destroy_instance(instance: tuple[Work, ...]) -> tuple[CUresult]:
        gpu.made["graph freed"] += 1
        return (CUresult.CUDA_SUCCESS,)

    vars(module).update(
        CUresult=CUresult,
        CUstreamCaptureMode=CUstreamCaptureMode,
        CUstream=int,
        cuStreamBeginCapture=begin,
        cuStreamEndCapture=end,
        cuGraphInstantiate=instantiate,
        cuGraphLaunch=launch,
        cuGraphExecDestroy=destroy_instance,
        cuGraphDestroy=lambda graph: (CUresult.CUDA_SUCCESS,),
    )
    return module
