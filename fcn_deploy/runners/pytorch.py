"""PyTorch behind the uint8 contract: as it comes, which is the reference, or made as fast as it gets."""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fcn_deploy.card import ModelCard
from fcn_deploy.contract import Contract
from fcn_deploy.errors import RunnerError, first_line
from fcn_deploy.graph.cpu.budget import MemoryBudget
from fcn_deploy.models.memory import peak_bytes
from fcn_deploy.models.network import load_network
from fcn_deploy.runners.arrays import GpuArray, host_image, shape_of
from fcn_deploy.runners.base import Runner
from fcn_deploy.runners.driver_calls import DEFAULT_STREAM
from fcn_deploy.runners.pytorch_mode import PLAIN, TorchMode, parse_mode
from fcn_deploy.runners.pytorch_shapes import NarrowContract, TorchShape, cudnn_kernels, outputs_of, tensor_of
from fcn_deploy.runners.repeats import RepeatedShapes
from fcn_deploy.runners.run_times import RunTimes
from fcn_deploy.runners.step_events import DOWNLOAD, EXECUTE, UPLOAD, StepEvents
from fcn_deploy.runners.tickets import Tickets
from fcn_deploy.vocabulary import LABELS, Shape


class TorchRunner(Runner):
    """`model` on a CPU or a GPU. On a GPU the image goes through pinned memory and `execute` waits for the device.

    In a mode that is not plain, a shape that comes again has a compiled network or a CUDA graph; others run eagerly.
    """

    def __init__(
        self,
        name: str,
        model: torch.nn.Module,
        card: ModelCard,
        *,
        mode: TorchMode = PLAIN,
        outputs: tuple[str, ...] = (LABELS,),
    ) -> None:
        """With a `mode` of another type than FP32, `model` is converted in place."""
        super().__init__(name, card, outputs)
        self._mode = mode
        self._device = mode.place
        contract = Contract(model, card) if mode.dtype is None else NarrowContract(model, card, mode.dtype)
        self._network: Contract | None = contract.eval().to(self._device)
        if self._device.type == "cpu":
            self.memory = MemoryBudget(partial(peak_bytes, partial(outputs_of, self._network, names=outputs)))
        self._events: StepEvents | None = None
        self._begin()

    def _begin(self) -> None:
        """Hold nothing of any image."""
        self._image: torch.Tensor | None = None
        self._results: dict[str, torch.Tensor] = {}
        self._fixed: TorchShape | None = None
        graphs = self._mode.compiled or (not self._mode.plain and self._device.type == "cuda")
        what = "compiled network" if self._mode.compiled else "CUDA graph"
        self._shapes: RepeatedShapes[TorchShape] | None = None
        if graphs:
            self._shapes = RepeatedShapes(
                self._open_shape, what=what, strict=self._mode.compiled, worth=self._is_worth_it
            )
        self._run_times = RunTimes()

    @classmethod
    def open(
        cls,
        name: str,
        source: str,
        *,
        device: str,
        outputs: tuple[str, ...],
        threads: int | None,
        load: Callable[[], tuple[torch.nn.Module, ModelCard]] | None = None,
        gpu: int | None = None,
    ) -> TorchRunner:
        """Load `source` on `device`, "cpu" or "cuda", with types behind: "cuda:fp16", "cpu:bf16", "cuda:compile".

        `threads` sets PyTorch's intra-op threads, for the whole process.

        Args:
            load: gives the network in place of reading `source`; where it is moved or converted, that is a copy.
            gpu: number of the GPU that "cuda" means.

        Raises:
            RunnerError: CUDA was asked for and this PyTorch has none, or the mode is not to be had here.
            UnknownNameError: no such device or type.
        """
        mode = parse_mode(name, device, gpu)
        if threads is not None:
            torch.set_num_threads(threads)
        model, card = load_network(source) if load is None else load()
        if load is not None and (mode.device == "cuda" or mode.dtype is not None):
            model = copy.deepcopy(model)
        return cls(name, model, card, mode=mode, outputs=outputs)

    def _clone(self) -> TorchRunner:
        clone = copy.copy(self)
        clone._state, clone._tickets, clone._events = "opened", Tickets(self.name, [{}]), None
        clone._begin()
        return clone

    def logits(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return float32[N, C, H, W] of `image` uint8[N, H, W, 3], for margins; leaves the three steps' state alone."""
        if self._network is None:
            raise RunnerError(f"runner {self.name} is closed; open it again")
        with torch.inference_mode():
            tensor = tensor_of(host_image(image)).to(self._device)
            logits: NDArray[np.float32] = self._network.logits(tensor).float().cpu().numpy()
        return logits

    def _is_worth_it(self, shape: Shape) -> bool:
        """Whether a shape that came again shall be captured by now; a compiled network was asked for."""
        return self._mode.compiled or self.tune_at_once or self._run_times.repaid(shape)

    def _open_shape(self, shape: Shape) -> TorchShape:
        assert self._network is not None
        call = partial(outputs_of, self._network, names=self.output_names)
        captured = self._device.type == "cuda"
        return TorchShape(call, shape, self._device, compiled=self._mode.compiled, captured=captured)

    def _gpu(self, slot: Any) -> tuple[int, int]:
        if self._device.type != "cuda":
            return super()._gpu(slot)
        index = torch.cuda.current_device() if self._device.index is None else self._device.index
        return index, torch.cuda.current_stream(index).cuda_stream or DEFAULT_STREAM

    def _run_all(self, image: NDArray[np.uint8] | GpuArray, on_gpu: bool) -> dict[str, Any]:
        self._fixed = self._shape_of(image)
        if self._fixed is not None and self._fixed.whole is not None and not on_gpu and not isinstance(image, GpuArray):
            try:
                return dict(self._fixed.infer(image))
            except RuntimeError as error:
                self._leave_fixed(image, first_line(error))
        self._bring(image)
        self._execute()
        return self._download_on_gpu() if on_gpu else self._download()

    def _leave_fixed(self, image: NDArray[np.uint8], reason: str) -> None:
        """Run images of this shape eagerly, now and from now on."""
        assert self._shapes is not None
        self._fixed = None
        self._shapes.refuse(shape_of(image), reason)
        self.notes = self._shapes.remarks

    def _upload(self, image: NDArray[np.uint8] | GpuArray) -> None:
        self._fixed = self._shape_of(image)
        self._bring(image)

    def _bring(self, image: NDArray[np.uint8] | GpuArray) -> None:
        tensor = tensor_of(image)
        if self._fixed is not None:
            with self._timed(UPLOAD):
                self._fixed.write(tensor)
            self._wait()
            return
        if self._device.type == "cuda" and not tensor.is_cuda:
            pinned = tensor.pin_memory()
            with self._timed(UPLOAD):
                tensor = pinned.to(self._device, non_blocking=True)
            self._wait()
        self._image = tensor

    def _shape_of(self, image: NDArray[np.uint8] | GpuArray) -> TorchShape | None:
        """Return what runs images of this shape, None for the network itself."""
        if self._shapes is None:
            return None
        try:
            return self._shapes.get(shape_of(image))
        except RunnerError as error:
            raise RunnerError(f"{self.name} failed on {list(image.shape)}: {error}") from error
        finally:
            self.notes = self._shapes.remarks

    def _wait(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)

    def _execute(self) -> None:
        try:
            if self._fixed is None:
                self._run_eagerly()
            else:
                with self._timed(EXECUTE):
                    self._fixed.run()
                self._wait()
        except RuntimeError as error:
            shape = "" if self._image is None else f" on {list(self._image.shape)}"
            raise RunnerError(f"{self.name} failed{shape}: {first_line(error)}") from error

    def _run_eagerly(self) -> None:
        """Run the network as it is, once more without CUDA graphs if they leave too little memory."""
        assert self._network is not None
        assert self._image is not None
        batch, height, width, _ = self._image.shape
        with self._run_times.timed((batch, height, width)), torch.inference_mode():
            try:
                self._launch(self._network, self._image)
            except torch.cuda.OutOfMemoryError:
                if self._shapes is None or not self._shapes.drop("the GPU has no memory left"):
                    raise
                self.notes = self._shapes.remarks
                torch.cuda.empty_cache()
                self._launch(self._network, self._image)

    def _launch(self, network: Contract, image: torch.Tensor) -> None:
        with self._timed(EXECUTE), nullcontext() if self._shapes is None else cudnn_kernels(search=False):
            self._results = outputs_of(network, image, self.output_names)
        self._wait()

    def _download(self) -> dict[str, NDArray[Any]]:
        with self._timed(DOWNLOAD):
            if self._fixed is not None:
                arrays = dict(self._fixed.read())
            else:
                arrays = {name: tensor.cpu().numpy() for name, tensor in self._results.items()}
        self.device_ns = None if self._events is None else self._events.read()
        return arrays

    def _download_on_gpu(self) -> dict[str, Any]:
        results = self._results if self._fixed is None else self._fixed.results
        copies = {name: tensor.clone() for name, tensor in results.items()}
        self._wait()
        return copies

    def _timed(self, step: int) -> AbstractContextManager[None]:
        if self._device.type != "cuda" or not self.time_on_device:
            return nullcontext()
        if self._events is None:
            self._events = StepEvents(
                lambda: torch.cuda.Event(enable_timing=True),  # type: ignore[no-untyped-call]
                lambda begin, end: float(begin.elapsed_time(end)),
            )
        return self._events.around(step, torch.cuda.current_stream(self._device))

    def _close(self) -> None:
        self._begin()
        self._network = self._shapes = None
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
