"""Run a PyTorch network on images of one shape as fast as PyTorch does it: compiled, or as a CUDA graph."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from fcn_deploy.card import ModelCard
from fcn_deploy.contract import Contract
from fcn_deploy.errors import RunnerError, first_line
from fcn_deploy.runners.arrays import GpuArray
from fcn_deploy.runners.transfers import Download, Upload, WholeRun, tensor_over
from fcn_deploy.vocabulary import LABELS, Shape

Call = Callable[[Tensor], dict[str, Tensor]]
# Before a capture: the first runs choose kernels and allocate, which a graph cannot hold.
RUNS_BEFORE_CAPTURE = 3


class NarrowContract(Contract):
    """The contract of a network whose weights and activations are of `dtype`, in channels-last memory.

    The image is normalised in float32 and rounded once. NHWC images are channels-last as they come, so nothing is
    transposed.
    """

    def __init__(self, model: torch.nn.Module, card: ModelCard, dtype: torch.dtype) -> None:
        """Convert `model` in place."""
        super().__init__(model.to(dtype).to(memory_format=torch.channels_last), card)  # type: ignore[call-overload]
        self.dtype = dtype

    def _normalised(self, x: Tensor) -> Tensor:
        return ((x - self.mean) / self.std).to(dtype=self.dtype, memory_format=torch.channels_last)


def outputs_of(network: Contract, image: Tensor, names: tuple[str, ...]) -> dict[str, Tensor]:
    """Return the tensors `names` of `image` uint8[N, H, W, 3]."""
    return {LABELS: network(image)} if names == (LABELS,) else network.outputs(image, names)


class TorchShape:
    """`call` on images of one shape; on a GPU a CUDA graph between pinned buffers.

    Attributes:
        remark: what it is, what opening it took, and why there is no graph where there might be one.
        whole: runs a graph with its copies and one wait, where that is faster than three steps; else None.
    """

    def __init__(self, call: Call, shape: Shape, device: torch.device, *, compiled: bool, captured: bool) -> None:
        """Compile `call` if it is to be compiled, and capture it, on a GPU, if it is to be captured.

        Raises:
            RunnerError: the compiler fails, or the GPU has no memory for it.
        """
        started = time.perf_counter()
        self._call: Call = torch.compile(call, dynamic=False) if compiled else call
        self._image = torch.zeros((*shape, 3), dtype=torch.uint8, device=device)
        self._upload = Upload(self._image)
        self._graph: Any = None
        self.whole: WholeRun | None = None
        self._why = ""
        try:
            with torch.inference_mode(), cudnn_kernels(search=True) if captured else nullcontext():
                self._results = self._call(self._image)
                if captured:
                    self._capture(device)
        except Exception as error:  # torch._dynamo's, inductor's and the C++ compiler's have no base in common
            what = "torch.compile failed" if compiled else "it failed"
            raise RunnerError(f"{what}: {first_line(error)}") from error
        # Without a graph each run writes elsewhere.
        stay: Mapping[str, Tensor] = {} if self._graph is None else self._results
        self._downloads = {name: Download(result) for name, result in stay.items()}
        made = " and ".join(["compiled"] * compiled + ["captured as a CUDA graph"] * (self._graph is not None))
        self.remark = f"{made or 'run eagerly'} in {_since(started)}{self._why}"
        if captured:
            self.remark += f"; step by step, images are copied {self._upload.way}"
            self._try_whole(device)

    @property
    def results(self) -> Mapping[str, Tensor]:
        """The outputs of the last run, which the next one writes over."""
        return self._results

    def write(self, image: Tensor) -> None:
        """Bring `image` to the device, and wait."""
        self._upload.write(image)

    def run(self) -> None:
        """Start the network."""
        if self._graph is not None:
            self._graph.replay()
            return
        with torch.inference_mode():
            self._results = self._call(self._image)

    def read(self) -> Mapping[str, NDArray[Any]]:
        """Wait for the outputs; they are the caller's."""
        if self._graph is not None:
            return {name: download.read() for name, download in self._downloads.items()}
        return {name: result.cpu().numpy().copy() for name, result in self._results.items()}

    def close(self) -> None:
        """Free the graph and its buffers."""
        self._graph = self.whole = None
        self._results, self._downloads = {}, {}

    def infer(self, image: NDArray[Any]) -> Mapping[str, NDArray[Any]]:
        """Return the outputs by way of `whole`."""
        assert self.whole is not None
        return dict(zip(self._results, self.whole.infer(image), strict=True))

    def _try_whole(self, device: torch.device) -> None:
        if self._graph is None:
            return
        try:
            stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
            whole = WholeRun(stream, self._image, self.run, list(self._results.values()))
            whole.choose(partial(self._in_steps, device))
        except (RunnerError, RuntimeError) as error:
            self.remark += f"; one wait for all steps failed: {first_line(error)}"
            return
        self.remark += f"; {whole.remark}"
        self.whole = whole if whole.way else None

    def _in_steps(self, device: torch.device, image: NDArray[Any]) -> list[NDArray[Any]]:
        self.write(torch.from_numpy(image))
        self.run()
        torch.cuda.synchronize(device)
        return list(self.read().values())

    def _capture(self, device: torch.device) -> None:
        """Capture one run; without a graph, as where the network cannot be captured, each run is launched again."""
        stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(stream):
            for _ in range(RUNS_BEFORE_CAPTURE):
                self._call(self._image)
        torch.cuda.current_stream(device).wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, stream=stream):
                self._results = self._call(self._image)
        except torch.cuda.OutOfMemoryError:
            raise
        except RuntimeError as error:
            torch.cuda.synchronize(device)
            self._why = f"; no CUDA graph: {first_line(error)}"
            self._results = self._call(self._image)
            return
        self._graph = graph
        graph.replay()
        torch.cuda.synchronize(device)


def _since(started: float) -> str:
    return f"{time.perf_counter() - started:.1f} s"


def tensor_of(image: NDArray[Any] | GpuArray) -> Tensor:
    """Return a tensor in the memory of `image`; of a read-only one on the host a copy, as PyTorch would warn."""
    if isinstance(image, GpuArray):
        return torch.as_tensor(image, device=f"cuda:{image.device}")
    return tensor_over(image)


@contextmanager
def cudnn_kernels(*, search: bool) -> Iterator[None]:
    """Have cuDNN time its kernels for the shapes met within, as a shape that comes again is worth it, or guess.

    PyTorch remembers the kernel of a convolution's shape and settings, but not whether it was searched for: a guess
    would be used for good. So guesses are made with another setting, deterministic, which few kernels fail.
    """
    cudnn = torch.backends.cudnn
    before = cudnn.benchmark, cudnn.deterministic
    cudnn.benchmark = search or before[0]
    cudnn.deterministic = not search or before[1]
    try:
        yield
    finally:
        cudnn.benchmark, cudnn.deterministic = before
