"""Work of a stream captured as a CUDA graph, so that one call starts all its kernels. PyCUDA has none of this."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fcn_deploy.errors import RunnerError, one_line
from fcn_deploy.system.optional import require


def require_graphs() -> Any:
    """Return `cuda.bindings.driver`; MissingDependencyError if cuda-bindings is not installed."""
    return require("cuda.bindings.driver")


class CudaGraph:
    """What `work` put on `stream`, to be started again and again. Call it inside `CudaDevice.active`.

    The addresses that the work reads and writes are part of the graph.
    """

    def __init__(self, stream: Any, work: Callable[[], None]) -> None:
        """Capture `work`, which does not run.

        Raises:
            MissingDependencyError: cuda-bindings is not installed.
            RunnerError: the work cannot be captured.
        """
        self._cuda = require_graphs()
        self._stream = self._cuda.CUstream(stream.handle)
        graph = self._captured(work)
        try:
            self._instance = self._checked("cuGraphInstantiate", graph, 0)
        finally:
            self._cuda.cuGraphDestroy(graph)

    def launch(self) -> None:
        """Put the captured work on its stream once more."""
        self._checked("cuGraphLaunch", self._instance, self._stream)

    def close(self) -> None:
        """Free the graph; a second call does nothing."""
        instance, self._instance = self._instance, None
        if instance is not None:
            self._checked("cuGraphExecDestroy", instance)

    def _captured(self, work: Callable[[], None]) -> Any:
        # Other threads may allocate meanwhile: only what this one does ends the capture.
        mode = self._cuda.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
        self._checked("cuStreamBeginCapture", self._stream, mode)
        try:
            work()
        except BaseException:
            # A stream left in capture could not be used any more.
            self._cuda.cuStreamEndCapture(self._stream)
            raise
        return self._checked("cuStreamEndCapture", self._stream)

    def _checked(self, function: str, *arguments: Any) -> Any:
        try:
            status, *results = getattr(self._cuda, function)(*arguments)
        except RuntimeError as error:  # of cuda-bindings itself: the driver is too old to have the function
            raise RunnerError(f"CUDA graph: {one_line(error)}; open the runner without CUDA graphs") from error
        if status != self._cuda.CUresult.CUDA_SUCCESS:
            name = str(status).rpartition(".")[2]
            raise RunnerError(f"CUDA graph: {function} failed with {name}; open the runner without CUDA graphs")
        return results[0] if results else None
