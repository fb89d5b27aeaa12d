"""CUDA graphs on `tensorrt`, which leaves capturing to its user (TensorRT for RTX captures by itself).

A graph holds only while the execution context that it was captured from stays as it was: same profile, shape and
addresses. So each combination has a context of its own; their activations share one piece of memory, which is safe
because they all run on one stream.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fcn_deploy.errors import RunnerError, one_line
from fcn_deploy.runners.cuda.context import CudaDevice
from fcn_deploy.runners.cuda.memory import TensorMemory
from fcn_deploy.runners.cuda.slots import Layout
from fcn_deploy.runners.repeats import MOST_COUNTED, RUNS_TO_EARN
from fcn_deploy.runners.trt.context import Execution, activation_bytes, create_context
from fcn_deploy.runners.trt.engine import LoadedEngine
from fcn_deploy.system.optional import require

BINDINGS = "cuda.bindings.driver"


def require_graphs(loaded: LoadedEngine) -> None:
    """Raise MissingDependencyError without cuda-bindings, RunnerError with TensorRT 8.6."""
    require(BINDINGS)
    if not hasattr(loaded.flavor.module, "ExecutionContextAllocationStrategy"):
        raise RunnerError(f"{loaded.flavor.title} shares no memory between contexts; give --no-cuda-graphs")


class CudaGraph:
    """What `work` put on `stream`, to be started again and again. Call it inside `CudaDevice.active`.

    The addresses that the work reads and writes are part of the graph. PyCUDA lacks this.
    """

    def __init__(self, stream: Any, work: Callable[[], None]) -> None:
        """Capture `work`, which does not run.

        Raises:
            MissingDependencyError: cuda-bindings is not installed.
            RunnerError: the work cannot be captured.
        """
        self._cuda: Any = require(BINDINGS)
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
            raise RunnerError(f"CUDA graph: {one_line(error)}; leave them out (--no-cuda-graphs)") from error
        if status != self._cuda.CUresult.CUDA_SUCCESS:
            name = str(status).rpartition(".")[2]
            raise RunnerError(f"CUDA graph: {function} failed with {name}; leave them out (--no-cuda-graphs)")
        return results[0] if results else None


LIMIT = 16  # combinations kept; each costs a context's small state, not activations


@dataclass
class _CapturedGraph:
    execution: Execution
    graph: CudaGraph | None = None

    def close(self) -> None:
        if self.graph is not None:
            self.graph.close()
        self.execution.close()


class GraphedExecution:
    """As `Execution`; the third and later inferences of one shape and addresses are a single launch.

    The first runs plainly, which settles what TensorRT decides on a new shape; the second is captured. Once `LIMIT`
    combinations are kept, others run plainly until they come twice as often as the last one had to.

    Attributes:
        notes: why not everything is captured.
    """

    def __init__(self, loaded: LoadedEngine, device: CudaDevice, *, strict: bool = True) -> None:
        """Hold memory for the activations; work that cannot be captured is an error if `strict`, else runs plainly.

        Raises:
            MissingDependencyError: cuda-bindings is not installed.
            RunnerError: there is too little memory, or it is TensorRT 8.6.
        """
        require_graphs(loaded)  # now, and not at the second image
        self._strict, self._captures = strict, True
        self.notes: tuple[str, ...] = ()
        self._runs: Counter[tuple[Any, ...]] = Counter()
        self._needed = RUNS_TO_EARN
        self._loaded = loaded
        self._device = device
        self._bytes = max(activation_bytes(loaded.engine), 1)
        self._activations = TensorMemory(device, "activations", pinned=False)
        self._graphed: OrderedDict[tuple[Any, ...], _CapturedGraph] = OrderedDict()
        self._shape: tuple[int, ...] = ()
        try:
            self._activations.reserve(self._bytes)
            self._shapes = self._execution()
        except BaseException:
            self._activations.free()
            raise

    def prepare(self, shape: tuple[int, ...], stream: Any) -> dict[str, Layout]:
        """Do what `Execution.prepare` does."""
        layouts = self._shapes.prepare(shape, stream)
        self._shape = shape
        return layouts

    def enqueue(self, addresses: Mapping[str, int], stream: Any) -> None:
        """Do what `Execution.enqueue` does, by a captured graph where there is one."""
        key = (self._shape, *addresses.items())
        known = self._graphed.pop(key, None)
        if known is None and len(self._graphed) == LIMIT and not self._earned(key):
            self._shapes.enqueue(addresses, stream)
            return
        if known is None:
            known = self._first(addresses, stream)
        else:
            self._replay(known, addresses, stream)
        self._graphed[key] = known  # the last in the order; one that failed stays out

    def close(self) -> None:
        """Free graphs, contexts and activation memory; nothing may be under way."""
        for graphed in self._graphed.values():
            graphed.close()
        self._graphed.clear()
        self._shapes.close()
        self._activations.free()

    def _earned(self, key: tuple[Any, ...]) -> bool:
        """Count a run of a combination beyond `LIMIT`; whether it may replace the one used longest ago."""
        self._say(
            f"more than {LIMIT} combinations of shape and slot come; {LIMIT} have a CUDA graph, others are launched "
            "one by one"
        )
        if key not in self._runs and len(self._runs) >= MOST_COUNTED:
            self._runs.clear()
        self._runs[key] += 1
        if self._runs[key] < self._needed:
            return False
        self._needed *= 2
        self._runs.clear()
        return True

    def _say(self, note: str) -> None:
        if note not in self.notes:
            self.notes += (note,)

    def _first(self, addresses: Mapping[str, int], stream: Any) -> _CapturedGraph:
        if len(self._graphed) == LIMIT:
            stream.synchronize()  # the one that goes may be running
            self._graphed.popitem(last=False)[1].close()
        execution = self._execution()
        execution.prepare(self._shape, stream)
        execution.enqueue(addresses, stream)
        return _CapturedGraph(execution)

    def _replay(self, known: _CapturedGraph, addresses: Mapping[str, int], stream: Any) -> None:
        try:
            if known.graph is None and self._captures:
                known.graph = self._captured(known, addresses, stream)
            if known.graph is not None:
                known.graph.launch()
            else:
                known.execution.enqueue(addresses, stream)
        except BaseException:
            known.close()
            raise

    def _captured(self, known: _CapturedGraph, addresses: Mapping[str, int], stream: Any) -> CudaGraph | None:
        try:
            return CudaGraph(stream, lambda: known.execution.enqueue(addresses, stream))
        except RunnerError as error:
            if self._strict:
                raise
            self._captures = False
            self._say(f"no more CUDA graphs: {error}")
            return None

    def _execution(self) -> Execution:
        strategy = self._loaded.flavor.module.ExecutionContextAllocationStrategy.USER_MANAGED
        context = create_context(self._loaded, self._device, strategy)
        if hasattr(context, "set_device_memory"):
            context.set_device_memory(self._activations.address, self._bytes)
        else:  # TensorRT 10.0
            context.device_memory = self._activations.address
        return Execution(self._loaded, context)
